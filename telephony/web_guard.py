"""Who may ask the web line for anything, and what every answer of it carries."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from telephony.errors import GatewayError
from telephony.http_port import http_refusal, refusal
from telephony.webrtc_offer import OfferRefused

log = structlog.get_logger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "voice-agent",
}


class TooManyOffers(OfferRefused):
    """More callers are connecting than this line sets up at once."""

    code = "too_many_offers"
    retryable = True
    status = 429


class LinesBusy(OfferRefused):
    """The gateway takes no further calls just now."""

    code = "busy"
    retryable = True
    status = 503


class OfferForeign(OfferRefused):
    """Asked for by another site's page, or under a name this server does not go by."""

    code = "foreign_origin"
    status = 403


class OfferTooLarge(OfferRefused):
    """A body no offer needs."""

    code = "offer_too_large"
    status = 413


class OfferNotJson(OfferRefused):
    """A body that does not say it is JSON; pages of other sites cannot send what does."""

    code = "offer_not_json"
    status = 415


def is_own_host(host: str, names: tuple[str, ...]) -> bool:
    """May the page be reached under this ``Host`` header (with or without a port)?

    Addresses and ``localhost`` may; other names only when configured, because a stranger's name
    can be made to point here (DNS rebinding), an address cannot.
    """
    name = _without_port(host)
    if name == "localhost" or name in {_without_port(own) for own in names}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_own_origin(origin: str | None, host: str) -> bool:
    """Does the ``Origin`` header name the host the request was sent to? None is not a page."""
    if origin is None:
        return True
    return origin.partition("://")[2].lower() == host.lower()


def _without_port(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def own_names_only(names: tuple[str, ...]) -> Middleware:
    """Refuse requests for hosts that are not ours, whatever they ask for."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_host(request.host, names):
            raise OfferForeign("This server does not go by that name.")
        return await handler(request)

    return guard


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is ``{"error": {"code", "message"}}``."""
    try:
        return await handler(request)
    except OfferRefused as error:
        headers = {"Retry-After": "5"} if error.retryable else None
        return refusal(error.status, error.code, str(error), headers)
    except web.HTTPException as error:
        return http_refusal(error)
    except GatewayError as error:
        log.exception("web_request_failed", path=request.path)
        return refusal(500, error.code, "Failed")


async def add_security_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
