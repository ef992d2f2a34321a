"""What a drill's caller heard, and when: tones told apart, gaps and clicks found. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evals.wire_audio import RATE_HZ, Samples

BLOCK = RATE_HZ // 50
"""20 ms: what a tone's beginning is told within, and enough to tell 200 from 300 Hz."""
SILENT_RMS = 300.0
CLICK = 1_800.0
"""More than two pure tones of a drill and G.711's steps bend a signal between three samples."""


def share_of(samples: Samples, hz: float) -> NDArray[np.float64]:
    """For each 20 ms, the share of its energy at this frequency; 0 where it is silent."""
    blocks = samples[: len(samples) // BLOCK * BLOCK].astype(np.float64).reshape(-1, BLOCK)
    at = np.arange(BLOCK) / RATE_HZ
    window = np.hanning(BLOCK)
    basis = np.exp(-2j * np.pi * hz * at) * window
    power = 2 * np.abs(blocks @ basis) ** 2 / (window.sum() * window.sum())
    energy = (blocks**2).mean(axis=1)
    shares: NDArray[np.float64] = np.where(
        energy > SILENT_RMS**2, power / np.maximum(energy, 1.0), 0.0
    )
    return np.minimum(shares, 1.0)


def tone_begins_s(
    samples: Samples, hz: float, after_s: float, others_hz: float = 0.0
) -> float | None:
    """When this tone is first heard for 60 ms together, in seconds of the axis; ``None``: never.

    ``others_hz``: another tone it must be stronger than, where the two are too near to be told
    apart by their share alone.
    """
    shares = share_of(samples, hz)
    heard = shares > 0.5
    if others_hz:
        heard &= shares > share_of(samples, others_hz)
    first = int(after_s * RATE_HZ) // BLOCK
    for block in range(max(0, first), len(heard) - 2):
        if heard[block] and heard[block + 1] and heard[block + 2]:
            return block * BLOCK / RATE_HZ
    return None


def longest_gap_ms(samples: Samples) -> float:
    """The longest silence."""
    step = BLOCK // 4
    longest = run = 0
    for start in range(0, len(samples) - step, step):
        part = samples[start : start + step].astype(np.float64)
        run = run + 1 if float(np.sqrt((part**2).mean())) < SILENT_RMS else 0
        longest = max(longest, run)
    return longest * step * 1000 / RATE_HZ


def clicks(samples: Samples) -> int:
    """How many steps are none that the tones make."""
    steps = np.flatnonzero(np.abs(np.diff(samples.astype(np.float64), 2)) > CLICK)
    return 0 if not len(steps) else 1 + int((np.diff(steps) > BLOCK).sum())
