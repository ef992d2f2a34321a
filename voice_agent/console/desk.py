"""What every endpoint of the console works with, gathered once at its start."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voice_agent.config import Settings
from voice_agent.console.access import Door
from voice_agent.console.accounts import Accounts
from voice_agent.console.audit import AuditLog
from voice_agent.console.endpoints import signed_in
from voice_agent.console.gateway_link import GatewayLink
from voice_agent.console.grades import Grades
from voice_agent.console.history import History
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

    async def note(
        self, request: web.Request, action: str, target: str = "", /, **detail: Any
    ) -> None:
        """Write an act of whoever asks into the audit log, before it is done.

        Raises:
            AuditUnwritable: it cannot be noted, so it must not be done.
        """
        who = signed_in(request)
        await asyncio.to_thread(
            self.audit.add,
            who.user,
            who.role.value,
            action,
            target,
            address=self.door.address_of(request),
            **detail,
        )
