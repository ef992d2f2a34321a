"""The caller's recent audio, addressed by audio time, and where its sound lies. Pure."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from telephony.media_stream import FRAME_MS, SAMPLE_RATE_HZ

Samples: TypeAlias = NDArray[np.int16]

BYTES_PER_MS = 2 * SAMPLE_RATE_HZ // 1000
PRE_ROLL_MS = 240
"""Audio before the detected onset that still belongs to the utterance: soft first sounds."""


_BLOCK = SAMPLE_RATE_HZ * 5 // 1000
_FLOOR_RMS = 60.0
"""About -55 dBFS: above G.711's idle noise, below any speech."""
_RELATIVE_FLOOR = 0.03
"""Thirty dB below the loudest 5 ms: the background of a line, not its speech."""


class RecentAudio:
    """The last ``keep_ms`` of audio; older audio is forgotten."""

    def __init__(self, keep_ms: int) -> None:
        self._keep_bytes = keep_ms * BYTES_PER_MS
        self._audio = bytearray()
        self._end_ms = 0
        self._arrivals: deque[float] = deque(maxlen=keep_ms // FRAME_MS)
        """Wall-clock time of arrival of each of the last frames, newest last."""

    def append(self, audio: bytes, end_ms: int, arrived_at: float = 0.0) -> None:
        """Add audio that ends at ``end_ms`` and came at ``arrived_at`` (wall clock, seconds)."""
        self._audio += audio
        self._end_ms = end_ms
        self._arrivals.append(arrived_at)
        if len(self._audio) > 2 * self._keep_bytes:
            del self._audio[: -self._keep_bytes]

    def between(self, from_ms: int, to_ms: int) -> Samples:
        """Samples from ``from_ms`` to ``to_ms``, as far as they are remembered."""
        first_ms = self._end_ms - len(self._audio) // BYTES_PER_MS
        begin = max(0, from_ms - first_ms) * BYTES_PER_MS
        end = max(0, to_ms - first_ms) * BYTES_PER_MS
        return np.frombuffer(bytes(self._audio[begin:end]), np.int16)

    def arrived_at(self, at_ms: int) -> float:
        """Wall-clock time at which the sample at ``at_ms`` was there, as if samples came singly."""
        if not self._arrivals:
            return 0.0
        frames_ago = min(max(0, (self._end_ms - at_ms) // FRAME_MS), len(self._arrivals) - 1)
        frame_end_ms = self._end_ms - frames_ago * FRAME_MS
        return self._arrivals[-1 - frames_ago] - (frame_end_ms - at_ms) / 1000


def last_voiced_ms(samples: Samples) -> int:
    """End of the last 5 ms of sound, in ms from the start of ``samples``."""
    blocks = len(samples) // _BLOCK
    if not blocks:
        return 0
    squares = samples[: blocks * _BLOCK].astype(np.float64).reshape(blocks, _BLOCK) ** 2
    rms = np.sqrt(squares.mean(axis=1))
    loud = np.flatnonzero(rms > max(_FLOOR_RMS, float(rms.max()) * _RELATIVE_FLOOR))
    return int(loud[-1] + 1) * 5 if len(loud) else 0


def level_db(audio: bytes) -> float:
    """Level of 16-bit samples in dB of full scale; -96 for none."""
    samples = np.frombuffer(audio, np.int16).astype(np.float32)
    power = float(np.mean(samples * samples)) if len(samples) else 0.0
    return max(-96.0, 10 * float(np.log10(power + 1e-9)) - 90.3)
