"""Who may sign in, who did what, and what each role may do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from voice_agent.console import passwords
from voice_agent.console.accounts import check_name
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, number_of, signed_in, text_of
from voice_agent.console.errors import BadRequest, Conflict, NotFound
from voice_agent.console.roles import Permission, Role

AUDIT_PAGE = 100


class PeopleApi:
    """``/api/users``, ``/api/audit``, ``/api/roles``."""

    def __init__(self, desk: Desk, table: Callable[[], list[dict[str, Any]]]) -> None:
        self._desk = desk
        self._table = table

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        users, one = Permission.USERS, "/api/users/{name}"
        return [
            Endpoint("GET", "/api/users", users, self._users),
            Endpoint("POST", "/api/users", users, self._add),
            Endpoint("PUT", f"{one}/role", users, self._set_role),
            Endpoint("DELETE", one, users, self._remove),
            Endpoint("DELETE", f"{one}/block", users, self._let_back),
            Endpoint("PUT", f"{one}/password", users, self._reset_password),
            Endpoint("DELETE", f"{one}/totp", users, self._reset_totp),
            Endpoint("DELETE", f"{one}/sessions", users, self._end_sessions),
            Endpoint("GET", "/api/audit", Permission.AUDIT, self._audit),
            Endpoint("GET", "/api/roles", Permission.SIGNED_IN, self._roles),
        ]

    async def _users(self, _: web.Request) -> web.Response:
        rows = await asyncio.to_thread(self._desk.accounts.users)
        locked_s, now = self._desk.lockout.locked_s, time.monotonic()
        return web.json_response(
            {
                "users": [
                    {
                        "name": user.name,
                        "role": user.role.value,
                        "totp": bool(user.totp),
                        "password": bool(user.password),
                        "locked": locked_s(user.name, now) > 0,
                        "blocked": user.blocked,
                        "sessions": sessions,
                        "last_sign_in": user.last_sign_in,
                    }
                    for user, sessions in rows
                ],
                "roles": [role.value for role in Role],
            }
        )

    async def _add(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        name, role = text_of(body, "name", most=64), _role(text_of(body, "role", most=20))
        password = body.get("password")
        if not isinstance(password, str):
            raise BadRequest("`password` is missing.")
        check_name(name)
        if await asyncio.to_thread(self._desk.accounts.user, name) is not None:
            raise Conflict(f"There is already a user {name}.")
        kept = await asyncio.to_thread(passwords.hash_password, name, password)
        async with self._desk.noted(request, "user_added", name, role=role.value):
            await asyncio.to_thread(self._desk.accounts.add, name, role, kept)
        return web.json_response({"name": name, "role": role.value}, status=201)

    async def _set_role(self, request: web.Request) -> web.Response:
        name = await self._somebody_else(request)
        role = _role(text_of(await body_of(request), "role", most=20))
        async with self._desk.noted(request, "role_changed", name, to=role.value):
            await asyncio.to_thread(self._desk.accounts.set_role, name, role)
        return web.json_response({"name": name, "role": role.value})

    async def _reset_password(self, request: web.Request) -> web.Response:
        """A new password for somebody who has lost theirs; their sessions are over."""
        name = await self._somebody_else(request)
        password = (await body_of(request)).get("password")
        if not isinstance(password, str):
            raise BadRequest("`password` is missing.")
        kept = await asyncio.to_thread(passwords.hash_password, name, password)
        async with self._desk.noted(request, "password_reset", name):
            await asyncio.to_thread(self._desk.accounts.set_password, name, kept)
        self._desk.lockout.let_in(name)
        return web.json_response({"name": name})

    async def _reset_totp(self, request: web.Request) -> web.Response:
        """The authenticator is lost: the password alone opens the account, until one is set up."""
        name = await self._somebody_else(request)
        async with self._desk.noted(request, "totp_reset", name):
            await asyncio.to_thread(self._desk.accounts.set_totp, name, "")
        return web.json_response({"name": name, "totp": False})

    async def _remove(self, request: web.Request) -> web.Response:
        name = await self._somebody_else(request)
        async with self._desk.noted(request, "user_removed", name):
            await asyncio.to_thread(self._desk.accounts.remove, name)
        return web.json_response({})

    async def _let_back(self, request: web.Request) -> web.Response:
        """Somebody who was removed may come by their company's account again."""
        name = await self._somebody_else(request)
        async with self._desk.noted(request, "user_let_back", name):
            await asyncio.to_thread(self._desk.accounts.let_back, name)
        return web.json_response({"name": name, "blocked": False})

    async def _end_sessions(self, request: web.Request) -> web.Response:
        name = await self._known(request)
        async with self._desk.noted(request, "sessions_ended", name):
            ended = await asyncio.to_thread(self._desk.accounts.end_sessions, name)
        return web.json_response({"ended": ended})

    async def _known(self, request: web.Request) -> str:
        user = await asyncio.to_thread(self._desk.accounts.user, request.match_info["name"])
        if user is None:
            raise NotFound("There is no such user.")
        return user.name

    async def _somebody_else(self, request: web.Request) -> str:
        """Nobody takes away their own rights by a slip: the last administrator would be gone."""
        name = await self._known(request)
        if name.lower() == signed_in(request).user.lower():
            raise Conflict("That is yourself; another administrator has to do it.")
        return name

    async def _audit(self, request: web.Request) -> web.Response:
        page = int(number_of(request, "page", 1, 1, 1_000_000))
        entries, total = await asyncio.to_thread(self._desk.audit.page, page, AUDIT_PAGE)
        verdict = await asyncio.to_thread(self._desk.audit.verify)
        return web.json_response(
            {
                "entries": [
                    {
                        name: getattr(entry, name)
                        for name in (
                            "seq", "at", "user", "role", "action", "target", "detail", "hash",
                        )
                    }
                    for entry in entries
                ],
                "page": page,
                "pages": -(-total // AUDIT_PAGE),
                "verified": not verdict.fault,
                "fault": verdict.fault,
                "faults": verdict.faults,
                "signed": verdict.signed,
                "unsigned": verdict.unsigned,
            }
        )  # fmt: skip

    async def _roles(self, _: web.Request) -> web.Response:
        return web.json_response({"endpoints": self._table()})


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError as error:
        raise BadRequest(f"`role` must be one of {', '.join(Role)}.") from error
