"""The kill switch as the gateway goes by it: kept in step with its file (``switch_file``).

A file that cannot be read, or is gone, leaves things as they are; one that cannot be read at the
start means that people answer, because whoever threw the switch had a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import structlog

from telephony.clock import Clock
from telephony.switch_file import (
    Scope,
    Switch,
    SwitchFile,
    SwitchRefused,
    SwitchState,
    SwitchUnreadable,
    as_rows,
    unreadable_state,
)

__all__ = [
    "KillSwitch",
    "Scope",
    "Switch",
    "SwitchFile",
    "SwitchRefused",
    "SwitchState",
    "SwitchUnreadable",
    "as_rows",
    "unreadable_state",
]

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2


class KillSwitch:
    """The state as the gateway goes by it, kept in step with the file."""

    def __init__(self, file: SwitchFile) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._listeners: list[Callable[[SwitchState], None]] = []
        self.state = SwitchState()

    def load(self) -> None:
        """Read the file for the first time (blocking)."""
        self._stamp = self._file.stamp()
        try:
            self.state = self._file.read()
        except SwitchUnreadable as error:
            log.critical("kill_switch_unreadable", path=str(self._file.path), reason=str(error))
            self.state = unreadable_state()

    def on_change(self, listener: Callable[[SwitchState], None]) -> None:
        """Call it with every new state."""
        self._listeners.append(listener)

    async def follow(self, clock: Clock) -> None:
        """Look at the file every ``LOOK_EVERY_S``, for ever."""
        while True:
            await clock.sleep_until(clock.now_s() + LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:  # whatever it is: a switch that nobody looks at is none
                log.exception("kill_switch_not_followed")

    async def look(self) -> None:
        """Take over what the file says, if it has changed."""
        stamp = await asyncio.to_thread(self._file.stamp)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:  # deleted: that is nobody's decision
            log.error("kill_switch_vanished", path=str(self._file.path))
            return
        try:
            state = await asyncio.to_thread(self._file.read)
        except SwitchUnreadable as error:
            log.critical("kill_switch_unreadable", path=str(self._file.path), reason=str(error))
            return
        self._adopt(state)

    async def throw(
        self, *, on: bool, scope: Scope, name: str, reason: str, by: str
    ) -> SwitchState:
        """Change the file, and go by it at once.

        Raises:
            SwitchRefused: see ``SwitchFile.throw``.
        """
        state = await asyncio.to_thread(
            self._file.throw, on=on, scope=scope, name=name, reason=reason, by=by
        )
        self._adopt(state)
        return state

    def _adopt(self, state: SwitchState) -> None:
        if state == self.state:
            return
        self.state = state
        log.warning("kill_switch_changed", on=[asdict(s) for s in state.switches if s.on])
        for listener in self._listeners:
            listener(state)
