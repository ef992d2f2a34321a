"""Ends what somebody does in a call once they may no more: rights that are gone are gone at once.

The gateway knows nobody's rights, and a line that stands needs no further request: somebody who was
removed, given another role or signed out would else listen, or have the caller, until they hang up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from voice_agent.background import repeat
from voice_agent.console.accounts import Accounts
from voice_agent.console.audit import AuditLog, AuditUnwritable
from voice_agent.console.errors import ConsoleError
from voice_agent.console.gateway_link import GatewayLink, call_path
from voice_agent.console.live import LiveBoard
from voice_agent.console.roles import SUPERVISING, Permission, Role, may

log = structlog.get_logger(__name__)

LOOK_S = 5.0
AGAIN_S = 1.0
"""Who seems to have no session is looked for again: a new password ends and begins one."""


@dataclass(frozen=True, slots=True)
class Overstayed:
    """Somebody in a call who may not do there what they do."""

    call_id: str
    name: str
    mode: str
    may_listen: bool
    """They are still signed in, with a role that listens: only their mode is taken away."""


def overstayed(
    calls: Iterable[Mapping[str, Any]], signed_in: Mapping[str, Role]
) -> Iterator[Overstayed]:
    """Whoever is in one of ``calls`` without the right to; ``signed_in``: names in lower case."""
    for call in calls:
        visit = call.get("supervisor")
        if not isinstance(visit, Mapping):
            continue
        name, mode = str(visit.get("name", "")), str(visit.get("mode", ""))
        role = signed_in.get(name.lower())
        if not may(role, SUPERVISING.get(mode, Permission.TAKEOVER)):
            listens = mode != "listen" and may(role, Permission.LISTEN)
            yield Overstayed(str(call.get("call_id", "")), name, mode, listens)


class SupervisionWatch:
    """Looks at every live call again and again, for as long as the console runs."""

    def __init__(
        self, live: LiveBoard, accounts: Accounts, link: GatewayLink, audit: AuditLog
    ) -> None:
        self._live = live
        self._accounts = accounts
        self._link = link
        self._audit = audit

    async def follow(self) -> None:
        """Look until cancelled. Accounts that cannot be read end nothing."""
        await repeat(self.look, LOOK_S)

    async def look(self) -> None:
        """Send away who may no more."""
        seen = await self._overstayed()
        if not seen:
            return
        await asyncio.sleep(AGAIN_S)
        for each in await self._overstayed():
            if each in seen:
                await self._send_away(each)

    async def _overstayed(self) -> list[Overstayed]:
        calls = list(self._live.state.calls.values())
        if not any(each.get("supervisor") for each in calls):
            return []
        return list(overstayed(calls, await asyncio.to_thread(self._accounts.signed_in)))

    async def _send_away(self, who: Overstayed) -> None:
        try:
            await self._audit.note("console", "", "supervision_ended", who.call_id,
                name=who.name, mode=who.mode, listens_on=who.may_listen,
            )  # fmt: skip
        except AuditUnwritable as error:  # whoever lost their rights must not stay because of it
            log.error("supervision_end_not_noted", name=who.name, reason=str(error))
        what: dict[str, Any] = {"name": who.name}
        try:
            if who.may_listen:
                await self._link.post(call_path(who.call_id, "mode"), what | {"mode": "listen"})
            else:
                await self._link.post(call_path(who.call_id, "leave"), what)
        except ConsoleError as error:  # gone already, or the next look finds them again
            log.warning("supervision_not_ended", call_id=who.call_id, reason=str(error))
