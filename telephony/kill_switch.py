"""The kill switch as the gateway goes by it: kept in step with its file (``switch_file``).

A file that cannot be read, or is gone, leaves things as they are; one that cannot be read at the
start means that people answer, because whoever threw the switch had a reason. Taking agents off the
phones needs no disk at all: it holds at once, and is written down as soon as the disk takes it.
"""

from __future__ import annotations

import asyncio
import time
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
    SwitchUnwritable,
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
    "SwitchUnwritable",
    "as_rows",
    "unreadable_state",
]

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
KEEP_AGAIN_S = 2.0
"""A disk that did not take a change is tried again so often."""
DISK_PATIENCE_S = 1.0
"""Whoever takes agents off the phones waits so long to hear whether it is written down."""


class KillSwitch:
    """The state as the gateway goes by it, kept in step with the file."""

    def __init__(self, file: SwitchFile) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._listeners: list[Callable[[SwitchState], None]] = []
        self._unkept: list[Switch] = []
        self._keeping: asyncio.Task[None] | None = None
        self.state = SwitchState()

    def load(self) -> None:
        """Read the file for the first time (blocking)."""
        self._stamp = self._file.stamp()
        try:
            self.state = self._file.read()
        except SwitchUnreadable as error:
            log.critical("kill_switch_unreadable", path=str(self._file.path), reason=str(error))
            self.state = unreadable_state()

    @property
    def kept(self) -> bool:
        """Everything that holds is in the file, so that it outlives a restart."""
        return not self._unkept

    def on_change(self, listener: Callable[[SwitchState], None]) -> None:
        """Call it with every new state."""
        self._listeners.append(listener)

    async def follow(self, clock: Clock) -> None:
        """Look at the file every ``LOOK_EVERY_S``, for ever."""
        keep_again_s = 0.0
        while True:
            await clock.sleep_until(clock.now_s() + LOOK_EVERY_S)
            try:
                if self._unkept and clock.now_s() >= keep_again_s:
                    self._keep()
                    keep_again_s = clock.now_s() + KEEP_AGAIN_S
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
        self._adopt(state.caught_up(self._unkept))

    async def throw(
        self, *, on: bool, scope: Scope, name: str, reason: str, by: str
    ) -> SwitchState:
        """Go by it at once, and change the file.

        Agents are taken off the phones even where the file cannot be written; ``kept`` then says
        so until it could. They are let back only by what is in the file.

        Raises:
            SwitchRefused: see ``SwitchFile.throw``.
        """
        if on:
            # a clock that was set back must not make it look older than what it overrules
            since = max([time.time(), *(switch.since for switch in self.state.switches)])
            switch = Switch(scope, name, on, reason, by, since)
            self._adopt(self.state.changed(switch))
            self._unkept.append(switch)
            await asyncio.wait({self._keep()}, timeout=DISK_PATIENCE_S)
            return self.state
        state = await asyncio.to_thread(
            self._file.throw, on=on, scope=scope, name=name, reason=reason, by=by
        )
        self._unkept = [s for s in self._unkept if (s.scope, s.name) != (scope, name)]
        self._adopt(state.caught_up(self._unkept))
        return self.state

    def _keep(self) -> asyncio.Task[None]:
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._write_down())
        return self._keeping

    async def _write_down(self) -> None:
        missed = tuple(self._unkept)
        try:
            state = await asyncio.to_thread(self._file.keep, missed)
        except Exception as error:  # whatever it is: it is tried again
            log.critical("kill_switch_not_kept", path=str(self._file.path), reason=str(error))
            return
        self._unkept = [switch for switch in self._unkept if switch not in missed]
        self._adopt(state.caught_up(self._unkept))

    def _adopt(self, state: SwitchState) -> None:
        if state == self.state:
            return
        self.state = state
        log.warning("kill_switch_changed", on=[asdict(s) for s in state.switches if s.on])
        for listener in self._listeners:
            listener(state)
