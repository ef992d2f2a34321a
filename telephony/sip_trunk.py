"""Our registration with a trunk or PBX, kept alive for as long as the line is."""

from __future__ import annotations

import asyncio
from enum import StrEnum

import structlog
from baresip import BaresipError, Event, RegistrationError, StackEvent, UserAgent

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 2.0
LAST_RETRY_S = 60.0


class Registration(StrEnum):
    """Whether the trunk knows us."""

    NONE = "none"
    """No trunk is configured."""
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"


def retry_after_s(failures: int) -> float:
    """How long to wait before attempt ``failures + 1``: 2, 4, 8 … at most 60 s."""
    return float(min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** max(0, min(failures, 16) - 1)))


class TrunkRegistration:
    """Registers, and again with growing pauses whenever the trunk refuses or goes away. Refreshing
    what has been accepted is the stack's own business."""

    def __init__(self, agent: UserAgent) -> None:
        self.state = Registration.REGISTERING
        self._agent = agent
        self._lost = asyncio.Event()
        agent.on(self._on_stack_event)
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop trying, and take our address back if the trunk has it."""
        while not self._task.done():
            # The bindings wait with ``wait_for``, which in Python 3.11 may swallow a cancellation.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)
        if self.state is Registration.REGISTERED:
            try:
                await self._agent.unregister(timeout=2.0)
            except BaresipError as error:
                log.info("trunk_unregister_failed", error=str(error))
        self.state = Registration.NONE

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._lost.clear()
            try:
                await self._agent.register()
                if not self._lost.is_set():
                    failures = 0
                    self.state = Registration.REGISTERED
                    log.info("trunk_registered")
                await self._lost.wait()
                log.warning("trunk_registration_lost")
            except RegistrationError as error:
                log.warning("trunk_registration_failed", status=error.status, error=error.reason)
            except BaresipError as error:
                log.warning("trunk_registration_failed", status=None, error=str(error))
            self.state = Registration.FAILED
            failures += 1
            await asyncio.sleep(retry_after_s(failures))

    def _on_stack_event(self, event: StackEvent) -> None:
        if event.event is Event.REGISTER_FAIL:
            self.state = Registration.FAILED
            self._lost.set()
        elif event.event is Event.REGISTER_OK and not self._task.done():
            self.state = Registration.REGISTERED
