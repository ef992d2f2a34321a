"""A gateway's control interface with many simulated calls behind it, for measuring the console.

No sound and no telephone: calls begin, take turns, wait and end, as fast as asked for. The
moment each turn was told is kept, so that whoever sees it can say how long that took.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ROADS = ("verified", "answer", "answer", "answer", "action", "small_talk", "clarify", "person")
_ASKED = "What does it cost to have it brought to the third floor without a lift"
_ANSWERED = "Bringing it to the third floor costs fifty nine dollars. We ring the day before."


@dataclass
class SimulatedCalls:
    """The calls, and what their gateway tells.

    ``sent`` holds the moment (``time.perf_counter`` seconds) at which each turn was told, by its
    id; ``asked`` what the console wanted done.
    """

    calls: int = 100
    seed: int = 7
    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  # not a secret
        self._listeners: set[asyncio.Queue[str]] = set()
        self._turns = 0
        for _ in range(self.calls):
            self._begin()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/v1/calls", self._calls),
                web.get("/v1/events", self._events),
                web.get("/v1/answering", self._answering),
                web.put("/v1/answering", self._answering),
                web.post("/v1/calls/{call_id}/{what}", self._act),
            ]
        )

    async def go_on(self, events_per_s: float) -> None:
        """Tell of one event after another until cancelled: mostly turns, now and then an end."""
        pause_s = 1 / events_per_s
        due = time.monotonic()
        while True:
            due += pause_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._random.random() < 0.03:
                self._end(self._random.choice(list(self.live)))
                self._begin()
            else:
                self._turn(self._random.choice(list(self.live)))

    # --- what happens --------------------------------------------------------------------------

    def _begin(self) -> None:
        call_id = f"simulated-{self._random.getrandbits(64):016x}"
        now = time.time()
        self.live[call_id] = {
            "call_id": call_id,
            "line": self._random.choice(("sip", "webrtc")),
            "caller": f"sip:+1555{self._random.randrange(10**7):07d}@trunk",
            "dialled": "100",
            "route": "main",
            "queue": None,
            "stage": "with_agent",
            "began_at": now,
            "answered_at": now,
            "waiting_since": None,
            "age_s": 0.0,
            "waiting_s": None,
            "supervisor": None,
            "handoff": None,
        }
        self._tell("call_began", call=self.live[call_id])

    def _end(self, call_id: str) -> None:
        self._tell("call_ended", call=self.live.pop(call_id), outcome="caller_hung_up")

    def _turn(self, call_id: str) -> None:
        self._turns += 1
        turn_id = f"turn-{self._turns}"
        spoken = self._random.randrange(20, len(_ANSWERED))
        data = {
            "turn_id": turn_id,
            "index": 1 + self._turns % 9,
            "at_ms": round((time.time() - self.live[call_id]["began_at"]) * 1000),
            "caller": _ASKED,
            "agent": _ANSWERED,
            "heard": _ANSWERED[:spoken],
            "cut_off": self._random.random() < 0.2,
            "sources": [
                {
                    "sentence": _ANSWERED.partition(". ")[0],
                    "passage_id": "delivery-large-items#2",
                    "title": "Delivery large items",
                    "score": 0.71,
                }
            ],
            "stages_ms": {"silence": 240, "transcription": 90, "retrieval": 12, "synthesis": 160},
            "voice_to_voice_ms": self._random.randrange(300, 1_600),
            "road": self._random.choice(ROADS),
            "confidence": round(self._random.uniform(0.5, 1), 2),
            "risk": round(self._random.random() ** 4, 2),
            "actions": [],
            "guards": [],
        }
        self.sent[turn_id] = time.perf_counter()
        self._tell("turn", call_id=call_id, kind="turn", data=data, call=self.live[call_id])

    def _tell(self, event: str, **fields: Any) -> None:
        said = json.dumps({"event": event, "at": time.time(), **fields})
        for listener in self._listeners:
            listener.put_nowait(f"data: {said}\n\n")

    # --- the interface -------------------------------------------------------------------------

    async def _calls(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": list(self.live.values())})

    async def _answering(self, _: web.Request) -> web.Response:
        return web.json_response({"switches": []})

    async def _act(self, request: web.Request) -> web.Response:
        self.asked.append((request.match_info["what"], await request.json()))
        return web.json_response({"call": self.live.get(request.match_info["call_id"])})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        snapshot = {"event": "snapshot", "at": time.time(), "calls": list(self.live.values())}
        queue.put_nowait(f"data: {json.dumps(snapshot)}\n\n")
        self._listeners.add(queue)
        try:
            while True:
                await response.write((await queue.get()).encode())
        finally:
            self._listeners.discard(queue)


@asynccontextmanager
async def serving(calls: SimulatedCalls, port: int = 0) -> AsyncIterator[int]:
    """The simulated gateway on a port of loopback (0: any), inside the block."""
    runner = web.AppRunner(calls.app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
