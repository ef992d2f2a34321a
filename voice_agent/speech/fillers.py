"""Short natural phrases for when an answer is late. Pure."""

from __future__ import annotations

FILLERS = (
    "One moment, please.",
    "Let me look that up.",
    "Just a second.",
    "Bear with me.",
    "I'm checking that for you.",
)


class Fillers:
    """The fillers of one call: none twice, and never in two replies one after the other."""

    def __init__(self) -> None:
        self._left = list(FILLERS)
        self._filled = -1

    def next(self, reply_id: int) -> str | None:
        """What to say before reply ``reply_id``; ``None``: better nothing."""
        if not self._left or reply_id <= self._filled + 1:
            return None
        self._filled = reply_id
        return self._left.pop(0)
