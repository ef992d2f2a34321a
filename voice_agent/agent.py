"""The agent's process: waits for media streams, answers them, says how it is."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import signal

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from telephony.media_stream import MAX_MESSAGE_BYTES
from voice_agent.background import Background
from voice_agent.config import ConfigError, MediaSettings, Settings, secret
from voice_agent.engines import Engines
from voice_agent.errors import exit_code_of_serving
from voice_agent.records import logs, tracing
from voice_agent.session import CallSession

log = structlog.get_logger(__name__)

DRAIN_S = 20.0
"""Live calls may finish for so long; then the gateway takes them to another agent."""


class AgentServer:
    """HTTP side of the agent: ``/media``, ``/calls/{id}``, health and metrics."""

    def __init__(self, settings: Settings, engines: Engines) -> None:
        self._settings = settings
        self._engines = engines
        self._token = secret(settings.media.token_env)
        self._sockets: set[web.WebSocketResponse] = set()
        self._draining = False
        self._idle = asyncio.Event()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/media", self._media),
                web.get("/calls/{call_id}", self._call),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )

    async def drain(self) -> None:
        """Take no further calls; let live ones end, then hand them back to the gateway."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S if self._sockets else 0):
                await self._idle.wait()
        for socket in tuple(self._sockets):
            await socket.close(code=1012, message=b"agent is going away")

    def _authorised(self, request: web.Request) -> bool:
        if not self._token:
            return True
        offered = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(offered.encode(), self._token.encode())

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if not self._authorised(request):
            return web.json_response({"error": "unauthorised"}, status=401)
        if self._draining or len(self._sockets) >= self._settings.media.max_calls:
            return web.json_response({"error": "busy"}, status=503)
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=20)
        await socket.prepare(request)
        self._sockets.add(socket)
        self._idle.clear()
        try:
            await CallSession(self._settings, self._engines, socket).run()
        finally:
            self._sockets.discard(socket)
            if not self._sockets:
                self._idle.set()
            await socket.close()
        return socket

    async def _call(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return web.json_response({"error": "unauthorised"}, status=401)
        call_id = request.match_info["call_id"]
        record = await asyncio.to_thread(self._engines.records.call, call_id)
        if record is None:
            return web.json_response({"error": "no such call"}, status=404)
        return web.json_response(record)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "calls": len(self._sockets)})

    async def _readyz(self, _request: web.Request) -> web.Response:
        parts = await self._engines.ready()
        ready = all(parts.values()) and not self._draining
        return web.json_response(
            {"ready": ready, "draining": self._draining, **parts}, status=200 if ready else 503
        )

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def check_exposure(settings: MediaSettings) -> None:
    """Refuse to listen beyond loopback without a token.

    Raises:
        ConfigError: with what to set.
    """
    try:
        loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError as error:
        raise ConfigError(f"media.host: {settings.host!r} is not an address") from error
    if not loopback and not secret(settings.token_env):
        raise ConfigError(
            f"media.host: {settings.host} is not loopback: set {settings.token_env} "
            "in the environment of the agent and the gateway"
        )


async def serve(settings: Settings) -> None:
    """Load the engines, answer media streams until SIGTERM or SIGINT, then drain."""
    check_exposure(settings.media)
    engines = await asyncio.to_thread(Engines.load, settings)
    server = AgentServer(settings, engines)
    runner = web.AppRunner(server.app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.media.host, settings.media.port).start()
    except OSError as error:
        raise ConfigError(
            f"media.port: {settings.media.port} cannot be used: {error.strerror}"
        ) from error
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    log.info("agent_listening", host=settings.media.host, port=settings.media.port)
    background = Background()
    warming = background.start(engines.warm_up(settings))
    background.start(engines.follow_knowledge())
    for each in (engines.actions, engines.webhook):
        if each:
            background.start(each.follow())
    await stop.wait()
    log.info("agent_draining")
    warming.cancel()
    await server.drain()
    background.cancel()
    await runner.cleanup()
    await engines.close()
    log.info("agent_stopped")


def run(settings: Settings) -> int:
    """Entry point of the agent's process. Returns its exit code."""
    logs.configure(settings.logging)
    tracing.configure(settings.telemetry)
    return exit_code_of_serving("voice-agent agent", serve(settings))
