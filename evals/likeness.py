"""Whether a known sound is in a recording, by cross-correlation. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def likeness(recording: npt.NDArray[np.int16], sound: npt.NDArray[np.int16]) -> float:
    """How well ``sound`` matches the best place in ``recording``: 0 not at all, 1 exactly.

    Both mono at one rate. Normalised cross-correlation, computed with the FFT; telephony codecs
    keep speech above 0.8, unrelated speech stays below 0.3.
    """
    if not len(sound) or len(recording) < len(sound):
        return 0.0
    long, short = recording.astype(np.float64), sound.astype(np.float64)
    size = 1 << (len(long) + len(short)).bit_length()
    product = np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size))
    places = np.fft.irfft(product, size)[: len(long) - len(short) + 1]
    energy = np.concatenate(([0.0], np.cumsum(long**2)))
    windows = energy[len(short) :] - energy[: len(energy) - len(short)]
    norm = np.sqrt(windows * np.sum(short**2))
    # Quiet stretches have no likeness, however well they match.
    audible = windows > 0.05 * np.sum(short**2)
    scores = np.where(audible & (norm > 0), np.abs(places) / np.maximum(norm, 1e-9), 0.0)
    return float(scores.max(initial=0.0))


def carried(
    recording: npt.NDArray[np.int16], sound: npt.NDArray[np.int16], pieces: int = 4
) -> float:
    """The mean likeness of equal pieces of ``sound``: a jitter buffer may slip between them."""
    return float(np.mean([likeness(recording, piece) for piece in np.array_split(sound, pieces)]))
