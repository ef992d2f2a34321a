"""What a test caller needs of a telephone, whatever the line: ``WireCall`` has it, and so have the
calls of ``evals.latency.plain_line`` and ``evals.latency.web_line``. Time is seconds since the
call was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from evals.wire_audio import Samples, Span, Utterance


class TelephoneCall(Protocol):
    """One answered call."""

    call_id: str
    """What the agent's record of the call is found by; empty when the line does not tell."""
    answered_at: float
    """Wall-clock time of position 0 (seconds since 1970)."""
    digits: str
    ended: asyncio.Event
    end_reason: str

    @property
    def now_s(self) -> float: ...

    async def say(self, utterance: Utterance) -> range:
        """Say it in real time; which of the sent spans of ``axis`` it was.

        Raises:
            CallError: the call ended before it was said.
        """

    async def press(self, digits: str) -> None: ...

    async def hold(self, held: bool) -> None: ...

    async def wait_for_sound(self, after_s: float, timeout_s: float) -> float | None:
        """When sound begins after ``after_s``; ``None`` on timeout or when the call ends."""

    async def wait_for_quiet(self, quiet_ms: float, timeout_s: float) -> float | None:
        """Wait until nothing has been heard for so long; ``None`` on timeout or when it ends."""

    async def wait_for_end(self, timeout_s: float) -> None:
        """Let time pass, or the call end."""

    async def hang_up(self) -> None: ...

    def axis(self) -> tuple[Samples, Samples, list[Span]]:
        """Sent and received on one axis (equally long), and where each sent chunk lies."""


@runtime_checkable
class SeesPackets(Protocol):
    """A call that knows of each packet when it came."""

    def gaps(self) -> Sequence[Span]:
        """Where nothing was there to be heard, because packets were missing or late."""

    def network(self) -> dict[str, float]:
        """Counts of packets, and how late our own were at worst."""


class Telephone(Protocol):
    """A line to ring from; an async context."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def dial(self, uri: str) -> TelephoneCall:
        """Ring; returns when it answers.

        Raises:
            CallError: busy, declined, unreachable, not answered in time.
        """
