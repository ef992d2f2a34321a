"""What was said and heard on a line, measured in sample positions. Pure: arrays and numbers only.

One *axis* carries both directions: position 0 is the moment the call was answered, one step is one
sample at ``RATE_HZ``. A sample sent sits where it would have left a mouth (its packet leaves when
the last sample of the packet is in it); a sample received sits where it reaches an ear (the moment
it comes out of the receiving jitter buffer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 8_000
"""G.711's rate, which is the line's."""
PACKET_SAMPLES = RATE_HZ * 20 // 1000

Samples: TypeAlias = NDArray[np.int16]

_BLOCK = RATE_HZ * 5 // 1000
_FLOOR_RMS = 60.0
"""About -55 dBFS: above G.711's idle noise, below any speech."""
_RELATIVE_FLOOR = 0.03
"""A recording's own background, as a part of its loudest 5 ms (-30 dB)."""


class AudioFileError(Exception):
    """A file that cannot be said: unreadable, or nothing but silence."""

    code = "audio_file_unusable"
    retryable = False


@dataclass(frozen=True, slots=True)
class Span:
    """Samples ``start`` up to, not including, ``end``."""

    start: int
    end: int

    @property
    def length_ms(self) -> float:
        return (self.end - self.start) * 1000 / RATE_HZ


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that passed together, and when that was seen (seconds since the axis began)."""

    seen_s: float
    samples: Samples


@dataclass(frozen=True, slots=True)
class Utterance:
    """A recording to say. ``speech`` is from its first to its last voiced sample."""

    name: str
    samples: Samples
    speech: Span


def read_utterance(path: Path) -> Utterance:
    """Read a WAV or FLAC file and cut the silence around its speech (100 ms stay in front).

    Raises:
        AudioFileError: no such audio, or nothing voiced in it.
    """
    try:
        data, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AudioFileError(f"{path}: cannot be read as audio") from error
    mono = data.mean(axis=1)
    if rate_hz != RATE_HZ and len(mono):
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    samples = np.clip(np.rint(mono * 32_767), -32_768, 32_767).astype(np.int16)
    voiced = stretches(samples, join_ms=1e9)
    if not voiced:
        raise AudioFileError(f"{path}: holds no speech")
    lead = max(0, voiced[0].start - RATE_HZ // 10)
    kept = samples[lead : voiced[0].end]
    # Whole packets, so that a packet passes with all its samples or not at all.
    kept = np.pad(kept, (0, -len(kept) % PACKET_SAMPLES))
    return Utterance(str(path), kept, Span(voiced[0].start - lead, voiced[0].end - lead))


def stretches(samples: Samples, *, join_ms: float, relative: bool = True) -> list[Span]:
    """Where there is sound: 5 ms blocks louder than the floor, joined across pauses shorter than
    ``join_ms``. ``relative`` also asks for 3 % of the loudest block, which drops the background
    of a recording."""
    blocks = len(samples) // _BLOCK
    if blocks == 0:
        return []
    squares = samples[: blocks * _BLOCK].astype(np.float64).reshape(blocks, _BLOCK) ** 2
    rms = np.sqrt(squares.mean(axis=1))
    floor = max(_FLOOR_RMS, float(rms.max()) * _RELATIVE_FLOOR) if relative else _FLOOR_RMS
    loud = np.flatnonzero(rms > floor)
    if len(loud) == 0:
        return []
    pause = join_ms * RATE_HZ / 1000 / _BLOCK
    breaks = np.flatnonzero(np.diff(loud) > max(1.0, pause))
    starts = np.concatenate(([loud[0]], loud[breaks + 1]))
    ends = np.concatenate((loud[breaks], [loud[-1]])) + 1
    return [Span(int(a) * _BLOCK, int(b) * _BLOCK) for a, b in zip(starts, ends, strict=True)]


def placed(chunks: Sequence[Chunk], *, ends_when_seen: bool) -> list[Span]:
    """Where on the axis each chunk lies.

    The line passes samples at a steady rate, but whoever watches it may look late. A chunk
    therefore lies where it was seen, or earlier if those after it leave it no room: one late look
    is corrected by the next one in time, while a real gap stays.
    """
    spans: list[Span] = []
    room_end: int | None = None
    for chunk in reversed(chunks):
        length = len(chunk.samples)
        seen = round(chunk.seen_s * RATE_HZ)
        start = seen - length if ends_when_seen else seen
        if room_end is not None:
            start = min(start, room_end - length)
        spans.append(Span(start, start + length))
        room_end = start
    spans.reverse()
    return spans


def drawn(chunks: Sequence[Chunk], spans: Sequence[Span], length: int) -> Samples:
    """The axis from 0 to ``length`` with the chunks on it and silence between."""
    axis = np.zeros(length, dtype=np.int16)
    for chunk, span in zip(chunks, spans, strict=True):
        first = max(0, -span.start)
        last = min(span.end, length) - span.start
        if last > first:
            axis[span.start + first : span.start + last] = chunk.samples[first:last]
    return axis


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller heard of one turn, in positions and ms of the axis."""

    starts: int
    ends: int
    voice_to_voice_ms: float
    """From the caller's last voiced sample to the agent's first; negative when the agent began
    before the caller had finished."""
    longest_gap_ms: float
    """Longest silence inside the reply."""


def reply_to(said: Span, heard: Sequence[Span], until: int) -> Reply | None:
    """The reply to what was said at ``said``: the first sound that begins after the caller began,
    up to the next thing the caller says (``until``); ``None`` when there is none.

    ``heard`` are the stretches of the agent's sound in order.
    """
    mine = [span for span in heard if said.start < span.start < until]
    if not mine:
        return None
    gaps = [later.start - earlier.end for earlier, later in pairwise(mine)]
    return Reply(
        starts=mine[0].start,
        ends=mine[-1].end,
        voice_to_voice_ms=(mine[0].start - said.end) * 1000 / RATE_HZ,
        longest_gap_ms=max(gaps, default=0) * 1000 / RATE_HZ,
    )


def stopped_after_ms(said: Span, heard: Sequence[Span]) -> float | None:
    """How long the agent went on after the caller's first syllable: until the end of the stretch
    of sound that was running then. ``None`` when the agent was silent already."""
    for span in heard:
        if span.start <= said.start < span.end:
            return (span.end - said.start) * 1000 / RATE_HZ
    return None


def write_stereo(path: Path, left: Samples, right: Samples) -> None:
    """Write two equally long channels as a 16-bit WAV file.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(path, np.stack((left, right), axis=1), RATE_HZ, subtype="PCM_16")
    except RuntimeError as error:
        raise OSError(f"{path}: cannot be written") from error
