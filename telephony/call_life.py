"""The tasks of one call, which end with it, and what every part of the call works with."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from telephony.call import Leg
from telephony.call_media import CallMedia
from telephony.clock import Clock
from telephony.key_presses import KeyPresses
from telephony.law import CallLaw
from telephony.prompts import Prompts
from telephony.settings import GatewaySettings

log = structlog.get_logger(__name__)


class CallOver(RuntimeError):
    """Something was to begin for a call that has just ended: no failure of anybody's."""


class CallLife:
    """From the first task to the last. A task that fails ends the call."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.outcome = "failed"
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def run(self, *work: Coroutine[Any, Any, Any]) -> None:
        """Run these, and what is spawned meanwhile, until the call is to end."""
        try:
            async with self._group:
                for each in work:
                    self.spawn(each)
                await self.over.wait()
                for task in self._tasks:
                    task.cancel()
        except* CallOver:
            log.debug("began_too_late")
        except* Exception as errors:
            for error in errors.exceptions:
                log.error("call_failed", exc_info=error)
            self.outcome = "failed"

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that must end with the call.

        Raises:
            CallOver: the call is over: nothing would end it any more.
        """
        if self.over.is_set():
            work.close()
            raise CallOver
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_done)
        return task

    def end(self, outcome: str) -> None:
        """End the call; the first reason given counts."""
        if not self.over.is_set():
            self.outcome = outcome
            self.over.set()

    def _note_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.end("failed")


@dataclass(frozen=True, slots=True)
class CallParts:
    """What those who serve one caller have in common."""

    call_id: str
    route: str
    queue: str
    """The people who answer for this route."""
    caller: Leg
    settings: GatewaySettings
    prompts: Prompts
    clock: Clock
    media: CallMedia
    keys: KeyPresses
    life: CallLife
    law: CallLaw
