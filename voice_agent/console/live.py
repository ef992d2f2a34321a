"""Follows the gateway's events, keeps the live board, and tells every page that watches."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from voice_agent.background import repeat
from voice_agent.console.board_state import BoardState
from voice_agent.console.errors import ConsoleError, TooManyRequests
from voice_agent.console.gateway_link import GatewayLink

log = structlog.get_logger(__name__)

MAX_WAITING_EVENTS = 2_000
"""Of one listener; one that reads more slowly is sent away and comes back to a snapshot."""
MAX_OF_ONE_SESSION = 8
"""Listeners of one signed-in browser: its tabs, and not everybody's places."""
LOOK_S = 0.5
_RETRY_S = (0.2, 0.5, 1.0, 2.0)


class Listener:
    """One page that watches. Its queue is bounded; ``late`` is set when it was too slow."""

    def __init__(self, whose: str = "") -> None:
        self.whose = whose
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_WAITING_EVENTS)
        self.late = False

    def put(self, event: dict[str, Any]) -> None:
        """Never blocks; what does not fit makes the listener late."""
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.late = True

    async def some(self, patience_s: float) -> list[dict[str, Any]]:
        """Every event that waits, at least one; none after ``patience_s`` seconds of silence."""
        found: list[dict[str, Any]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                found.append(await self._events.get())
        while not self._events.empty():
            found.append(self._events.get_nowait())
        return found


class LiveBoard:
    """The board of this process."""

    def __init__(self, link: GatewayLink, state: BoardState, most_listeners: int) -> None:
        self._link = link
        self.state = state
        self._most = most_listeners
        self._listeners: set[Listener] = set()

    @contextmanager
    def listening(self, whose: str) -> Iterator[Listener]:
        """A listener that hears everything from its snapshot on; ``whose`` names a session.

        Raises:
            TooManyRequests: as many watch as may, in all or of that session.
        """
        if sum(each.whose == whose for each in self._listeners) >= MAX_OF_ONE_SESSION:
            raise TooManyRequests("Too many of your pages watch already.", retry_after_s=10)
        if len(self._listeners) >= self._most:
            raise TooManyRequests("Too many pages watch already.", retry_after_s=10)
        listener = Listener(whose)
        listener.put(_copied(self.state.snapshot(time.time())))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def follow(self) -> None:
        """Stay on the gateway's line for as long as the console runs."""
        failures = 0
        while True:
            try:
                async for event in self._link.events():
                    began = not self.state.gateway_up
                    failures = 0
                    self._tell(self.state.gateway_is(True, time.time()))
                    self._tell(self.state.apply(event, time.time()))
                    if began or event.get("event") == "answering_changed":
                        await self.refresh_answering()
            except ConsoleError as error:
                if self.state.gateway_up or not failures:
                    log.warning("gateway_events_lost", reason=str(error))
            except Exception:
                log.exception("gateway_events_failed")
            self._tell(self.state.gateway_is(False, time.time()))
            await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    async def look(self) -> None:
        """Look for alarms again and again: waiting grows by itself."""
        await repeat(self._look, LOOK_S)

    async def _look(self) -> None:
        self._tell(self.state.look(time.time()))

    async def refresh_answering(self) -> dict[str, Any]:
        """Ask the gateway for its switches; what is known stays when it does not answer."""
        with suppress(ConsoleError):
            answering = await self._link.get("/v1/answering")
            self._tell(self.state.answering_is(answering, time.time()))
        return self.state.answering

    def _tell(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            copied = _copied(event)
            for listener in self._listeners:
                listener.put(copied)


def _copied(event: dict[str, Any]) -> dict[str, Any]:
    """As it is now: calls and turns change under listeners that have not read yet."""
    copied: dict[str, Any] = json.loads(json.dumps(event, default=str))
    return copied
