"""What is known of one pause of the caller, and what more to ask about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from voice_agent.turns.endpointing import together
from voice_agent.turns.events import Decision, JudgeAgain, JudgeTrailing

JUDGE_AGAIN_MS = 180
"""Two judgements of a silence err less often than one; later ones take the silence for an end."""
_JUDGEMENTS = 2


@dataclass(slots=True)
class Evidence:
    """``text``: the words before the pause, once they are known; ``trailing``: the log probability
    that they trail off."""

    text: str | None = None
    judgements: list[float] = field(default_factory=list)
    trailing: float | None = None
    _asked_again: bool = False
    _asked_trailing: bool = False

    @property
    def completeness(self) -> float | None:
        """What the sound says of the end, if it has been judged."""
        return together(self.judgements)

    def judge_again(self, pause: int, at_ms: int, silence_ms: int) -> list[Decision]:
        """Once, when the silence is long enough."""
        if self._asked_again or silence_ms < JUDGE_AGAIN_MS:
            return []
        self._asked_again = True
        return [JudgeAgain(pause, at_ms)]

    def judge_trailing(self, pause: int) -> list[Decision]:
        """Once, when the sound has been heard; costs a pass of the recogniser."""
        if self._asked_trailing or not self.text or len(self.judgements) < _JUDGEMENTS:
            return []
        self._asked_trailing = True
        return [JudgeTrailing(pause)]
