"""Whisper's log-mel features, computed once for each part of an utterance that grows.

The same numbers as faster-whisper's own extractor. What differs: frames that no later sample can
change are taken from the last time, and the mel bands are summed directly, because numpy's matrix
product wakes a thread of OpenBLAS that goes on spinning on the core the encoder needs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]
"""Mel bands by 10 ms: log10 of the power, not yet scaled."""

HOP = 160
_WINDOW = 400
_HALF = _WINDOW // 2
_LEAST_POWER = 1e-10
_RANGE = 8.0


class LogMel:
    """The features of one model."""

    def __init__(self, filters: npt.NDArray[np.float32]) -> None:
        """``filters``: mel bands by frequency bins, as a faster-whisper extractor has them."""
        self._hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
        spans = [np.flatnonzero(band) for band in filters]
        bins = [np.arange(span[0], span[-1] + 1) if len(span) else np.arange(1) for span in spans]
        self._bins = np.concatenate(bins)
        self._starts = np.cumsum([0, *(len(each) for each in bins[:-1])])
        weights = [band[each] for band, each in zip(filters, bins, strict=True)]
        self._weights = np.concatenate(weights).astype(np.float32)[:, np.newaxis]

    def frames(self, samples: npt.NDArray[np.int16], known: Frames | None = None) -> Frames:
        """One frame for each 10 ms of 16 kHz samples, at least 25 ms of them.

        ``known`` are ``lasting`` frames of the beginning of the same samples.
        """
        first = 0 if known is None else known.shape[1]
        begin = first * HOP - _HALF
        if begin < 0:
            first, begin, known = 0, 0, None
        wave = samples[begin:].astype(np.float32) / 32768.0
        wave = np.pad(wave, (0, HOP))
        wave = np.pad(wave, (0 if first else _HALF, _HALF), mode="reflect")
        pieces = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::HOP][:-1]
        power = np.abs(np.fft.rfft(pieces * self._hann, axis=-1).astype(np.complex64).T) ** 2
        bands = np.add.reduceat(power[self._bins] * self._weights, self._starts, axis=0)
        new = np.log10(np.maximum(bands, _LEAST_POWER)).astype(np.float32)
        return new if known is None else np.concatenate([known, new], axis=1)


def lasting(frames: Frames, samples: int) -> Frames:
    """Those of the frames of so many samples that stay the same when more samples follow."""
    return frames[:, : max(0, (samples - _HALF) // HOP + 1)]


def scaled(frames: Frames) -> Frames:
    """As the encoder wants them: 80 dB of range below the loudest, about -1 to 1."""
    loud: Frames = np.maximum(frames, frames.max() - _RANGE)
    return (loud + np.float32(4.0)) / np.float32(4.0)
