"""A port of the gateway that speaks HTTP, and what every refusal on one looks like."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from telephony.errors import LineUnavailable


class HttpPort:
    """Where an application answers, from ``open`` to ``close``."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is; of port 0, once it is open, the one that was free."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def open(self, app: web.Application, *, called: str, shutdown_timeout_s: float) -> None:
        """
        Args:
            app: what answers.
            called: what a refusal names it.
            shutdown_timeout_s: requests under way have so long to end in ``close``.

        Raises:
            LineUnavailable: the port is in use or the address is not ours.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout_s)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            where = f"{self._host}:{self._port}"
            raise LineUnavailable(f"{called}: {where}: {error.strerror}") from error
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def close(self) -> None:
        """Take no further request; harmless when it is not open."""
        if self._runner is not None:
            await self._runner.cleanup()


def refusal(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """``{"error": {"code", "message"}}``."""
    return web.json_response(
        {"error": {"code": code, "message": message}}, status=status, headers=headers
    )


def http_refusal(error: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses, in the same form."""
    return refusal(error.status, HTTPStatus(error.status).name.lower(), error.reason)
