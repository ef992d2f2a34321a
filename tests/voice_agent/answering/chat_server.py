"""A hand-written server at the edge of the OpenAI protocol, which misbehaves as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ChatServer:
    """What the server saw; ``answer`` is what it does with the next request."""

    answer: Answer
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    health: int = 200
    models: int = 200

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        try:
            return await self.answer(request)
        except (asyncio.CancelledError, ConnectionResetError):
            self.client_left.set()
            raise


@asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[ChatServer]:
    """A server on a free loopback port until the block ends."""
    server = ChatServer(answer)

    async def health(request: web.Request) -> web.Response:
        return web.Response(status=server.health)

    async def models(request: web.Request) -> web.Response:
        server.headers.append(dict(request.headers))
        return web.json_response({"data": []}, status=server.models)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/health", health)
    app.router.add_get("/v1/models", models)
    # As vLLM does: the handler is cancelled when its client leaves.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def delta(content: str | None = None, reason: str | None = None, **more: Any) -> bytes:
    """One event that brings a piece of an answer."""
    choice = {"index": 0, "delta": {"content": content, **more}, "finish_reason": reason}
    return event({"choices": [choice]})


def usage(prompt: int, completion: int, cached: int | None = None) -> bytes:
    """The last event, with the token counts."""
    counts: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    if cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    return event({"choices": [], "usage": counts})


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def sends(*parts: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Answer:
    """An answer of 200 and these bytes, after which ``then`` happens."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if then is not None:
            await then(request)
        return response

    return answer


def says(status: int, body: str, content_type: str = "application/json") -> Answer:
    """A whole answer at once, not streamed."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=content_type)

    return answer


async def waits_forever(request: web.Request) -> None:
    await asyncio.Event().wait()


async def dies(request: web.Request) -> None:
    """The connection is cut without the end of the chunked body."""
    assert request.transport is not None
    request.transport.abort()
