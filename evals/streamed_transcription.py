"""An utterance as the turn taker hears it grow: interims on the way, the final text after a pause.

Each interim is taken to be ready when the next begins, and goes on from the one before. An early
text is one more final begun soon after the last word; the final text then goes on from it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from rich.table import Table

from voice_agent.speech.hearing import SAMPLE_RATE_HZ, loud_frames
from voice_agent.speech.transcriber import Transcriber, Transcript
from voice_agent.speech.whisper import Whisper
from voice_agent.turns.utterance import PRE_ROLL_MS

Samples = npt.NDArray[np.int16]


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
    encoder_ms: list[float] = field(default_factory=list)
    """Of what came after the last word."""
    decoder_ms: list[float] = field(default_factory=list)
    cpu_share: list[float] = field(default_factory=list)
    """CPU time of all decodes against the speech's duration."""


def as_taken(samples: Samples) -> tuple[Samples, int]:
    """The samples as the turn taker keeps them, and where in them the speech ends.

    They begin a little before the first loud 20 ms and hold no silence the caller did not make.
    """
    loud = loud_frames(samples)
    if not len(loud):
        return samples, len(samples)
    frame = SAMPLE_RATE_HZ // 50
    begin = max(0, int(loud[0]) * frame - PRE_ROLL_MS * SAMPLE_RATE_HZ // 1000)
    return samples[begin:], (int(loud[-1]) + 1) * frame - begin


@contextmanager
def _timed(step: str) -> Iterator[list[float]]:
    """How long each call of a step of Whisper takes meanwhile, in ms."""
    took_ms: list[float] = []
    original = getattr(Whisper, step)

    def timed(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(*given, **named)
        finally:
            took_ms.append((time.perf_counter() - began) * 1000)

    with patch.object(Whisper, step, timed):
        yield took_ms


def hear(
    runner: asyncio.Runner,
    transcriber: Transcriber,
    samples: Samples,
    rhythm: Rhythm,
    timing: Timing,
) -> str:
    """Play one recording and return its final text."""
    per_ms = SAMPLE_RATE_HZ // 1000
    taken, end = as_taken(samples)
    line = np.concatenate([taken, np.zeros(rhythm.final_ms * per_ms, np.int16)])
    cpu_before = time.process_time()

    def transcribe(until: int, final: bool, so_far: Transcript | None) -> Transcript:
        return runner.run(transcriber.transcribe(line[:until], final=final, so_far=so_far))

    so_far: Transcript | None = None
    step = rhythm.interim_ms * per_ms
    for until in range(step, end, step):
        so_far = transcribe(until, False, so_far)
    ready_ms = float(rhythm.final_ms)
    with _timed("encode") as encoder_ms, _timed("decode") as decoder_ms:
        if rhythm.early_ms is not None:
            began = time.perf_counter()
            so_far = transcribe(end + rhythm.early_ms * per_ms, True, so_far)
            ready_ms = max(ready_ms, rhythm.early_ms + (time.perf_counter() - began) * 1000)
        began, cpu_began = time.perf_counter(), time.process_time()
        transcript = transcribe(end + rhythm.final_ms * per_ms, True, so_far)
        took_ms = (time.perf_counter() - began) * 1000
    timing.final_ms.append(took_ms)
    timing.final_cpu_ms.append((time.process_time() - cpu_began) * 1000)
    timing.encoder_ms.append(sum(encoder_ms))
    timing.decoder_ms.append(sum(decoder_ms))
    timing.ready_ms.append(ready_ms + took_ms)
    timing.cpu_share.append((time.process_time() - cpu_before) / (end / SAMPLE_RATE_HZ))
    return transcript.text


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line's part of this."""
    usual = Rhythm()
    parser.add_argument("--streamed", action="store_true", help="transcribe as the caller speaks")
    parser.add_argument("--interim-ms", type=int, default=usual.interim_ms, help="between interims")
    parser.add_argument("--early-ms", type=int, help="a first final so soon after the last word")
    parser.add_argument("--final-ms", type=int, default=usual.final_ms, help="after the last word")


def rhythm(given: argparse.Namespace) -> Rhythm | None:
    """What the command line asks for; None: nothing streamed.

    Raises:
        ValueError: no such rhythm.
    """
    if not given.streamed:
        return None
    early_ms = given.final_ms if given.early_ms is None else given.early_ms
    if given.interim_ms < 20 or not 0 <= early_ms <= given.final_ms:
        raise ValueError("--interim-ms must be 20 or more, and 0 <= --early-ms <= --final-ms")
    return Rhythm(given.interim_ms, given.early_ms, given.final_ms)


def table(model: str, timing: Timing) -> Table:
    """What the streamed transcripts cost."""
    out = Table(model, "median", "p95", title="streamed, after the last word")
    for name, values in (
        ("final text, wall", timing.final_ms),
        ("final text, CPU", timing.final_cpu_ms),
        ("ready after the last word", timing.ready_ms),
        ("of it the encoder", timing.encoder_ms),
        ("of it the decoder", timing.decoder_ms),
    ):
        out.add_row(name, f"{np.median(values):.0f} ms", f"{np.percentile(values, 95):.0f} ms")
    share = 100 * np.array(timing.cpu_share)
    out.add_row("CPU of all, of one core", *(f"{np.percentile(share, p):.0f} %" for p in (50, 95)))
    return out
