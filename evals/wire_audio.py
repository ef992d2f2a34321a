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
from typing import Any, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 8_000
"""G.711's rate, which is the line's."""
WIDE_HZ = 2 * RATE_HZ
"""The rate at which recordings are kept beside the line's, for lines that carry more."""
PACKET_SAMPLES = RATE_HZ * 20 // 1000

Samples: TypeAlias = NDArray[np.int16]

BLOCK = RATE_HZ * 5 // 1000
"""Samples over which loudness is taken: edges are found to 5 ms."""
_FLOOR_RMS = 60.0
"""About -55 dBFS: above G.711's idle noise, below any speech."""
_RELATIVE_FLOOR = 0.03
"""A recording's own background, as a part of its loudest 5 ms (-30 dB)."""
_LEAD_S = 0.1
_PAUSE_MS = 300.0
"""A silence so long inside a recording is a pause in what is said."""


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
    """A recording to say. ``speech`` is from its first to its last voiced sample, ``pauses`` are
    the silences in it; ``wide`` are the same samples at ``WIDE_HZ``, twice as many."""

    name: str
    samples: Samples
    speech: Span
    pauses: tuple[Span, ...] = ()
    wide: Samples | None = None


@dataclass(frozen=True, slots=True)
class KnownEnds:
    """Where somebody speaks in a file, in seconds, known beforehand rather than found by energy."""

    begin_s: float
    end_s: float
    pauses_s: tuple[tuple[float, float], ...] = ()


def read_samples(path: Path, rate_hz: int) -> Samples:
    """A WAV or FLAC file as mono at ``rate_hz``.

    Raises:
        AudioFileError: no such audio.
    """
    try:
        data, file_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AudioFileError(f"{path}: cannot be read as audio") from error
    mono = data.mean(axis=1)
    if file_hz != rate_hz and len(mono):
        mono = soxr.resample(mono, file_hz, rate_hz)
    return clipped(mono * 32_767)


def clipped(samples: NDArray[Any]) -> Samples:
    """Whole numbers that fit 16 bits."""
    whole: Samples = np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16)
    return whole


def read_utterance(path: Path, ends: KnownEnds | None = None) -> Utterance:
    """Read a WAV or FLAC file and cut the silence around its speech (100 ms stay in front). Where
    the speech is tells ``ends``, or else the sound's energy.

    Raises:
        AudioFileError: no such audio, nothing voiced in it, or ends that are not inside it.
    """
    wide = read_samples(path, WIDE_HZ)
    ratio = WIDE_HZ // RATE_HZ
    wide = wide[: len(wide) - len(wide) % ratio]
    samples = wide if not len(wide) else soxr.resample(wide, WIDE_HZ, RATE_HZ)
    speech, pauses = _found(samples, path) if ends is None else _known(samples, ends, path)
    lead = max(0, speech.start - round(_LEAD_S * RATE_HZ))
    # Whole packets, so that a packet passes with all its samples or not at all.
    packets = -(-(speech.end - lead) // PACKET_SAMPLES)
    kept = _cut(samples, lead, speech.end, packets * PACKET_SAMPLES)
    return Utterance(
        name=str(path),
        samples=kept,
        speech=Span(speech.start - lead, speech.end - lead),
        pauses=tuple(Span(pause.start - lead, pause.end - lead) for pause in pauses),
        wide=_cut(wide, lead * ratio, speech.end * ratio, len(kept) * ratio),
    )


def _found(samples: Samples, path: Path) -> tuple[Span, list[Span]]:
    voiced = stretches(samples, join_ms=_PAUSE_MS)
    if not voiced:
        raise AudioFileError(f"{path}: holds no speech")
    pauses = [Span(before.end, after.start) for before, after in pairwise(voiced)]
    return Span(voiced[0].start, voiced[-1].end), pauses


def _known(samples: Samples, ends: KnownEnds, path: Path) -> tuple[Span, list[Span]]:
    times = [ends.begin_s, *(at for pause in ends.pauses_s for at in pause), ends.end_s]
    if any(after <= before for before, after in pairwise(times)) or ends.begin_s < 0:
        raise AudioFileError(f"{path}: begin, pauses and end are not in order")
    places = [round(at * RATE_HZ) for at in times]
    if places[-1] > len(samples):
        raise AudioFileError(f"{path}: ends before the speech in it does")
    pauses = [Span(*places[at : at + 2]) for at in range(1, len(places) - 1, 2)]
    return Span(places[0], places[-1]), pauses


def _cut(samples: Samples, start: int, end: int, length: int) -> Samples:
    kept = samples[start:end]
    return np.pad(kept, (0, length - len(kept)))


def stretches(samples: Samples, *, join_ms: float, relative: bool = True) -> list[Span]:
    """Where there is sound: 5 ms blocks louder than the floor, joined across pauses shorter than
    ``join_ms``. ``relative`` also asks for 3 % of the loudest block, which drops the background
    of a recording."""
    if len(samples) < BLOCK:
        return []
    rms = block_levels(samples)
    floor = max(_FLOOR_RMS, float(rms.max()) * _RELATIVE_FLOOR) if relative else _FLOOR_RMS
    loud = np.flatnonzero(rms > floor)
    if len(loud) == 0:
        return []
    pause = join_ms * RATE_HZ / 1000 / BLOCK
    breaks = np.flatnonzero(np.diff(loud) > max(1.0, pause))
    starts = np.concatenate(([loud[0]], loud[breaks + 1]))
    ends = np.concatenate((loud[breaks], [loud[-1]])) + 1
    return [Span(int(a) * BLOCK, int(b) * BLOCK) for a, b in zip(starts, ends, strict=True)]


def block_levels(samples: Samples) -> NDArray[np.float64]:
    """Root mean square of each whole ``BLOCK``."""
    whole = samples[: len(samples) // BLOCK * BLOCK].astype(np.float64)
    levels: NDArray[np.float64] = np.sqrt((whole.reshape(-1, BLOCK) ** 2).mean(axis=1))
    return levels


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


def on_one_axis(
    sent: tuple[Sequence[Chunk], Sequence[Span]], received: tuple[Sequence[Chunk], Sequence[Span]]
) -> tuple[Samples, Samples]:
    """Both directions drawn, equally long; each is chunks and where they lie."""
    ends = [spans[-1].end for _, spans in (sent, received) if spans]
    length = max([0, *ends])
    return drawn(*sent, length), drawn(*received, length)


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
