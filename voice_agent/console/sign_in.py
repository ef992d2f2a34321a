"""Signing in and out: password, and the code of an authenticator."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from voice_agent.console import passwords
from voice_agent.console.accounts import Session, User
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, signed_in, text_of
from voice_agent.console.errors import (
    BadRequest,
    Locked,
    NotSignedIn,
    SignInRefused,
    TooManyRequests,
    TotpRequired,
    WrongPassword,
)
from voice_agent.console.limits import Buckets
from voice_agent.console.roles import GRANTS, Permission

log = structlog.get_logger(__name__)

_AT_ONCE = 2
"""Passwords hashed at the same time: a flood of them must not take the machine."""
_NOTED_ATTEMPTS = frozenset(10**power for power in range(7))
_WAITING = 20


class SignIn:
    """``/api/sign-in``, ``/api/sign-out``, ``/api/me`` and what belongs to them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._settings = desk.settings.console
        self._lockout = desk.lockout
        self._tries = Buckets(per_s=0.2, burst=15)
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        public, own = Permission.PUBLIC, Permission.SIGNED_IN
        return [
            Endpoint("GET", "/api/entry", public, self._entry),
            Endpoint("POST", "/api/sign-in", public, self._sign_in),
            Endpoint("POST", "/api/sign-out", own, self._sign_out),
            Endpoint("GET", "/api/me", public, self._me),
        ]

    async def _entry(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "signed_in": await self._session(request) is not None,
                "oidc": self._settings.oidc is not None,
                "company": self._desk.settings.answering.company,
            }
        )

    async def _me(self, request: web.Request) -> web.Response:
        """Who is signed in. It is public so that nobody's answer can say how to sign in."""
        session = await self._session(request)
        oidc = self._settings.oidc is not None
        if session is None:
            error = {"code": NotSignedIn.code, "message": "Please sign in."}
            return web.json_response({"error": error, "oidc": oidc}, status=401)
        return web.json_response(self.described(session))

    async def _session(self, request: web.Request) -> Session | None:
        token = request.cookies.get(self._desk.door.cookie, "")
        return await asyncio.to_thread(self._desk.accounts.session, token) if token else None

    def described(self, session: Session) -> dict[str, Any]:
        """What a page is told of who it is."""
        owes_factor = self._desk.door.owes_factor(session)
        granted = frozenset() if owes_factor else GRANTS[session.role]
        return {
            "user": session.user,
            "role": session.role.value,
            "csrf": session.csrf,
            "permissions": sorted(each.value for each in granted),
            "ice_servers": [
                {"urls": url} for url in self._desk.settings.gateway.web.ice_servers
                if url.startswith("stun")
            ],
            "phones": [
                {"name": name, "uri": name}
                for name in self._desk.settings.gateway.control.phones
                if Permission.LISTEN in granted
            ],
            "queues": [
                name
                for name in self._desk.settings.gateway.human.queues
                if Permission.TO_PERSON in granted
            ],
            "factor_missing": owes_factor,
            "oidc": self._settings.oidc is not None,
            "company": self._desk.settings.answering.company,
        }  # fmt: skip

    async def _sign_in(self, request: web.Request) -> web.Response:
        address = self._desk.door.address_of(request)
        now = time.monotonic()
        if wait_s := self._tries.wait_s(address, now):
            raise TooManyRequests("Too many attempts; please wait.", retry_after_s=wait_s)
        body = await body_of(request)
        name = text_of(body, "user", most=64)
        password = body.get("password")
        if not isinstance(password, str) or len(password) > 1_000:
            raise BadRequest("`password` is missing.")
        if locked_s := self._lockout.locked_s(name, now):
            attempts = self._lockout.turned_away(name)
            if attempts in _NOTED_ATTEMPTS:  # one line for each would fill the audit log
                await self._audit(request, name, "sign_in_locked", attempts=attempts)
            raise _locked(locked_s)
        user = await asyncio.to_thread(self._desk.accounts.user, name)
        # counted before it is looked at: many attempts at once must not all slip by
        locked_s = self._lockout.failed(name, now)
        try:
            fits = await self._fits(user.password if user else "", password)
        except TooManyRequests:
            self._lockout.forgive(name)
            raise
        if not fits or user is None:
            await self._audit(request, name, "sign_in_failed", locked_s=round(locked_s) or None)
            raise SignInRefused("The name or the password is wrong.")
        await self._check_code(request, user, text_of(body, "totp", most=12, required=False))
        self._lockout.let_in(name)
        if passwords.needs_rehash(user.password):
            kept = await self.hashed(user.name, password)
            await asyncio.to_thread(self._desk.accounts.rehash, user.name, kept)
        await self._audit(request, user.name, "signed_in", role=user.role.value)
        session, response = await self.begin(user, address)
        response.text = json.dumps(self.described(session))
        return response

    async def begin(self, user: User, address: str) -> tuple[Session, web.Response]:
        """A session, and an answer that carries its cookie."""
        token, session = await asyncio.to_thread(self._desk.accounts.begin_session, user, address)
        response = web.Response(content_type="application/json")
        self.set_cookie(response, token)
        return session, response

    def set_cookie(self, response: web.StreamResponse, token: str) -> None:
        """The session's cookie: no script reads it, no other site sends it."""
        response.set_cookie(
            self._desk.door.cookie,
            token,
            httponly=True,
            samesite="Strict",
            secure=self._desk.door.secure,
            path="/",
        )

    async def _check_code(self, request: web.Request, user: User, code: str) -> None:
        if not user.totp:
            if user.role in self._settings.totp_roles:  # enough to set one up, and no more
                await self._audit(request, user.name, "sign_in_without_totp")
            return
        if not code:
            self._lockout.forgive(user.name)
            raise TotpRequired("Please give the code of your authenticator.")
        step = passwords.totp_step(user.totp, code)
        if step is None or not await asyncio.to_thread(
            self._desk.accounts.use_totp, user.name, step
        ):
            await self._audit(request, user.name, "sign_in_failed", reason="code")
            raise SignInRefused("The code is wrong, or was used before.")

    async def _fits(self, kept: str, password: str) -> bool:
        async with self._hash_turn():
            return await asyncio.to_thread(passwords.password_fits, kept, password)

    async def prove(self, request: web.Request, password: object) -> User:
        """Who is signed in, once they have given their password again.

        A session alone, left open on a desk, must not be enough to take an account over.

        Raises:
            BadRequest: no password came.
            Locked: too many wrong ones.
            WrongPassword: it is not theirs.
        """
        if not isinstance(password, str) or not password or len(password) > 1_000:
            raise BadRequest("Your own password is needed.")
        session, now = signed_in(request), time.monotonic()
        user = await asyncio.to_thread(self._desk.accounts.user, session.user)
        if locked_s := self._lockout.locked_s(session.user, now):
            raise _locked(locked_s)
        # counted before it is looked at, as at the sign-in
        self._lockout.failed(session.user, now)
        try:
            fits = await self._fits(user.password if user else "", password)
        except TooManyRequests:
            self._lockout.forgive(session.user)
            raise
        if user is None or not fits:
            await self._desk.note(request, "password_refused", session.user)
            raise WrongPassword("That is not your password.")
        self._lockout.let_in(session.user)
        return user

    async def hashed(self, name: str, password: str) -> str:
        """What is kept of a password.

        Raises:
            BadRequest: it is too weak.
            TooManyRequests: too many are being hashed.
        """
        async with self._hash_turn():
            return await asyncio.to_thread(passwords.hash_password, name, password)

    @asynccontextmanager
    async def _hash_turn(self) -> AsyncIterator[None]:
        if self._waiting >= _WAITING:
            raise TooManyRequests("Too many people sign in at once.", retry_after_s=3)
        self._waiting += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._waiting -= 1

    async def _sign_out(self, request: web.Request) -> web.Response:
        session = signed_in(request)
        await asyncio.to_thread(self._desk.accounts.end_session, session.digest)
        await self._desk.note(request, "signed_out")
        response = web.json_response({})
        response.del_cookie(self._desk.door.cookie, path="/", secure=self._desk.door.secure)
        return response

    async def _audit(
        self, request: web.Request, name: str, action: str, role: str = "", **detail: Any
    ) -> None:
        await self._desk.audit.note(
            name,
            role,
            action,
            name,
            address=self._desk.door.address_of(request),
            **detail,
        )


def _locked(locked_s: float) -> Locked:
    seconds = math.ceil(locked_s)
    wait = f"{seconds} seconds" if seconds <= 90 else f"{math.ceil(seconds / 60)} minutes"
    return Locked(f"Too many wrong passwords: try again in {wait}.", retry_after_s=locked_s)
