"""A gateway's control interface at the console's edge: answers by hand, notes what was asked."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "the-gateways-token"


def call(call_id: str, **given: Any) -> dict[str, Any]:
    """A call as the control interface describes it."""
    return {
        "call_id": call_id,
        "line": "sip",
        "caller": "sip:+15551234567@trunk",
        "dialled": "100",
        "route": "main",
        "queue": None,
        "stage": "with_agent",
        "began_at": time.time() - 5,
        "answered_at": time.time() - 5,
        "waiting_since": None,
        "age_s": 5.0,
        "waiting_s": None,
        "supervisor": None,
        "handoff": None,
        **given,
    }


class FakeGateway:
    """Serves ``/v1/…``; ``say`` sends an event to every listener."""

    def __init__(self) -> None:
        self.calls: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.switches: list[dict[str, Any]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        """What is not done: the last part of the path, to a status and a code."""
        self.listened = asyncio.Event()
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/calls", self._calls),
                web.get("/v1/events", self._events),
                web.get("/v1/answering", self._answering),
                web.put("/v1/answering", self._switch),
                web.post("/v1/calls/{call_id}/{what}", self._act),
            ]
        )
        self.server = TestServer(app)

    @property
    def port(self) -> int:
        """Where it is."""
        return self.server.port or 0

    def say(self, event: str, **fields: Any) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener.put_nowait({"event": event, "at": time.time(), **fields})

    def hang_up(self) -> None:
        """End every stream of events."""
        for listener in self._listeners:
            listener.put_nowait(None)

    def _known(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized

    async def _calls(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"calls": list(self.calls.values())})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._known(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listeners.add(queue)
        queue.put_nowait(
            {"event": "snapshot", "at": time.time(), "calls": list(self.calls.values())}
        )
        self.listened.set()
        try:
            while (event := await queue.get()) is not None:
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
        finally:
            self._listeners.discard(queue)
        return response

    async def _answering(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"switches": self.switches})

    async def _switch(self, request: web.Request) -> web.Response:
        self._known(request)
        body = await request.json()
        self.asked.append(("answering", body))
        if "answering" in self.refuse:
            status, code = self.refuse["answering"]
            error = {"code": code, "message": f"{code} happened"}
            return web.json_response({"error": error}, status=status)
        self.switches = [body | {"since": time.time()}]
        return web.json_response({"switches": self.switches})

    async def _act(self, request: web.Request) -> web.Response:
        self._known(request)
        what = request.match_info["what"]
        body = await request.json()
        self.asked.append((what, body | {"call_id": request.match_info["call_id"]}))
        if what in self.refuse:
            status, code = self.refuse[what]
            error = {"code": code, "message": f"{code} happened"}
            return web.json_response({"error": error}, status=status)
        if what == "supervise" and "sdp" in body:
            return web.json_response({"sdp": "v=0\r\nanswer", "type": "answer"})
        return web.json_response({"call_id": request.match_info["call_id"]})
