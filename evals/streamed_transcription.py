"""An utterance as the turn taker hears it grow: interims on the way, the final text after a pause.

Each interim is taken to be ready when the next begins, and goes on from the one before. An early
text is one more final begun soon after the last word; the final text then goes on from it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from voice_agent.speech.hearing import SAMPLE_RATE_HZ, loud_frames
from voice_agent.speech.transcriber import Transcriber, Transcript

Samples = npt.NDArray[np.int16]
_FRAME_S = 0.02


@dataclass(frozen=True)
class Rhythm:
    """When the turn taker asks for words, in milliseconds of audio."""

    interim_ms: int = 400
    early_ms: int | None = None
    """After the last word; None: no early text."""
    final_ms: int = 100
    """After the last word."""


@dataclass
class Timing:
    """What it cost, one entry a recording; CPU time is that of the whole process."""

    final_ms: list[float] = field(default_factory=list)
    final_cpu_ms: list[float] = field(default_factory=list)
    ready_ms: list[float] = field(default_factory=list)
    """From the last word to the final text."""
    cpu_share: list[float] = field(default_factory=list)
    """CPU time of all decodes against the speech's duration."""


def speech_end(samples: Samples) -> int:
    """The sample after the last loud 20 ms."""
    loud = loud_frames(samples)
    return round((int(loud[-1]) + 1) * _FRAME_S * SAMPLE_RATE_HZ) if len(loud) else len(samples)


def hear_streamed(
    runner: asyncio.Runner,
    transcriber: Transcriber,
    samples: Samples,
    rhythm: Rhythm,
    timing: Timing,
) -> str:
    """Play one recording and return its final text."""
    per_ms = SAMPLE_RATE_HZ // 1000
    end = speech_end(samples)
    quiet = np.zeros(rhythm.final_ms * per_ms, np.int16)
    line = np.concatenate([samples, quiet])
    cpu_before = time.process_time()

    def transcribe(until: int, final: bool, so_far: Transcript | None) -> Transcript:
        return runner.run(transcriber.transcribe(line[:until], final=final, so_far=so_far))

    so_far: Transcript | None = None
    step = rhythm.interim_ms * per_ms
    for until in range(step, end, step):
        so_far = transcribe(until, False, so_far)
    ready_ms = float(rhythm.final_ms)
    if rhythm.early_ms is not None:
        began = time.perf_counter()
        so_far = transcribe(end + rhythm.early_ms * per_ms, True, so_far)
        ready_ms = max(ready_ms, rhythm.early_ms + (time.perf_counter() - began) * 1000)
    began, cpu_began = time.perf_counter(), time.process_time()
    transcript = transcribe(end + rhythm.final_ms * per_ms, True, so_far)
    took_ms = (time.perf_counter() - began) * 1000
    timing.final_ms.append(took_ms)
    timing.final_cpu_ms.append((time.process_time() - cpu_began) * 1000)
    timing.ready_ms.append(ready_ms + took_ms)
    timing.cpu_share.append((time.process_time() - cpu_before) / (end / SAMPLE_RATE_HZ))
    return transcript.text
