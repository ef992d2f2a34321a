"""How long the language model takes to its first clause, so that nobody waits in vain. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median

REMEMBERED = 5
MEASURE_AFTER = 10
"""So often not asked, a model is worth a look: the load that made it slow may be gone."""
AT_LEAST_FACTOR = 2.0
"""A model that had not begun would hardly have begun the moment after; with less it is asked again
and again on a slow machine, and each caller waits in vain."""


class Pace:
    """The model's recent times to a first clause; one a process, shared by its calls."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._not_asked = 0

    @property
    def expected_s(self) -> float:
        """Seconds it will probably take; 0 while nothing is known."""
        return median(self._recent) if self._recent else 0.0

    def note(self, took_s: float) -> None:
        """It took so long."""
        self._recent.append(took_s)

    def note_at_least(self, waited_s: float) -> None:
        """It had not begun after so long."""
        self._recent.append(max(waited_s * AT_LEAST_FACTOR, self.expected_s))

    def hopeless(self, patience_s: float) -> bool:
        """Whether it is not worth asking when so much time is left."""
        return self.expected_s > patience_s

    def note_not_asked(self) -> bool:
        """It was not asked, because that was hopeless; true when it should be measured again, while
        nobody waits for it."""
        self._not_asked = (self._not_asked + 1) % MEASURE_AFTER
        return self._not_asked == 0

    def note_measured(self, took_s: float) -> None:
        """It took so long while nobody waited: what was known before is out of date."""
        self._recent.clear()
        self._recent.append(took_s)
