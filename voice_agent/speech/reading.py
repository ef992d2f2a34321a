"""From samples to words: one utterance read for the first time, or read on as it grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from voice_agent.speech import continuing, hearing
from voice_agent.speech.continuing import Progress, Settled, Word
from voice_agent.speech.hearing import SAMPLE_RATE_HZ, Decoding
from voice_agent.speech.log_mel import HOP, Frames, lasting
from voice_agent.speech.whisper import BEAM, Text, Whisper

log = structlog.get_logger(__name__)

Samples = npt.NDArray[np.int16]

_LANGUAGE_LEAST_S = 1.5


class Reader:
    """Decides what Whisper reads. Blocking."""

    def __init__(self, whisper: Whisper) -> None:
        self._whisper = whisper

    def read(
        self, samples: Samples, known: Progress, final: bool, check: Callable[[], None]
    ) -> tuple[Decoding, Progress]:
        """The text of 16 kHz samples, and what to go on from when more follow.

        ``known`` was made on the beginning of the same samples, or is empty. A final text that
        makes no sense after the settled words is read again from the start. ``check`` is called
        between the engine's steps and may raise.
        """
        frames = self._whisper.log_mel.frames(samples, known.frames)
        whole, ahead, doubtful = self._read_from(known, samples, frames, final, check)
        if doubtful and known.settled.samples:
            log.debug("settled_words_doubted", text=whole.text, final=final)
            known = replace(known, settled=Settled(), words=())
            if final:
                whole, ahead, doubtful = self._read_from(known, samples, frames, final, check)
            else:
                ahead = known
        return whole, replace(
            ahead,
            samples=len(samples),
            checksum=continuing.checksum(samples),
            sure=not doubtful,
            frames=lasting(frames, len(samples)),
        )

    def trailing(self, samples: Samples, text: str, known: Progress) -> float | None:
        """Log probability that the words of 16 kHz samples, ``text``, trail off; ``None``: it
        cannot be told. What is settled of them is left out."""
        settled = known.settled
        if settled.decoding is not None:
            text = text.removeprefix(settled.decoding.text)
        rest = samples[settled.samples :]
        duration_s = len(rest) / SAMPLE_RATE_HZ
        if not text.strip() or hearing.is_silence(rest) or duration_s > hearing.MAX_WINDOW_S:
            return None
        frames = self._whisper.log_mel.frames(samples, known.frames)[:, settled.samples // HOP :]
        encoded = self._whisper.encode(frames, hearing.windows_s(duration_s)[0])
        return self._whisper.trailing(encoded, text.strip())

    def _read_from(
        self,
        known: Progress,
        samples: Samples,
        frames: Frames,
        final: bool,
        check: Callable[[], None],
    ) -> tuple[Decoding, Progress, bool]:
        """The whole text, the settled words believed, and whether it is doubtful."""
        settled = known.settled
        whole = [] if settled.decoding is None else [settled.decoding]
        ahead = replace(known, words=())
        at = settled.samples
        doubtful = False
        for number, piece in enumerate(hearing.cut(samples[at:])):
            window = frames[:, at // HOP : (at + len(piece)) // HOP + 1]
            at += len(piece)
            if hearing.is_silence(piece):
                continue
            after = Settled() if number else settled
            text, encoded = self._read_window(piece, window, after, final, check)
            lost = bool(after.lead) and not text.decoding.text
            doubtful = doubtful or lost or hearing.needs_retry(text.decoding)
            whole.append(text.decoding)
            if at == len(samples) and not number:
                check()
                ahead = self._look_ahead(known, piece, text, encoded, final)
        decoding = hearing.join(whole)
        doubtful = doubtful or hearing.is_looping(decoding.text)
        recited = bool(settled.samples) and continuing.is_recited(decoding.text)
        return decoding, ahead, doubtful or recited

    def _read_window(
        self,
        piece: Samples,
        frames: Frames,
        after: Settled,
        final: bool,
        check: Callable[[], None],
    ) -> tuple[Text, Any]:
        """One window's text; a ``final`` one is read again with more room if it must be."""
        duration_s = len(piece) / SAMPLE_RATE_HZ
        span_s = hearing.speech_span_s(piece)
        best: Text | None = None
        encoded: Any = None
        for window_s in hearing.windows_s(duration_s):
            check()
            encoded = self._whisper.encode(frames, window_s)
            check()
            text = self._whisper.decode(encoded, duration_s, span_s, after)
            if not hearing.is_sure(text.decoding):
                check()
                text = self._whisper.decode(encoded, duration_s, span_s, after, BEAM)
            if best is None or hearing.better(best.decoding, text.decoding) is text.decoding:
                best = text
            if not final or after.samples or not hearing.needs_retry(best.decoding):
                break
        assert best is not None  # noqa: S101 - windows_s is never empty
        clean = hearing.without_recital(best.decoding.text, span_s)
        clean = hearing.without_echoes(clean, span_s)
        decoding = hearing.without_inventions(replace(best.decoding, text=clean))
        return replace(best, decoding=decoding), encoded

    def _look_ahead(
        self, known: Progress, rest: Samples, text: Text, encoded: Any, final: bool
    ) -> Progress:
        """The language if it is not known yet and, of a text still growing, the words to settle."""
        ahead = replace(known, words=tuple(text.decoding.text.split()))
        total = known.settled.samples + len(rest)
        judged = not continuing.language_is_known(known, total)
        if judged and len(rest) >= _LANGUAGE_LEAST_S * SAMPLE_RATE_HZ:
            language = self._whisper.other_language(encoded)
            ahead = replace(ahead, language=language, language_samples=total)
        trusted = continuing.agreed(known.words, ahead.words)
        if final or not trusted or len(rest) < continuing.SETTLE_AFTER_S * SAMPLE_RATE_HZ:
            return ahead
        words = self._whisper.words(encoded, text.tokens, len(rest) // HOP)
        found = continuing.settle(words, trusted, rest)
        if found is None:
            return ahead
        count, lead, at = found
        tokens = (*known.settled.tokens, *_tokens(words[:count]))
        settled = Settled(
            samples=known.settled.samples + at,
            tokens=tokens,
            lead=_tokens(words[count:lead]),
            decoding=replace(text.decoding, text=self._whisper.text(tokens)),
        )
        return replace(ahead, settled=settled, words=ahead.words[count:])


def _tokens(words: list[Word]) -> tuple[int, ...]:
    return tuple(token for word in words for token in word.tokens)
