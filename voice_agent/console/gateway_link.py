"""The console's line to the gateway's control interface: requests, and the stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog

from telephony.control_guard import read_token
from telephony.settings import ControlSettings
from voice_agent.console.errors import GatewayRefused, Unavailable
from voice_agent.processes import http_url

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_S = 12.0
SILENCE_S = 30.0
"""A stream of events that says nothing for so long, not even that it lives, is begun anew."""
MAX_EVENT_BYTES = 2**22


class GatewayUnreachable(Unavailable):
    """The gateway does not answer."""

    code = "gateway_unreachable"


class GatewayLink:
    """Asks the gateway in the name of the console; ``settings`` say where it is."""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._url = http_url(settings.host, settings.port, "")
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def get(self, path: str) -> dict[str, Any]:
        """Ask for something."""
        return await self._request("GET", path, None)

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for something to be done.

        Raises:
            GatewayRefused: it is not done; with the gateway's own code and sentence.
            GatewayUnreachable: nobody answers.
        """
        return await self._request("POST", path, body)

    async def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask for something to be set."""
        return await self._request("PUT", path, body)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Every event from now on, words included; ends when the stream does.

        Raises:
            GatewayUnreachable: there is no stream, or it broke off.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=SILENCE_S)
        try:
            async with self._session().get(
                f"{self._url}/v1/events",
                params={"words": "1"},
                headers=self._headers(),
                timeout=timeout,
            ) as response:
                if response.status != 200:
                    raise GatewayUnreachable(f"The gateway answered {response.status}.")
                async for event in _server_sent(response.content):
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise GatewayUnreachable("The gateway does not answer.") from error

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            async with self._session().request(
                method,
                self._url + path,
                json=body,
                headers=self._headers(),
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=3),
            ) as response:
                answer = await response.json(content_type=None) if response.status != 204 else {}
                if response.status < 400:
                    return answer if isinstance(answer, dict) else {}
                raise _refused(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise GatewayUnreachable("The gateway does not answer.") from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            # live streams would else hold the connections that requests need
            connector = aiohttp.TCPConnector(limit=64)
            self._http = aiohttp.ClientSession(connector=connector, read_bufsize=2**18)
        return self._http

    def _headers(self) -> dict[str, str]:
        """Read each time: a gateway that was started anew has written another token."""
        token = read_token(self._settings)
        return {"Authorization": f"Bearer {token}"} if token else {}


def call_path(call_id: str, what: str) -> str:
    """The address of something that is done to a call."""
    return f"/v1/calls/{quote(call_id, safe='')}/{what}"


async def _server_sent(stream: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    data: list[str] = []
    size = 0
    buffer = b""
    async for chunk in stream.iter_any():
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", errors="replace")
            if text.startswith("data:"):
                data.append(text[5:].removeprefix(" "))
                size += len(text)
            elif not text and data:
                event = json.loads("\n".join(data))
                data.clear()
                size = 0
                if isinstance(event, dict):
                    yield event
        if size + len(buffer) > MAX_EVENT_BYTES:
            raise ValueError("an event is too long")
        await asyncio.sleep(0)


def _refused(status: int, answer: object) -> Exception:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        error = {}
    if status == 401 or (status == 403 and error.get("code") in (None, "foreign_origin")):
        log.error("console_not_known_to_gateway", status=status)
        return GatewayUnreachable("The gateway does not know this console: check its token.")
    code = str(error.get("code", "gateway_refused"))
    message = str(error.get("message", "")) or "The gateway did not do it."
    return GatewayRefused(status if status < 500 else 502, code, message)
