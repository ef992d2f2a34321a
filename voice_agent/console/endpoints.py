"""What an endpoint is, and the role table that follows from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import web

from voice_agent.console.accounts import Session
from voice_agent.console.errors import BadRequest, Forbidden, NotSignedIn
from voice_agent.console.roles import Permission, Role, may

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION = web.RequestKey("session", Session)
"""Whose request it is, once the middleware has looked."""
BODY_PATIENCE_S = 10.0
MAX_BODY_BYTES = 256 * 1024
"""A WebRTC offer is the largest thing anybody sends."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing the console answers, and what is needed for it.

    ``also`` names further permissions that the request's ``mode`` may ask for.
    """

    method: str
    path: str
    needs: Permission
    handler: Handler
    also: tuple[Permission, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether it answers for as long as somebody listens."""
        return self.path.endswith("/events")


def role_table(endpoints: Iterable[Endpoint]) -> list[dict[str, Any]]:
    """A row for every endpoint: what it needs, and for each role whether it may."""
    return [
        {
            "method": each.method,
            "path": each.path,
            "needs": each.needs.value,
            "by_mode": [permission.value for permission in each.also],
            "roles": {role.value: may(role, each.needs) for role in Role},
        }
        for each in endpoints
    ]


def signed_in(request: web.Request) -> Session:
    """Who asks; the middleware has seen to it that there is somebody.

    Raises:
        NotSignedIn: nobody is.
    """
    session: Session | None = request.get(SESSION)
    if session is None:
        raise NotSignedIn("Please sign in.")
    return session


def require(request: web.Request, permission: Permission) -> Session:
    """Who asks, if they may do that as well.

    Raises:
        Forbidden: their role may not.
    """
    session = signed_in(request)
    if not may(session.role, permission):
        raise Forbidden(f"The role {session.role.value} may not do that.")
    return session


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        BadRequest: it is none, or it is not said to be JSON (which other sites' pages cannot say).
    """
    if request.content_type != "application/json":
        raise BadRequest("The request must be sent as application/json.")
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            body = await request.json()
    except TimeoutError as error:
        raise BadRequest("The request did not arrive in time.") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest("The request is not JSON.") from error
    if not isinstance(body, dict):
        raise BadRequest("The request must be a JSON object.")
    return body


def text_of(body: dict[str, Any], name: str, *, most: int = 500, required: bool = True) -> str:
    """A text of a request, without space around it.

    Raises:
        BadRequest: it is missing, too long, or not a text.
    """
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > most or not _is_text(value):
        raise BadRequest(f"`{name}` must be a text of at most {most} characters.")
    value = value.strip()
    if required and not value:
        raise BadRequest(f"`{name}` is missing.")
    return value


def _is_text(value: str) -> bool:
    """Whether it can be written down: JSON can spell halves of characters, which no file takes."""
    return "\x00" not in value and not any("\ud800" <= each <= "\udfff" for each in value)


def number_of(request: web.Request, name: str, default: float, least: float, most: float) -> float:
    """A number of a request's query.

    Raises:
        BadRequest: it is not a number, or out of its range.
    """
    given = request.query.get(name, "")
    if not given:
        return default
    try:
        value = float(given)
    except ValueError as error:
        raise BadRequest(f"`{name}` must be a number.") from error
    if not least <= value <= most:
        raise BadRequest(f"`{name}` must be between {least:g} and {most:g}.")
    return value
