"""Dialling so that nothing the stack tells meanwhile is lost.

The bindings give the call object after the INVITE has gone; on a fast network, or when the loop was
busy, the far end has answered or refused by then, and the object has missed it for good. Here those
events are kept and handed to the call once somebody listens to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from baresip import Call, Event, Runtime, StackEvent, UserAgent

MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class DialledCall:
    """A call on its way out, and what happened to it before it was known."""

    call: Call
    missed: tuple[StackEvent, ...]

    @property
    def sip_call_id(self) -> str:
        """The SIP Call-ID; empty when the stack has not told it."""
        told = [event.call_id for event in self.missed if event.call_id]
        return self.call.call_id or (told[0] if told else "")

    def catch_up(self) -> None:
        """Let the call, and whoever listens to it by now, have what it missed."""
        for event in self.missed:
            if event.event is not Event.CALL_OUTGOING:
                self.call._on_stack_event(event)


class Dialler:
    """Dials on any user agent of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._dialling = 0
        self._kept: list[StackEvent] = []
        runtime.subscribe(self._keep)

    async def dial(
        self, agent: UserAgent, uri: str, headers: Mapping[str, str] | None = None
    ) -> DialledCall:
        """Send the INVITE. What the stack raises passes through (``UserAgent.dial``)."""
        self._dialling += 1
        try:
            call = await agent.dial(uri, headers=dict(headers or {}))
            missed = tuple(event for event in self._kept if event.call == call.handle)
            return DialledCall(call, missed)
        finally:
            self._dialling -= 1
            if not self._dialling:
                self._kept.clear()

    def _keep(self, event: StackEvent) -> None:
        if self._dialling and event.call and len(self._kept) < MAX_KEPT:
            self._kept.append(event)
