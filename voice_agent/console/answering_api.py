"""The kill switch: who may take the agent off the phones, and how they are told apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, cast

import structlog
from aiohttp import web

from telephony.kill_switch import (
    Scope,
    SwitchFile,
    SwitchRefused,
    SwitchUnreadable,
    SwitchUnwritable,
    as_rows,
)
from telephony.switch_file import unknown_name
from voice_agent.console.audit import AuditUnwritable
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, signed_in, text_of
from voice_agent.console.errors import BadRequest, GatewayRefused, Unavailable
from voice_agent.console.gateway_link import GatewayUnreachable
from voice_agent.console.roles import Permission

log = structlog.get_logger(__name__)

Note: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

DRILLS_SHOWN = 20
NOTE_PATIENCE_S = 1.0
"""Nobody who takes agents off the phones waits longer for the audit log."""
NOTE_AGAIN_S = (5.0, 60.0, 600.0, 3_600.0)
UNPROCESSABLE = 422
"""How the gateway refuses a change that it has understood."""
SCOPES = ("all", "queue", "route")


class AnsweringApi:
    """``/api/answering``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._file = SwitchFile(desk.settings.gateway.kill_switch)
        self._late: set[asyncio.Task[None]] = set()

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        return [
            Endpoint("GET", "/api/answering", Permission.ANSWERING, self._read),
            Endpoint("PUT", "/api/answering", Permission.KILL_SWITCH, self._switch),
        ]

    async def _read(self, _: web.Request) -> web.Response:
        answering = self._with_names(await self._switches())
        answering["drills"] = await asyncio.to_thread(self._drills)
        return web.json_response(answering)

    async def _switch(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        scope, name = text_of(body, "scope", most=10), text_of(body, "name", required=False)
        reason, on = text_of(body, "reason", most=300), body.get("on")
        if scope not in SCOPES or (scope != "all" and not name):
            raise BadRequest("`scope` is all, queue or route; the last two have a `name`.")
        if not isinstance(on, bool):
            raise BadRequest("`on` must be true (agents answer nobody) or false.")
        by = signed_in(request).user
        action = "kill_switch_on" if on else "kill_switch_off"
        note = partial(self._desk.note, request, action, scope, name=name, reason=reason)
        if on:
            await self._noted_in_time(note)
        else:
            await note()
        asked = {"scope": scope, "name": name, "on": on, "reason": reason, "by": by}
        try:
            answer = await self._throw(asked)
        except Exception as error:
            with suppress(AuditUnwritable):
                await self._desk.note_refused(request, action, scope, error)
            raise
        answer = self._with_names(answer)
        warning = unknown_name(scope, name, answer["queues"], answer["routes"])
        return web.json_response(answer | {"warning": warning})

    async def _noted_in_time(self, note: Note) -> None:
        """Note it first where that goes quickly: taking agents off the phones works whatever else
        does not. The gateway keeps who did it and why as well."""
        noting = asyncio.create_task(note())
        await asyncio.wait({noting}, timeout=NOTE_PATIENCE_S)
        if not noting.done() or noting.exception() is not None:
            late = asyncio.create_task(_noted_late(noting, note))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _throw(self, asked: dict[str, Any]) -> dict[str, Any]:
        on: bool = asked["on"]
        try:
            answer = await self._desk.link.put("/v1/answering", asked)
            await self._desk.live.refresh_answering()
            return answer
        except (GatewayUnreachable, GatewayRefused) as error:
            understood = isinstance(error, GatewayRefused) and error.status == UNPROCESSABLE
            if understood or (not on and isinstance(error, GatewayRefused)):
                raise
            # its file is enough: the gateway goes by it once it can again
            return await self._throw_in_file(
                asked["scope"], asked["name"], on, asked["reason"], asked["by"]
            )

    async def _switches(self) -> dict[str, Any]:
        try:
            return await self._desk.link.get("/v1/answering")
        except GatewayUnreachable:
            try:
                state = await asyncio.to_thread(self._file.read)
            except SwitchUnreadable as error:
                raise Unavailable(str(error)) from error
            return {"switches": as_rows(state.switches), "gateway": "down"}

    def _drills(self) -> list[dict[str, Any]]:
        """The latest drills of the switch, newest first, with the times they took."""
        path = self._desk.settings.drills.record
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        found: list[dict[str, Any]] = []
        for line in reversed(lines):
            try:
                drill = json.loads(line)
                if drill["drill"] == "kill-switch" and len(found) < DRILLS_SHOWN:
                    found.append(drill)
            except (ValueError, KeyError, TypeError):
                continue  # cut short by a crash
        return found

    async def _throw_in_file(
        self, scope: str, name: str, on: bool, reason: str, by: str
    ) -> dict[str, Any]:
        try:
            state = await asyncio.to_thread(
                self._file.throw, on=on, scope=cast(Scope, scope), name=name, reason=reason, by=by
            )
        except SwitchUnwritable as error:
            raise Unavailable(str(error)) from error
        except SwitchRefused as error:
            raise BadRequest(str(error)) from error
        return {"switches": as_rows(state.switches), "gateway": "down"}

    def _with_names(self, answering: dict[str, Any]) -> dict[str, Any]:
        """With what can be switched, for the page to choose from."""
        gateway = self._desk.settings.gateway
        queues = {"main", *gateway.human.queues, *gateway.routes.values()}
        return {**answering, "queues": sorted(queues), "routes": sorted(gateway.routes)}


async def _noted_late(noting: asyncio.Task[None], note: Note) -> None:
    for wait_s in NOTE_AGAIN_S:
        try:
            await noting
            return
        except AuditUnwritable as error:
            log.critical("kill_switch_not_noted", reason=str(error), again_in_s=wait_s)
        await asyncio.sleep(wait_s)
        noting = asyncio.create_task(note())
    await noting
