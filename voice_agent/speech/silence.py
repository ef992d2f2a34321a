"""Silence around speech: how much a synthesiser left, and how much a listener should hear. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

LEAD_MS = 10
"""Silence kept before the first sound: every further millisecond is latency the caller hears."""

TAIL_MS = {".": 220, "!": 220, "?": 240, ":": 180, ";": 180, ",": 130}
"""Silence after the last sound by the mark a piece of text ends with, as people pause."""

TAIL_UNMARKED_MS = 60
_WINDOW_MS = 5
_FADE_MS = 3
_QUIET_RMS = 0.003
"""Piper is digitally quiet before speech (under 0.0004) and a soft "s" is above 0.005."""


def tail_after(text: str) -> int:
    """The pause, in ms, that belongs after ``text``."""
    ending = text.rstrip().rstrip("\"')]}»”’")[-1:]
    return TAIL_MS.get(ending, TAIL_UNMARKED_MS)


def trim(samples: Samples, rate_hz: int, *, lead_ms: int = LEAD_MS, tail_ms: int) -> Samples:
    """``samples`` (mono, -1 to 1) with exactly ``lead_ms`` and ``tail_ms`` of quiet around speech.

    Cuts or adds; never touches what lies between the first and the last sound except for a fade of
    3 ms at each cut. All-quiet audio comes back as ``tail_ms`` of silence.
    """
    window = max(1, rate_hz * _WINDOW_MS // 1000)
    count = -(-len(samples) // window)
    padded = np.zeros(count * window, np.float32)
    padded[: len(samples)] = samples
    rms = np.sqrt(np.mean(padded.reshape(count, window) ** 2, axis=1)) if count else np.zeros(0)
    loud = np.flatnonzero(rms > _QUIET_RMS)
    lead, tail = rate_hz * lead_ms // 1000, rate_hz * tail_ms // 1000
    if not len(loud):
        return np.zeros(tail, np.float32)
    first, last = int(loud[0]) * window, min((int(loud[-1]) + 1) * window, len(samples))
    begin, end = max(0, first - lead), min(len(samples), last + tail)
    kept = samples[begin:end].astype(np.float32, copy=True)
    fade = min(rate_hz * _FADE_MS // 1000, len(kept) // 2)
    if fade:
        ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        kept[:fade] *= ramp
        kept[-fade:] *= ramp[::-1]
    return np.pad(kept, (lead - (first - begin), tail - (end - last)))
