"""What every endpoint of the console works with, gathered once at its start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voice_agent.config import Settings
from voice_agent.console.access import Door
from voice_agent.console.accounts import Accounts
from voice_agent.console.audit import AuditLog, AuditUnwritable
from voice_agent.console.endpoints import signed_in
from voice_agent.console.gateway_link import GatewayLink
from voice_agent.console.grades import Grades
from voice_agent.console.history import History
from voice_agent.console.interventions import Interventions
from voice_agent.console.limits import Lockout
from voice_agent.console.live import LiveBoard


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one console."""

    settings: Settings
    accounts: Accounts
    audit: AuditLog
    door: Door
    link: GatewayLink
    live: LiveBoard
    history: History
    grades: Grades
    interventions: Interventions
    lockout: Lockout

    async def note(
        self, request: web.Request, action: str, target: str = "", /, **detail: Any
    ) -> None:
        """Write an act of whoever asks into the audit log, before it is done.

        Raises:
            AuditUnwritable: it cannot be noted, so it must not be done.
        """
        who = signed_in(request)
        await self.audit.note(
            who.user,
            who.role.value,
            action,
            target,
            address=self.door.address_of(request),
            **detail,
        )

    @asynccontextmanager
    async def noted(
        self, request: web.Request, action: str, target: str = "", /, **detail: Any
    ) -> AsyncIterator[None]:
        """Note an act, then do it inside; one that is refused or fails is noted as such too, so
        that none stands in the log as done that was not.

        Raises:
            AuditUnwritable: it cannot be noted, so it must not be done.
        """
        await self.note(request, action, target, **detail)
        try:
            yield
        except Exception as error:
            with suppress(AuditUnwritable):
                await self.note_refused(request, action, target, error)
            raise

    async def note_refused(
        self, request: web.Request, action: str, target: str, error: Exception
    ) -> None:
        """Note that an act which was noted was not done.

        Raises:
            AuditUnwritable: it cannot be noted.
        """
        await self.note(
            request, f"{action}_refused", target, reason=getattr(error, "code", "failed")
        )
