"""Whisper's steps through CTranslate2: features, encoder, text, word times, language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from voice_agent.config import TranscriberSettings
from voice_agent.speech import hearing
from voice_agent.speech.continuing import Settled, Word
from voice_agent.speech.hearing import Decoding
from voice_agent.speech.log_mel import Frames, LogMel, scaled

BEAM = 3
"""For what one guess is unsure of; 5 costs more and gains nothing sure."""
MAX_PROMPT_TOKENS = 100
CONTEXT_TOKENS = 12
"""Words before the window that Whisper is told: enough to go on in the middle of a sentence."""
_FRAMES_PER_S = 100
_MARK_S = 0.02
_LANGUAGE_CERTAIN = 0.8
_CLOSING = " .,…?!-–"
_TRAILS_OFF = ("...", " -")
_MOST_TOKENS = 448
_STEPS_BEYOND = 4
"""CTranslate2 takes no more steps than half of ``max_length``."""


@dataclass(frozen=True, slots=True)
class Text:
    """What was decoded; ``tokens`` without time marks."""

    decoding: Decoding
    tokens: tuple[int, ...]


class Whisper:
    """One loaded ``faster_whisper.WhisperModel``. Blocking; errors are CTranslate2's own."""

    def __init__(self, model: Any, settings: TranscriberSettings) -> None:
        """``model`` is shared; nothing of an utterance is kept here."""
        self._model = model
        self._language = settings.language
        self._multilingual = bool(model.model.is_multilingual)
        tokenizer = Tokenizer(
            model.hf_tokenizer, self._multilingual, task="transcribe", language=settings.language
        )
        self._tokenizer = tokenizer
        self._expected: list[int] = []
        if settings.prompt.strip():
            words = tokenizer.encode(" " + settings.prompt.strip())
            self._expected = words[:MAX_PROMPT_TOKENS]
        self._trails = [tokenizer.encode(mark)[0] for mark in _TRAILS_OFF]
        self._suppressed = list(get_suppressed_tokens(tokenizer, [-1]))
        self.log_mel = LogMel(model.feature_extractor.mel_filters)

    def encode(self, frames: Frames, window_s: float) -> Any:
        """The encoder's output for frames in a window of that length."""
        count = int(window_s * _FRAMES_PER_S) // 2 * 2
        window = scaled(frames)[:, :count]
        # zeros among log-mel features, as faster-whisper pads: silent samples looped more often
        padded = np.pad(window, ((0, 0), (0, count - window.shape[1])))
        return self._model.encode(padded)

    def decode(
        self, encoded: Any, duration_s: float, span_s: float, after: Settled, beam: int = 1
    ) -> Text:
        """The text of speech so long that follows what is settled; the best of ``beam`` guesses."""
        tokenizer = self._tokenizer
        context = [*self._expected, *after.tokens[-CONTEXT_TOKENS:]]
        prompt = [*([tokenizer.sot_prev, *context] if context else ()), *tokenizer.sot_sequence]
        timed = hearing.wants_times(span_s)
        if not timed:
            prompt.append(tokenizer.no_timestamps)
        asked = len(prompt)
        if after.lead:
            prompt += [*([tokenizer.timestamp_begin] if timed else ()), *after.lead]
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=min(_MOST_TOKENS, len(prompt) + hearing.most_tokens(duration_s)),
            no_repeat_ngram_size=hearing.no_repeat_tokens(span_s),
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        # CTranslate2's score is the mean over the tokens, given ones counted as certain, without
        # the end of text
        given = len(prompt) - asked
        average = result.scores[0] * len(tokens) / (max(0, len(tokens) - given) + 1)
        decoding = Decoding(
            text=hearing.sayable(self._segments(tokens), duration_s),
            no_speech_probability=float(result.no_speech_prob),
            average_log_probability=float(average),
        )
        return Text(decoding, tuple(token for token in tokens if token < tokenizer.eot))

    def words(self, encoded: Any, tokens: tuple[int, ...], frames: int) -> list[Word]:
        """The words that these tokens are, and when each begins, by attention.

        ``frames`` of the window hold speech. A word begins where its token has a space before it.
        """
        if not tokens:
            return []
        aligned = self._model.model.align(
            encoded, list(self._tokenizer.sot_sequence), [list(tokens)], frames
        )[0]
        starts: dict[int, float] = {}
        for token, time in aligned.alignments:
            starts.setdefault(token, time * _MARK_S)
        words: list[Word] = []
        for number, token in enumerate(tokens):
            text = self._tokenizer.decode([token])
            if words and not text.startswith(" "):
                last = words[-1]
                words[-1] = Word(last.text + text, (*last.tokens, token), last.start_s)
            else:
                words.append(Word(text.strip(), (token,), starts.get(number, 0.0)))
        return words

    def trailing(self, encoded: Any, text: str) -> float | None:
        """Log probability that "…" or "–" follows these words; ``None`` where they are too many.

        The engine is made to say the words, and asked what it would have said next.
        """
        words = self._tokenizer.encode(" " + text.rstrip(_CLOSING))
        prompt = [*self._tokenizer.sot_sequence, self._tokenizer.no_timestamps, *words]
        most = len(prompt) + len(words) + _STEPS_BEYOND
        if most > _MOST_TOKENS:
            return None
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=most,
            suppress_blank=False,
            suppress_tokens=[],
            return_logits_vocab=True,
        )[0]
        # a row a token, the given ones included
        rows = np.array(result.logits[0], dtype=np.float64)
        rows = rows.reshape(-1, rows.shape[-1])
        if len(rows) <= len(words):
            return None
        logits = rows[len(words)] - rows[len(words)].max()
        return float(np.log(np.exp(logits[self._trails]).sum() / np.exp(logits).sum()))

    def text(self, tokens: tuple[int, ...]) -> str:
        """Tokens as text."""
        return str(self._tokenizer.decode(list(tokens))).strip()

    def other_language(self, encoded: Any) -> str | None:
        """A language nearly certainly spoken instead of the configured one."""
        if not self._multilingual:
            return None
        token, probability = self._model.model.detect_language(encoded)[0][0]
        language = str(token)[2:-2]
        certain = probability >= _LANGUAGE_CERTAIN and language != self._language
        return language if certain else None

    def _segments(self, tokens: list[int]) -> list[tuple[float, str]]:
        """Texts with their starts in seconds; without time marks, one that starts at 0."""
        first_mark = self._tokenizer.timestamp_begin
        pieces: list[tuple[float, list[int]]] = [(0.0, [])]
        for token in tokens:
            if token >= first_mark:
                pieces.append(((token - first_mark) * _MARK_S, []))
            else:
                pieces[-1][1].append(token)
        return [(start, self._tokenizer.decode(words)) for start, words in pieces if words]
