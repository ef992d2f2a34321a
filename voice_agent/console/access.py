"""What stands before every endpoint: own names, fair shares, sessions, roles, forged requests."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from http import HTTPStatus

import structlog
from aiohttp import web

from telephony.web_guard import is_own_host, is_own_origin
from voice_agent.console.accounts import Accounts, Session
from voice_agent.console.endpoints import SESSION, Endpoint, Handler
from voice_agent.console.errors import (
    ConsoleError,
    FactorMissing,
    Forbidden,
    NotSignedIn,
    TooManyRequests,
)
from voice_agent.console.limits import Buckets
from voice_agent.console.roles import Permission, may
from voice_agent.console.settings import ConsoleSettings

log = structlog.get_logger(__name__)

BURST_S = 5
MAX_AT_ONCE = 24
"""Requests of one address that are worked on at the same time; live streams count for a moment."""
_SAFE = frozenset({"GET", "HEAD"})
_WITHOUT_FACTOR = frozenset(
    {"/api/me/account", "/api/me/totp", "/api/me/totp/confirm", "/api/sign-out"}
)
"""What somebody may do whose role needs an authenticator they have not set up yet."""
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "voice-agent",
}


class Door:
    """Decides for each request whether it reaches its endpoint. Whatever has no endpoint is 404."""

    def __init__(self, settings: ConsoleSettings, accounts: Accounts) -> None:
        self._settings = settings
        self._accounts = accounts
        self._buckets = Buckets(settings.requests_per_s, settings.requests_per_s * BURST_S)
        self._at_once: dict[str, int] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._names = (settings.host, *settings.names, _host_of(settings.public_url))

    def open_for(self, endpoints: list[Endpoint]) -> None:
        """Endpoints that can be reached from now on."""
        self._endpoints |= {(each.method, each.path): each for each in endpoints}

    @property
    def secure(self) -> bool:
        """Whether cookies travel over HTTPS only: always, but on this machine itself."""
        if self._settings.public_url:
            return self._settings.public_url.startswith("https:")
        return not _is_loopback(self._settings.host)

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; a browser holds the prefix to its promise."""
        return "__Host-console" if self.secure else "console"

    def address_of(self, request: web.Request) -> str:
        """Who sends the request, behind proxies that are trusted to say so."""
        address = request.remote or ""
        if address in self._settings.trusted_proxies:
            said = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
            others = [each for each in said if each and each not in self._settings.trusted_proxies]
            address = others[-1] if others else address
        return address

    def owes_factor(self, session: Session) -> bool:
        """Whether somebody has to set up an authenticator before anything else."""
        return session.role in self._settings.totp_roles and not session.second_factor

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors become JSON, and every check is made before the endpoint is reached."""
        try:
            return await self._checked(request, handler)
        except ConsoleError as error:
            return refusal(error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            code = HTTPStatus(error.status).name.lower()
            return web.json_response(
                {"error": {"code": code, "message": error.reason}}, status=error.status
            )
        except ConnectionResetError:  # the browser has gone, and nobody reads an answer
            raise
        except Exception:
            log.exception("console_request_failed", path=request.path)
            return web.json_response(
                {"error": {"code": "failed", "message": "Something went wrong."}}, status=500
            )

    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        address = self.address_of(request)
        wait_s = self._buckets.wait_s(address, time.monotonic())
        if wait_s:
            raise TooManyRequests("Too many requests; please slow down.", retry_after_s=wait_s)
        if not is_own_host(request.host, self._names):
            raise Forbidden("This console does not go by that name.")
        endpoint = self._endpoint_of(request)
        if endpoint is None:
            raise web.HTTPNotFound
        if request.method not in _SAFE and not self._own_page(request):
            raise Forbidden("Only this console's own page may ask for that.")
        with _Turn(self._at_once, address):
            await self._let_in(request, endpoint)
            if not endpoint.streams:
                return await handler(request)
        return await handler(request)

    def _endpoint_of(self, request: web.Request) -> Endpoint | None:
        resource = request.match_info.route.resource
        if resource is None:
            return None
        return self._endpoints.get((request.method, resource.canonical))

    async def _let_in(self, request: web.Request, endpoint: Endpoint) -> None:
        if endpoint.needs is Permission.PUBLIC:
            return
        token = request.cookies.get(self.cookie, "")
        session = await asyncio.to_thread(self._accounts.session, token) if token else None
        if session is None:
            raise NotSignedIn("Please sign in.")
        request[SESSION] = session
        if request.method not in _SAFE:
            given = request.headers.get("X-CSRF-Token", "")
            if not hmac.compare_digest(given.encode(), session.csrf.encode()):
                raise Forbidden("The request does not carry this session's token; reload the page.")
        if self.owes_factor(session) and endpoint.path not in _WITHOUT_FACTOR:
            raise FactorMissing("Your role needs an authenticator: set it up first.")
        if not may(session.role, endpoint.needs):
            raise Forbidden(f"The role {session.role.value} may not do that.")

    def _own_page(self, request: web.Request) -> bool:
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        origin = request.headers.get("Origin")
        return is_own_origin(origin, request.host) or (
            origin is not None and origin == self._settings.public_url.rstrip("/")
        )


class _Turn:
    """Counts the requests of an address that are being worked on."""

    def __init__(self, counts: dict[str, int], address: str) -> None:
        self._counts, self._address = counts, address

    def __enter__(self) -> None:
        if self._counts.get(self._address, 0) >= MAX_AT_ONCE:
            raise TooManyRequests("Too many requests at once.", retry_after_s=1)
        self._counts[self._address] = self._counts.get(self._address, 0) + 1

    def __exit__(self, *_: object) -> None:
        left = self._counts[self._address] - 1
        if left:
            self._counts[self._address] = left
        else:
            del self._counts[self._address]


def refusal(error: ConsoleError) -> web.Response:
    """A refusal as every endpoint gives it."""
    headers = {}
    if error.retryable:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s or 5)))
    return web.json_response(
        {"error": {"code": error.code, "message": str(error)}},
        status=error.status,
        headers=headers,
    )


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries; nothing of the interface is kept by a browser or proxy."""
    response.headers.update(SECURITY_HEADERS)
    kept = "no-store" if request.path.startswith("/api/") else "no-cache"
    response.headers.setdefault("Cache-Control", kept)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
