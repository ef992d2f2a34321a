"""Who may use the control interface, and how it refuses: all but the right token is denied."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from telephony.errors import GatewayError, LineUnavailable, SteerUnanswered, SupervisionRefused
from telephony.http_port import http_refusal, refusal
from telephony.kill_switch import SwitchRefused
from telephony.settings import ControlSettings
from telephony.webrtc_offer import OfferRefused

log = structlog.get_logger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

MIN_TOKEN_CHARACTERS = 16


class ControlRefused(GatewayError):
    """A request that is not done; ``status`` is the HTTP status, ``code`` is stable."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def is_loopback(host: str) -> bool:
    """Is this address, or name, of this machine alone?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def control_token(settings: ControlSettings) -> str:
    """The token of this start: the environment's, or on loopback a new one in ``token_file``.

    Raises:
        GatewayError: one line that says what to set.
    """
    if token := os.environ.get(settings.token_env, ""):
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise GatewayError(
                f"{settings.token_env}: use {MIN_TOKEN_CHARACTERS} characters or more"
            )
        return token
    if not is_loopback(settings.host):
        raise GatewayError(
            f"gateway.control.host: {settings.host} is not loopback: set {settings.token_env} in "
            "the environment of the gateway and the console"
        )
    token = secrets.token_urlsafe(32)
    try:
        _write_private(settings.token_file, token)
    except OSError as error:
        raise LineUnavailable(
            f"gateway.control.token_file: {settings.token_file}: {error.strerror}"
        ) from error
    return token


def read_token(settings: ControlSettings) -> str:
    """The token a client on this machine uses; empty when the gateway has not left one."""
    if token := os.environ.get(settings.token_env, ""):
        return token
    try:
        return settings.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write_private(path: Path, text: str) -> None:
    """Readable by its owner alone from the first moment, and never a link to elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    os.replace(unfinished, path)


def token_only(token: str) -> Middleware:
    """Refuse whoever does not have the token. A browser has no business here, with or without."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if "Origin" in request.headers:
            raise ControlRefused(403, "foreign_origin", "Web pages are served by the console.")
        kind, _, offered = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not hmac.compare_digest(offered.encode(), token.encode()):
            log.warning("control_refused", path=request.path, remote=request.remote)
            raise ControlRefused(401, "unauthorised", "The control token is missing or wrong.")
        return await handler(request)

    return guard


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is ``{"error": {"code", "message"}}``; nothing of a bug's text goes out."""
    try:
        return await handler(request)
    except (ControlRefused, OfferRefused) as error:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return refusal(error.status, error.code, str(error), headers)
    except SteerUnanswered as error:
        return refusal(504, error.code, str(error))
    except SupervisionRefused as error:
        return refusal(409, error.code, str(error))
    except SwitchRefused as error:
        return refusal(422, error.code, str(error))
    except web.HTTPException as error:
        return http_refusal(error)
    except Exception:
        log.exception("control_failed", path=request.path)
        return refusal(500, "internal", "Failed; the gateway's log says why.")
