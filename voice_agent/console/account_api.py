"""One's own account: the password, and the authenticator that gives the second factor."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import segno
from aiohttp import web

from voice_agent.console import passwords
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, signed_in, text_of
from voice_agent.console.errors import BadRequest, NotFound
from voice_agent.console.roles import Permission
from voice_agent.console.sign_in import SignIn

TOTP_PATIENCE_S = 600.0
"""An authenticator that is being set up has to give its first code within so long."""


@dataclass(slots=True)
class _Pending:
    secret: str
    until: float


class AccountApi:
    """``/api/me/…``: what somebody may change of themselves."""

    def __init__(self, desk: Desk, sign_in: SignIn) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._pending: dict[str, _Pending] = {}

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        own = Permission.SIGNED_IN
        return [
            Endpoint("GET", "/api/me/account", own, self._account),
            Endpoint("POST", "/api/me/password", own, self._change_password),
            Endpoint("POST", "/api/me/totp", own, self._begin_totp),
            Endpoint("POST", "/api/me/totp/confirm", own, self._confirm_totp),
        ]

    async def _account(self, request: web.Request) -> web.Response:
        session = signed_in(request)
        user = await asyncio.to_thread(self._desk.accounts.user, session.user)
        if user is None:
            raise NotFound("You are no user any more.")
        return web.json_response(
            {
                "name": user.name,
                "role": user.role.value,
                "password": bool(user.password),
                "totp": bool(user.totp),
                "totp_demanded": user.role in self._desk.settings.console.totp_roles,
                "session_began": session.began_at,
            }
        )

    async def _change_password(self, request: web.Request) -> web.Response:
        """Another password; every other session is over, and this one begins anew."""
        body = await body_of(request)
        new = body.get("new")
        if not isinstance(new, str):
            raise BadRequest("`new` is missing.")
        user = await self._sign_in.prove(request, body.get("old"))
        kept = await self._sign_in.hashed(user.name, new)
        async with self._desk.noted(request, "password_changed", user.name):
            await asyncio.to_thread(self._desk.accounts.set_password, user.name, kept)
        session, response = await self._sign_in.begin(user, self._desk.door.address_of(request))
        response.text = json.dumps(self._sign_in.described(session))
        return response

    async def _begin_totp(self, request: web.Request) -> web.Response:
        user = await self._sign_in.prove(request, (await body_of(request)).get("password"))
        secret = passwords.new_totp_secret()
        now = time.monotonic()
        self._pending = {name: each for name, each in self._pending.items() if each.until > now}
        self._pending[user.name] = _Pending(secret, now + TOTP_PATIENCE_S)
        uri = passwords.totp_uri(secret, user.name, self._desk.settings.answering.company)
        return web.json_response({"uri": uri, "secret": secret, "code": drawn(uri)})

    async def _confirm_totp(self, request: web.Request) -> web.Response:
        session, body = signed_in(request), await body_of(request)
        pending = self._pending.get(session.user)
        if pending is None or pending.until < time.monotonic():
            raise BadRequest("That took too long: please begin again.")
        step = passwords.totp_step(pending.secret, text_of(body, "totp", most=12))
        if step is None:
            raise BadRequest("The code does not fit; is the authenticator's clock right?")
        async with self._desk.noted(request, "totp_set", session.user):
            await asyncio.to_thread(self._desk.accounts.set_totp, session.user, pending.secret)
        await asyncio.to_thread(self._desk.accounts.use_totp, session.user, step)
        del self._pending[session.user]
        return web.json_response({"totp": True})


def drawn(text: str) -> dict[str, Any]:
    """A QR code of a text, without its quiet zone: ``size`` modules square, and the dark ones as
    ``path`` of an SVG whose unit is one module. The page draws it: the secret is in no address."""
    code = segno.make(text, micro=False, error="m")
    rows = [list(row) for row in code.matrix]
    path = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    return {"size": len(rows), "path": path}
