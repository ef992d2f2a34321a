"""The caller's recent audio, addressed by audio time. Pure."""

from __future__ import annotations

import numpy as np

from telephony.media_stream import SAMPLE_RATE_HZ

BYTES_PER_MS = 2 * SAMPLE_RATE_HZ // 1000
PRE_ROLL_MS = 240
"""Audio before the detected onset that still belongs to the utterance: soft first sounds."""


class RecentAudio:
    """The last ``keep_ms`` of audio; older audio is forgotten."""

    def __init__(self, keep_ms: int) -> None:
        self._keep_bytes = keep_ms * BYTES_PER_MS
        self._audio = bytearray()
        self._end_ms = 0

    def append(self, audio: bytes, end_ms: int) -> None:
        """Add audio that ends at ``end_ms``."""
        self._audio += audio
        self._end_ms = end_ms
        if len(self._audio) > 2 * self._keep_bytes:
            del self._audio[: -self._keep_bytes]

    def between(self, from_ms: int, to_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """Samples from ``from_ms`` to ``to_ms``, as far as they are remembered."""
        first_ms = self._end_ms - len(self._audio) // BYTES_PER_MS
        begin = max(0, from_ms - first_ms) * BYTES_PER_MS
        end = max(0, to_ms - first_ms) * BYTES_PER_MS
        return np.frombuffer(bytes(self._audio[begin:end]), np.int16)
