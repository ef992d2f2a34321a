"""Speech to text: Whisper, reading only as much as the caller said.

Whisper was trained on 30 s windows and faster-whisper pads every utterance to that, so that "yes"
costs as much as half a minute. Here the encoder reads the utterance and a little silence, which is
several times faster. What that costs in accuracy is taken back by rules measured with
``evals/transcription.py``: a floor on the window, a cap on tokens by duration, mild penalties
against repetition, and one retry with more room when a final text loops or is improbable.

That silence shows as much no-speech probability together with a low log probability is from
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 4.5.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from voice_agent.config import TranscriberSettings
from voice_agent.models import locate
from voice_agent.speech import hearing
from voice_agent.speech.hearing import SAMPLE_RATE_HZ, Decoding

log = structlog.get_logger(__name__)

Samples = npt.NDArray[np.int16]

MAX_PROMPT_TOKENS = 100
FINAL_BEAM = 2
"""Against greedy decoding: 3 points of slot recall for no measurable time. 5 gained no more."""
_FRAMES_PER_S = 100
_MARK_S = 0.02
_LANGUAGE_CERTAIN = 0.8
_LANGUAGE_LEAST_S = 1.5


class TranscriberError(Exception):
    """Speech could not be turned into text."""

    code = "transcriber_failed"
    retryable = True


class TranscriberUnusable(TranscriberError):
    """The model cannot be loaded; the message is one line."""

    code = "transcriber_unusable"
    retryable = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said. ``text`` is empty when nothing was.

    ``language`` is the configured one unless another is nearly certain (finals of 1.5 s and more,
    multilingual models); ``text`` is then still what it sounded like in the configured language.
    """

    text: str
    no_speech_probability: float
    average_log_probability: float
    language: str
    took_ms: float


class _Dropped(Exception):
    """Nobody waits for this transcript any more."""


class Transcriber:
    """One Whisper model, shared by every call of the process."""

    def __init__(self, model: Any, settings: TranscriberSettings) -> None:
        """Use a loaded ``faster_whisper.WhisperModel``; ``load`` is the usual way."""
        self._model = model
        self._language = settings.language
        self._multilingual = bool(model.model.is_multilingual)
        tokenizer = Tokenizer(
            model.hf_tokenizer, self._multilingual, task="transcribe", language=settings.language
        )
        self._tokenizer = tokenizer
        expected: list[int] = []
        if settings.prompt.strip():
            words = tokenizer.encode(" " + settings.prompt.strip())
            expected = [tokenizer.sot_prev, *words[:MAX_PROMPT_TOKENS]]
        self._timed_prompt = [*expected, *tokenizer.sot_sequence]
        self._plain_prompt = [*self._timed_prompt, tokenizer.no_timestamps]
        self._suppressed = list(get_suppressed_tokens(tokenizer, [-1]))
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="whisper")

    @classmethod
    def load(cls, settings: TranscriberSettings, models_folder: Path) -> Transcriber:
        """Load and warm up. Blocking, about a second.

        Raises:
            ModelMissing: the model is not on disk.
            TranscriberUnusable: it is there and cannot be used.
        """
        folder = locate(models_folder, settings.model)
        began = time.perf_counter()
        try:
            model = WhisperModel(
                str(folder),
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=settings.threads,
                num_workers=settings.workers,
                local_files_only=True,
            )
            transcriber = cls(model, settings)
            hum = np.sin(np.arange(SAMPLE_RATE_HZ) / 20.0) * 3000
            transcriber._transcribe(hum.astype(np.int16), True, threading.Event())
        except Exception as error:  # CTranslate2 and tokenizers raise types of their own
            reason = " ".join(str(error).split())
            raise TranscriberUnusable(f"{folder}: Whisper cannot use this: {reason}") from error
        log.info(
            "transcriber_loaded",
            model=settings.model,
            device=settings.device,
            took_ms=round((time.perf_counter() - began) * 1000),
        )
        return transcriber

    async def transcribe(
        self, samples: Samples, *, final: bool = True, so_far: Transcript | None = None
    ) -> Transcript:
        """The text of ``samples``: 16 kHz mono int16, any length.

        ``so_far`` is an earlier transcript of the beginning of the same samples, to go on from.
        ``final=False`` is for an utterance still going on: one pass, no retry, no language check.
        Cancelling returns at once; work not begun is dropped, work begun stops at its next step.

        Raises:
            TranscriberError: the engine failed.
            ValueError: not one-dimensional int16.
        """
        if samples.ndim != 1 or samples.dtype != np.int16:
            raise ValueError("samples must be one-dimensional int16")
        dropped = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, self._transcribe, samples, final, dropped
            )
        except asyncio.CancelledError:
            dropped.set()
            raise
        except _Dropped as error:  # pragma: no cover - only seen by a cancelled caller
            raise asyncio.CancelledError from error
        except Exception as error:
            raise TranscriberError("the recogniser failed") from error

    def close(self) -> None:
        """Drop what waits; what runs ends in its thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- in a worker thread ------------------------------------------------------------------

    def _transcribe(self, samples: Samples, final: bool, dropped: threading.Event) -> Transcript:
        began = time.perf_counter()
        language = self._language
        heard: list[Decoding] = []
        if not hearing.is_silence(samples):
            for number, window in enumerate(hearing.cut(samples)):
                decoding, spoken = self._hear(window, final and number == 0, final, dropped)
                heard.append(decoding)
                language = spoken or language
        whole = hearing.join(heard)
        return Transcript(
            text=whole.text,
            no_speech_probability=whole.no_speech_probability,
            average_log_probability=whole.average_log_probability,
            language=language,
            took_ms=(time.perf_counter() - began) * 1000,
        )

    def _hear(
        self, samples: Samples, check_language: bool, final: bool, dropped: threading.Event
    ) -> tuple[Decoding, str | None]:
        duration_s = len(samples) / SAMPLE_RATE_HZ
        features = self._model.feature_extractor(samples.astype(np.float32) / 32768.0)
        span_s = hearing.speech_span_s(samples)
        no_repeat = hearing.no_repeat_tokens(span_s)
        prompt = self._timed_prompt if hearing.wants_times(span_s) else self._plain_prompt
        beam = FINAL_BEAM if final else 1
        decoding: Decoding | None = None
        language: str | None = None
        for window_s in hearing.windows_s(duration_s):
            if dropped.is_set():
                raise _Dropped
            encoded = self._encode(features, window_s)
            if dropped.is_set():
                raise _Dropped
            attempt = self._decode(encoded, prompt, duration_s, beam, no_repeat)
            decoding = attempt if decoding is None else hearing.better(decoding, attempt)
            if check_language and language is None and duration_s >= _LANGUAGE_LEAST_S:
                language = self._other_language(encoded)
            if not final or not hearing.needs_retry(decoding):
                break
        assert decoding is not None  # noqa: S101 - windows_s is never empty
        text = hearing.without_echoes(decoding.text, span_s)
        decoding = hearing.without_inventions(replace(decoding, text=text))
        return decoding, language if decoding.text else None

    def _encode(self, features: npt.NDArray[np.float32], window_s: float) -> Any:
        frames = int(window_s * _FRAMES_PER_S) // 2 * 2
        window = features[:, :frames]
        # zeros among log-mel features, as faster-whisper pads: silent samples looped more often
        padded = np.pad(window, ((0, 0), (0, frames - window.shape[1])))
        return self._model.encode(padded)

    def _decode(
        self, encoded: Any, prompt: list[int], duration_s: float, beam: int, no_repeat: int
    ) -> Decoding:
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=min(448, len(prompt) + hearing.most_tokens(duration_s)),
            repetition_penalty=hearing.REPETITION_PENALTY,
            no_repeat_ngram_size=no_repeat,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        # CTranslate2's score is the mean over the tokens without the end of text
        average = result.scores[0] * len(tokens) / (len(tokens) + 1)
        return Decoding(
            text=hearing.sayable(self._segments(tokens), duration_s),
            no_speech_probability=float(result.no_speech_prob),
            average_log_probability=float(average),
        )

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

    def _other_language(self, encoded: Any) -> str | None:
        if not self._multilingual:
            return None
        token, probability = self._model.model.detect_language(encoded)[0][0]
        language = str(token)[2:-2]
        certain = probability >= _LANGUAGE_CERTAIN and language != self._language
        return language if certain else None
