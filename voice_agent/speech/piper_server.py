"""Text to speech over HTTP, as a process of its own: ``python -m voice_agent.speech.piper_server``.

Piper is GPL-3.0. It is imported by ``piper_voice``, and in this product nothing but this module
imports that: the agent reaches it over HTTP only, which keeps the agent Apache-2.0 and a crash of
the synthesiser survivable.

* ``POST /speech`` with ``{"text": str, "rate": float}`` streams raw 16-bit little-endian mono PCM
  at 16 kHz, each piece as soon as it is made. 400: not such an object; 413: too
  much text; 503: too many requests are waiting, or the voice is still loading.
* ``GET /readyz`` is 200 once the voice is loaded and has spoken once, with what identifies its
  sound as ``voice``; ``GET /healthz`` always.

One thread makes all sound: a second one slowed both down on two cores. Requests take turns piece
by piece, so a long answer does not hold up another call's first words; a request whose client has
gone is dropped before its next piece.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import structlog
from aiohttp import web

from voice_agent.config import LoggingSettings
from voice_agent.models import sha256_of
from voice_agent.records import logs
from voice_agent.speech import cut_voice, piper_voice
from voice_agent.speech.piper_voice import Piper, VoiceUnusable

log = structlog.get_logger(__name__)

MAX_TEXT_CHARACTERS = 4_000
MAX_WAITING = 16
RATES = (0.3, 3.0)


class Voice(Protocol):
    """Anything that can say a text."""

    def say(self, text: str, rate: float) -> Iterator[bytes]:
        """16 kHz PCM16 mono, piece by piece. Blocking."""


class SpeechService:
    """The HTTP side of one voice: bounded, fair between requests, cancellable."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self._voice: Voice | None = None
        self._identity = ""
        self._max_waiting = max_waiting
        self._active = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="piper")
        self.app = web.Application(client_max_size=64 * 1024)
        self.app.router.add_post("/speech", self._speech)
        self.app.router.add_get("/readyz", self._readyz)
        self.app.router.add_get("/healthz", self._healthz)

    async def load(self, model: Path) -> None:
        """Load and warm up the voice off the event loop; ready afterwards."""
        began = time.perf_counter()
        in_thread = asyncio.get_running_loop().run_in_executor
        identity = await in_thread(self._thread, identity_of, model)
        self.use(await in_thread(self._thread, Piper, model), identity)
        log.info(
            "voice_loaded", voice=model.stem, took_ms=round((time.perf_counter() - began) * 1000)
        )

    def use(self, voice: Voice, identity: str = "") -> None:
        """Speak with ``voice`` from now on; ready afterwards."""
        self._voice = voice
        self._identity = identity

    def close(self) -> None:
        """Drop what waits; what is being said finishes its sentence in its thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._voice is not None
        return web.json_response(
            {"ready": ready, "requests": self._active, "voice": self._identity},
            status=200 if ready else 503,
        )

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        try:
            text, rate = _read(await request.json())
        except (ValueError, UnicodeDecodeError):
            return _refusal(400, "bad_request", "expected {text: string, rate: 0.3 to 3}")
        if len(text) > MAX_TEXT_CHARACTERS:
            return _refusal(413, "text_too_long", f"at most {MAX_TEXT_CHARACTERS} characters")
        if self._voice is None:
            return _refusal(503, "loading", "the voice is still loading")
        if self._active >= self._max_waiting:
            log.warning("speech_refused", waiting=self._active)
            return _refusal(503, "overloaded", "too many requests are waiting")
        self._active += 1
        try:
            return await self._stream(request, self._voice.say(text, rate) if text else iter(()))
        finally:
            self._active -= 1

    async def _stream(self, request: web.Request, pieces: Iterator[bytes]) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm;rate=16000;channels=1"})
        try:
            piece = await loop.run_in_executor(self._thread, next, pieces, None)
        except Exception:
            log.exception("speech_failed")
            return _refusal(500, "synthesis_failed", "this text could not be spoken")
        await response.prepare(request)
        while piece is not None:
            await response.write(piece)
            try:
                piece = await loop.run_in_executor(self._thread, next, pieces, None)
            except Exception:
                log.exception("speech_failed")
                if request.transport is not None:  # the only way left to say so: no last chunk
                    request.transport.abort()
                return response
        await response.write_eof()
        return response


def identity_of(model: Path) -> str:
    """What decides how a voice sounds: its files, Piper, and how we use it. Blocking.

    Raises:
        VoiceUnusable: a file cannot be read.
    """
    settings = model.with_name(f"{model.name}.json")
    try:
        files = sha256_of(model, (settings, Path(piper_voice.__file__), Path(cut_voice.__file__)))
    except OSError as error:
        raise VoiceUnusable(f"{model} cannot be read: {error.strerror}") from error
    return f"{version('piper-tts')}-{files[:32]}"


def _read(body: Any) -> tuple[str, float]:
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        raise ValueError("no text")
    rate = body.get("rate", 1.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ValueError("rate is not a number")
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError("rate out of bounds")
    return body["text"].strip(), float(rate)


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "error": message}, status=status)


async def serve(model: Path, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        VoiceUnusable: the voice cannot be loaded.
        OSError: the address cannot be bound.
    """
    service = SpeechService()
    runner = web.AppRunner(
        service.app, access_log=None, handler_cancellation=True, shutdown_timeout=2.0
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        log.info("synthesiser_listening", host=host, port=port)
        loading = asyncio.create_task(service.load(model))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            loading.result()
            await stopped
        else:
            loading.cancel()
        log.info("synthesiser_stopped")
    finally:
        service.close()
        await runner.cleanup()


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 2 when it cannot start, with one line that says why."""
    parser = argparse.ArgumentParser(prog="piper_server", description="Text to speech over HTTP")
    parser.add_argument("--voice", required=True, type=Path, help="Piper voice (.onnx)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=8092, type=int, help="port to listen on")
    parser.add_argument("--log-format", default="json", choices=("json", "console"))
    given = parser.parse_args(arguments)
    logs.configure(LoggingSettings(format=given.log_format))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(given.voice, given.host, given.port))
    except VoiceUnusable as error:
        print(f"synthesiser: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        reason = (
            "is in use; stop what listens there or choose another port"
            if error.errno == errno.EADDRINUSE
            else f"cannot be bound: {error.strerror}"
        )
        print(f"synthesiser: {given.host}:{given.port} {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
