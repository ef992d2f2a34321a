"""The stock pipeline's process: answers media streams where the product's agent would."""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict

import structlog
from aiohttp import WSMsgType, web
from openai import OpenAIError

from evals.latency.stock_pipeline import StockRecord, serve_call
from evals.latency.stock_services import StockServices, language_of
from telephony.media_stream import MAX_MESSAGE_BYTES, MediaStreamError, Start, parse
from voice_agent.check import is_loopback
from voice_agent.config import ConfigError, Settings
from voice_agent.knowledge.index import Knowledge

log = structlog.get_logger(__name__)

RECORDS_KEPT = 200
START_TIMEOUT_S = 5.0
RETRY_S = 0.2


class StockServer:
    """HTTP side: ``/media``, ``/calls/{id}``, ``/readyz`` and ``/healthz``."""

    def __init__(self, services: StockServices) -> None:
        self._services = services
        self._records: OrderedDict[str, StockRecord] = OrderedDict()
        self._sockets: set[web.WebSocketResponse] = set()
        self._warm = False
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/media", self._media),
                web.get("/calls/{call_id}", self._call),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
            ]
        )

    async def warm_up(self) -> None:
        """Wait for the language model's server and let it read the prompt."""
        because = ""
        while not self._warm:
            try:
                await self._services.warm_model()
                self._warm = True
            except OpenAIError as error:  # the server may still be loading its model
                if because != (because := " ".join(str(error).split())):
                    log.warning("language_model_not_ready", reason=because)
                await asyncio.sleep(RETRY_S)
        log.info("stock_warmed")

    async def hang_up(self) -> None:
        """End every call."""
        for socket in tuple(self._sockets):
            await socket.close(code=1012, message=b"agent is going away")

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if len(self._sockets) >= self._services.settings.media.max_calls:
            return web.json_response({"error": "busy"}, status=503)
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=20)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            start = await receive_start(socket)
            if start is None:
                await socket.close(code=1002, message=b"a stream begins with start")
            else:
                await serve_call(self._services, socket, self._record(start))
        finally:
            self._sockets.discard(socket)
            await socket.close()
        return socket

    def _record(self, start: Start) -> StockRecord:
        record = StockRecord(start.call_id)
        for name in {start.call_id, start.leg_id} - {""}:  # a caller knows only its own name
            self._records[name] = record
        while len(self._records) > RECORDS_KEPT:
            self._records.popitem(last=False)
        return record

    async def _call(self, request: web.Request) -> web.Response:
        record = self._records.get(request.match_info["call_id"])
        if record is None:
            return web.json_response({"error": "no such call"}, status=404)
        return web.json_response(record.as_json())

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "calls": len(self._sockets)})

    async def _readyz(self, _request: web.Request) -> web.Response:
        return web.json_response({"ready": self._warm}, status=200 if self._warm else 503)


async def receive_start(socket: web.WebSocketResponse) -> Start | None:
    """The stream's first message; None when it is another, or none comes in time."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            message = await socket.receive()
        first = parse(message.data) if message.type is WSMsgType.TEXT else None
    except (TimeoutError, MediaStreamError):
        return None
    return first if isinstance(first, Start) else None


def _load(settings: Settings) -> StockServices:
    knowledge = Knowledge.open(settings.knowledge, settings.models.folder)
    return StockServices.load(settings, knowledge)


async def serve(settings: Settings) -> None:
    """Load, warm, answer media streams until SIGTERM or SIGINT.

    Raises:
        ConfigError, ModelsError, KnowledgeError: one line that says what to put right.
    """
    media = settings.media
    if not is_loopback(media.host):
        raise ConfigError(f"media.host: the stock pipeline serves loopback only, not {media.host}")
    language_of(settings)
    server = StockServer(await asyncio.to_thread(_load, settings))
    runner = web.AppRunner(server.app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, media.host, media.port).start()
    except OSError as error:
        raise ConfigError(f"media.port: {media.port} cannot be used: {error.strerror}") from error
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("stock_listening", host=media.host, port=media.port)
    try:
        async with asyncio.TaskGroup() as group:  # ends the process when warming up fails for good
            warming = group.create_task(server.warm_up())
            await stop.wait()
            warming.cancel()
    finally:
        await server.hang_up()
        await runner.cleanup()
