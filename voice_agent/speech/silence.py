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


class Trimmer:
    """Speech (mono, -1 to 1) as it is made, with exactly so much quiet around it.

    Quiet before the first sound is cut or filled up to ``lead_ms``; quiet after a sound is held
    back until another sound follows, and is cut or filled up at the end. What lies between the
    first and the last sound is not touched, except for a fade of 3 ms at each cut.
    """

    def __init__(self, rate_hz: int, *, lead_ms: int = LEAD_MS) -> None:
        self._rate_hz = rate_hz
        self._window = max(1, rate_hz * _WINDOW_MS // 1000)
        self._lead = rate_hz * lead_ms // 1000
        self._fade = rate_hz * _FADE_MS // 1000
        self._held = np.zeros(0, np.float32)
        self._begun = False

    def feed(self, samples: Samples) -> Samples:
        """Take more; give what is certain to be kept."""
        held = np.concatenate((self._held, samples.astype(np.float32)))
        loud = self._loud(held)
        if not len(loud):
            self._held = held if self._begun else held[-max(self._lead, self._window) :]
            return np.zeros(0, np.float32)
        end = (int(loud[-1]) + 1) * self._window
        kept, self._held = held[:end], held[end:]
        if self._begun:
            return kept
        self._begun = True
        first = int(loud[0]) * self._window
        quiet = min(first, self._lead)
        kept = kept[first - quiet :].copy()
        fade = min(self._fade, len(kept))
        kept[:fade] *= np.linspace(0.0, 1.0, fade, dtype=np.float32)
        return np.pad(kept, (self._lead - quiet, 0))

    def finish(self, tail_ms: int) -> Samples:
        """The quiet after the last sound; all of it when there was no sound."""
        tail = self._rate_hz * tail_ms // 1000
        rest = self._held[:tail].copy() if self._begun else np.zeros(0, np.float32)
        fade = min(self._fade, len(rest))
        if fade:
            rest[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return np.pad(rest, (0, tail - len(rest)))

    def _loud(self, samples: Samples) -> npt.NDArray[np.intp]:
        """Which windows hold sound; an incomplete last one waits."""
        count = len(samples) // self._window
        if not count:
            return np.zeros(0, np.intp)
        blocks = samples[: count * self._window].reshape(count, self._window)
        return np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) > _QUIET_RMS)
