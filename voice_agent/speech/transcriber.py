"""Speech to text: Whisper, reading only as much as the caller said, and most of it on the way.

Whisper was trained on 30 s windows and faster-whisper pads every utterance to that, so that "yes"
costs as much as half a minute. Here the encoder reads the utterance and a little silence, and of
an utterance that grows only what follows its settled words (``continuing``). What that costs in
accuracy is taken back by rules measured with ``evals/transcription.py``: a floor on the window, a
cap on tokens by duration, no tokens repeated in a row of four, and one retry with more room when
a final text loops or is improbable.

That silence shows as much no-speech probability together with a low log probability is from
Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 4.5.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from faster_whisper import WhisperModel

from voice_agent.config import TranscriberSettings
from voice_agent.models import locate
from voice_agent.speech import continuing, hearing
from voice_agent.speech.continuing import Progress
from voice_agent.speech.hearing import SAMPLE_RATE_HZ, Decoding
from voice_agent.speech.reading import Reader, Samples
from voice_agent.speech.whisper import Whisper

log = structlog.get_logger(__name__)


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

    ``language`` is the configured one unless another is nearly certain (1.5 s and more,
    multilingual models); ``text`` is then still what it sounded like in the configured language.
    """

    text: str
    no_speech_probability: float
    average_log_probability: float
    language: str
    took_ms: float
    progress: Progress = field(default_factory=Progress, repr=False, compare=False)
    """What the next transcript of the same utterance can go on from."""


class _Dropped(Exception):
    """Nobody waits for this transcript any more."""


class Transcriber:
    """One Whisper model, shared by every call of the process."""

    def __init__(self, model: Any, settings: TranscriberSettings) -> None:
        """Use a loaded ``faster_whisper.WhisperModel``; ``load`` is the usual way."""
        self._reader = Reader(Whisper(model, settings))
        self._language = settings.language
        self._workers = settings.workers
        self._under_way = 0
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
            transcriber._transcribe(hum.astype(np.int16), True, None, threading.Event())
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

        ``final=False`` is for an utterance still going on: one pass, no retry. ``so_far`` is an
        earlier transcript of the beginning of the same samples: what is settled in it is not read
        again, and if only silence came after it, it is the final text. One of other samples is
        ignored. An interim never keeps a final one waiting: unless a worker stays free
        it gives ``so_far`` back, or no text. Cancelling returns at once; work not begun is
        dropped, work begun stops at its next step.

        Raises:
            TranscriberError: the engine failed.
            ValueError: not one-dimensional int16.
        """
        if samples.ndim != 1 or samples.dtype != np.int16:
            raise ValueError("samples must be one-dimensional int16")
        if not final and self._under_way >= max(1, self._workers - 1):
            return so_far or Transcript("", 1.0, 0.0, self._language, 0.0)
        dropped = threading.Event()
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            return await loop.run_in_executor(
                self._threads, self._transcribe, samples, final, so_far, dropped
            )
        except asyncio.CancelledError:
            dropped.set()
            raise
        except _Dropped as error:  # pragma: no cover - only seen by a cancelled caller
            raise asyncio.CancelledError from error
        except Exception as error:
            raise TranscriberError("the recogniser failed") from error
        finally:
            self._under_way -= 1

    async def trailing(self, samples: Samples, heard: Transcript) -> float | None:
        """Log probability that what was ``heard`` in ``samples`` trails off, as words do that go
        on; ``None``: it cannot be told, or the workers are busy with words.

        Raises:
            TranscriberError: the engine failed.
        """
        if self._under_way >= self._workers:
            return None
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            return await loop.run_in_executor(
                self._threads, self._reader.trailing, samples, heard.text, heard.progress
            )
        except Exception as error:
            raise TranscriberError("the recogniser failed") from error
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Drop what waits; what runs ends in its thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- in a worker thread ------------------------------------------------------------------

    def _transcribe(
        self, samples: Samples, final: bool, so_far: Transcript | None, dropped: threading.Event
    ) -> Transcript:
        began = time.perf_counter()
        known = Progress()
        if so_far is not None and continuing.is_beginning(so_far.progress, samples):
            known = so_far.progress
            if final and continuing.says_it_all(known, samples):
                return replace(so_far, took_ms=_ms_since(began))

        def check() -> None:
            if dropped.is_set():
                raise _Dropped

        decoding, progress = Decoding("", 1.0, 0.0), Progress()
        if not hearing.is_silence(samples):
            decoding, progress = self._reader.read(samples, known, final, check)
        return Transcript(
            text=decoding.text,
            no_speech_probability=decoding.no_speech_probability,
            average_log_probability=decoding.average_log_probability,
            language=(progress.language if decoding.text else None) or self._language,
            took_ms=_ms_since(began),
            progress=progress,
        )


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
