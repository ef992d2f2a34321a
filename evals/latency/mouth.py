"""What a caller sends: 20 ms after 20 ms of speech or silence, over the noise of where they are.
Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from evals.latency.ear import loudness
from evals.wire_audio import (
    PACKET_SAMPLES,
    RATE_HZ,
    WIDE_HZ,
    AudioFileError,
    Samples,
    Utterance,
    clipped,
    read_samples,
)

WIDE = WIDE_HZ // RATE_HZ
_SILENCE = np.zeros(PACKET_SAMPLES * WIDE, dtype=np.int16)


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms at the axis's rate and at ``WIDE_HZ``; ``last`` ends what was said."""

    narrow: Samples
    wide: Samples
    last: bool


class Noise:
    """A background without end: a recording at ``WIDE_HZ``, over and over."""

    def __init__(self, samples: Samples) -> None:
        """
        Raises:
            ValueError: no samples.
        """
        if not len(samples):
            raise ValueError("a background needs samples")
        whole = -(-len(_SILENCE) // len(samples)) + 1
        self._samples = np.tile(samples, whole) if len(samples) < len(_SILENCE) else samples
        self._at = 0

    def started_at(self, sample: int) -> Noise:
        """The same background, begun elsewhere: no two callers stand in the same place."""
        other = Noise(self._samples)
        other._at = sample % len(self._samples)
        return other

    def next_frame(self) -> Samples:
        """The next 20 ms at ``WIDE_HZ``."""
        end = self._at + len(_SILENCE)
        part = self._samples[self._at : end]
        if len(part) < len(_SILENCE):
            end -= len(self._samples)
            part = np.concatenate((part, self._samples[:end]))
        self._at = end
        return part


def noise_under(path: Path, utterances: Sequence[Utterance], snr_db: float) -> Noise:
    """The recording at ``path`` as a background so many dB below the mean power of what is said.

    Raises:
        AudioFileError: the file cannot be read or is silent.
    """
    samples = read_samples(path, WIDE_HZ)
    power = loudness(samples)
    if power < 1.0:
        raise AudioFileError(f"{path}: holds no noise")
    spoken = [loudness(said.samples[said.speech.start : said.speech.end]) for said in utterances]
    level = float(np.sqrt(np.mean(np.square(spoken)))) if spoken else 1_000.0
    scaled = samples * (level / power / 10 ** (snr_db / 20))
    return Noise(clipped(scaled))


class Mouth:
    """Frames to send, one every 20 ms; never runs dry."""

    def __init__(self, noise: Noise | None = None) -> None:
        self._frames: deque[tuple[Samples, Samples, bool]] = deque()
        self._noise = noise

    @property
    def speaking(self) -> bool:
        return bool(self._frames)

    def say(self, utterance: Utterance) -> None:
        """Queue it, in whole frames."""
        narrow, wide = utterance.samples, utterance.wide
        if wide is None:
            wide = clipped(soxr.resample(narrow.astype(np.float64), RATE_HZ, WIDE_HZ))
        frames = -(-len(narrow) // PACKET_SAMPLES)
        narrow = np.pad(narrow, (0, frames * PACKET_SAMPLES - len(narrow)))
        size = PACKET_SAMPLES * WIDE
        wide = np.pad(wide, (0, max(0, frames * size - len(wide))))
        for number in range(frames):
            self._frames.append(
                (
                    narrow[number * PACKET_SAMPLES : (number + 1) * PACKET_SAMPLES],
                    wide[number * size : (number + 1) * size],
                    number + 1 == frames,
                )
            )

    def hush(self) -> None:
        """Say no more."""
        self._frames.clear()

    def next_frame(self) -> Frame:
        """The next 20 ms: speech if there is any, and the background."""
        if self._frames:
            narrow, wide, last = self._frames.popleft()
        else:
            narrow, wide, last = _SILENCE[:PACKET_SAMPLES], _SILENCE, False
        if self._noise is not None:
            behind = self._noise.next_frame()
            wide = clipped(wide.astype(np.int32) + behind)
            # Pairs averaged: plain, but enough for a background.
            thin = behind.astype(np.int32).reshape(-1, WIDE).mean(axis=1)
            narrow = clipped(narrow + thin)
        return Frame(narrow, wide, last)
