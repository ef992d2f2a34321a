"""What has been said on a call, as it was heard. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MAX_HEEDED = 5


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn: what the caller said (empty for a greeting) and what they heard in reply."""

    caller: str
    agent: str


@dataclass(slots=True)
class Conversation:
    """Recent exchanges word for word; older ones as a summary.

    ``keep`` exchanges stay word for word. When twice as many have gathered, ``overdue`` hands
    out the oldest for a summary, and ``summarise`` puts it in their place.
    """

    keep: int
    mask: Callable[[str], str] = str
    """Takes out of the caller's words what neither a model nor a person who takes over needs."""
    summary: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    heeded: list[str] = field(default_factory=list)
    """What a supervisor asks of the agent for the rest of the call."""

    def add(self, caller: str, agent: str) -> None:
        """Note a finished turn; one in which nobody was heard is none."""
        if caller or agent:
            self.exchanges.append(Exchange(self.mask(caller), self.mask(agent)))

    def heed(self, instruction: str) -> None:
        """Keep to a supervisor's instruction; the latest ``MAX_HEEDED`` count."""
        self.heeded = [*self.heeded, instruction][-MAX_HEEDED:]

    @property
    def background(self) -> str:
        """What a model is told besides the latest exchanges: the summary, and what is heeded."""
        asked = " ".join(f"Your supervisor asks you: {each}" for each in self.heeded)
        return " ".join(part for part in (self.summary, asked) if part)

    @property
    def last_heard(self) -> str:
        """What the agent said last, as heard."""
        return next((turn.agent for turn in reversed(self.exchanges) if turn.agent), "")

    def history(self) -> tuple[tuple[str, str], ...]:
        """Exchanges not yet summarised, oldest first, as (caller, agent)."""
        return tuple((turn.caller, turn.agent) for turn in self.exchanges)

    def overdue(self) -> tuple[Exchange, ...]:
        """Exchanges that should be summarised now; empty when there are few."""
        if len(self.exchanges) < 2 * self.keep:
            return ()
        return tuple(self.exchanges[: -self.keep])

    def summarise(self, exchanges: tuple[Exchange, ...], summary: str) -> None:
        """Put ``summary``, which includes the former one, in the place of ``exchanges``."""
        if tuple(self.exchanges[: len(exchanges)]) == exchanges:
            self.exchanges = self.exchanges[len(exchanges) :]
            self.summary = summary
