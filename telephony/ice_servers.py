"""STUN and TURN servers as a page is told of them. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import TypeAlias

IceServer: TypeAlias = dict[str, str]
"""``urls`` and, for TURN, ``username`` and ``credential``: the browser's ``RTCIceServer``."""

CREDENTIAL_LIFETIME_S = 3600


def for_page(urls: Iterable[str], turn_secret: str, now_s: float) -> list[IceServer]:
    """What a page gets, TURN servers with a credential of its own that expires.

    The credential is the one TURN servers check with a shared secret and no database
    (draft-uberti-behave-turn-rest-00; coturn's ``use-auth-secret``). Without a secret TURN servers
    are named without credentials.
    """
    return [
        {"urls": url, **(_credential(turn_secret, now_s) if _needs_credential(url) else {})}
        for url in urls
    ]


def for_gateway(urls: Iterable[str]) -> list[str]:
    """What the gateway itself asks: its own address as others see it. Pages bring the relay."""
    return [url for url in urls if not _needs_credential(url)]


def _needs_credential(url: str) -> bool:
    return url.startswith(("turn:", "turns:"))


def _credential(secret: str, now_s: float) -> IceServer:
    if not secret:
        return {}
    username = f"{int(now_s) + CREDENTIAL_LIFETIME_S}:caller"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return {"username": username, "credential": base64.b64encode(digest).decode()}
