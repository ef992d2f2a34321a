"""The console's API as the page sees it, with everything scripted: what page tests stand on.

It keeps the shapes of the real one, serves the page under the same Content-Security-Policy, and
takes supervisors' WebRTC lines with a gateway that only hums.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

import voice_agent.console
from telephony.webrtc import WebRtcLeg
from tests.telephony.webrtc_peer import FakeGateway, tone
from voice_agent.console.account_api import drawn

PAGE = Path(voice_agent.console.__file__).parent / "page"
PASSWORD = "a long enough password"
EVERYTHING = (
    "live words listen whisper steer barge takeover handback end to_person handoff history "
    "recording grade evaluate verified_answer approve kill_switch operations quality business "
    "compliance audit users export erase pause_recording"
).split()
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
Json = dict[str, Any]


def a_call(call_id: str, **known: Any) -> Json:
    """A live call in its second minute."""
    now = time.time()
    return {
        "call_id": call_id, "line": "sip", "caller": "+44 20 7946 0018", "dialled": "100",
        "route": "main", "queue": "orders", "stage": "with_agent", "began_at": now - 75,
        "answered_at": now - 74, "waiting_since": None, "supervisor": None, "handoff": None,
        "mood": "calm", "risk": 0.06, "road": "answer", "confidence": 0.93, "latency_ms": 480,
        "turns": 2, "snippet": "Standard delivery takes two days.",
    } | known  # fmt: skip


def a_recording(seconds: float) -> bytes:
    """A stereo WAV of that length."""
    out = io.BytesIO()
    samples = int(8000 * seconds)
    with wave.open(out, "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(tone(300, samples * 2, 8000))
    return out.getvalue()


@dataclass
class FakeConsole:
    """What the server knows, and what it was asked."""

    signed_in: bool = True
    permissions: list[str] = field(default_factory=lambda: list(EVERYTHING))
    totp: str = ""
    calls: dict[str, Json] = field(default_factory=dict)
    details: dict[str, Json] = field(default_factory=dict)
    """``GET /api/calls/{id}``, beside the live call."""
    alarms: list[Json] = field(default_factory=list)
    switches: list[Json] = field(default_factory=list)
    handoffs: dict[str, Json] = field(default_factory=dict)
    answers: dict[str, Json] = field(default_factory=dict)
    """Further answers by path (``/api/history`` and the like)."""
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """Status, code and message by the end of a path."""
    gateway: FakeGateway = field(default_factory=lambda: FakeGateway(play_hz=660.0))
    asked: list[tuple[str, str, Json]] = field(default_factory=list)
    """Everything that was to be changed: method, path, body."""
    queries: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    _listeners: set[asyncio.Queue[Json | None]] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    # --- what tests do ---------------------------------------------------------------------------

    def tell(self, **event: Any) -> None:
        """Send an event to every page."""
        for listener in self._listeners:
            listener.put_nowait({"at": time.time(), **event})

    def change(self, call_id: str, /, **known: Any) -> None:
        """Change a live call and tell the pages; a call nobody knew begins."""
        began = call_id not in self.calls
        self.calls[call_id] = self.calls.get(call_id, {}) | {"call_id": call_id} | known
        if known.get("handoff") and call_id in self.handoffs:
            self.handoffs[call_id]["state"] = known["handoff"]["state"]
        self.tell(event="call_began" if began else "call_changed", call=self.calls[call_id])

    def end(self, call_id: str) -> None:
        """End a live call."""
        self.tell(event="call_ended", call=self.calls.pop(call_id))

    def alarm(self, **alarm: Any) -> None:
        """Raise an alarm, or clear it."""
        given = {"at": time.time(), "call_id": None, "cleared": False, "code": "test"} | alarm
        self.alarms = [each for each in self.alarms if each["id"] != given["id"]] + [given]
        self.tell(event="alarm", alarm=given)

    def drop_listeners(self) -> None:
        """Close every stream of events, as a restart does."""
        for listener in self._listeners:
            listener.put_nowait(None)

    @property
    def is_watched(self) -> bool:
        """Whether a page is told of events."""
        return bool(self._listeners)

    def bodies(self, ending: str) -> list[Json]:
        """What was sent to paths that end so."""
        return [body for _, path, body in self.asked if path.endswith(ending)]

    def asked_for(self, path: str) -> list[dict[str, str]]:
        """With which queries a path was read."""
        return [dict(query) for each, query in self.queries if each == path]

    # --- the server ------------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_policy)
        app.add_routes(
            [
                web.get("/", self._page),
                web.static("/static", PAGE),
                web.get("/api/entry", self._entry),
                web.get("/api/me", self._me),
                web.post("/api/sign-in", self._sign_in),
                web.post("/api/sign-out", self._sign_out),
                web.get("/api/events", self._events),
                web.get("/api/calls/{id}", self._call),
                web.get("/api/calls/{id}/recording", self._recording),
                web.post("/api/calls/{id}/supervise", self._supervise),
                web.get("/api/handoffs", self._offered),
                web.get("/api/handoffs/{id}", self._handoff),
                web.get("/api/handoffs/{id}/events", self._events),
                web.get("/api/answering", self._answering),
                web.put("/api/answering", self._switch),
                web.get("/api/me/account", self._account),
                web.post("/api/me/password", self._change_password),
                web.post("/api/me/totp", self._begin_totp),
                web.post("/api/me/totp/confirm", self._confirm_totp),
                web.post("/api/export", self._export),
                web.route("*", "/api/{rest:.*}", self._other),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            if request.method == "GET":
                self.queries.append((request.path, dict(request.query)))
            else:
                body = await request.json() if request.can_read_body else {}
                self.asked.append((request.method, request.path, body))
                if request.path != "/api/sign-in" and request.headers.get("X-CSRF-Token") != "csrf":
                    return _error(403, "csrf", "The request did not come from this page.")
            for ending, refusal in self.refusals.items():
                if request.path.endswith(ending):
                    return _error(*refusal)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _entry(self, _: web.Request) -> web.Response:
        return web.json_response({"oidc": True, "signed_in": self.signed_in})

    async def _me(self, _: web.Request) -> web.Response:
        if not self.signed_in:
            return _error(401, "not_signed_in", "Please sign in.")
        return web.json_response(
            {
                "user": "sam", "role": "supervisor", "csrf": "csrf",
                "permissions": self.permissions, "queues": ["care", "shop"],
                "phones": [{"name": "Desk phone", "uri": "sip:sam@127.0.0.1"}],
            }
        )  # fmt: skip

    async def _sign_in(self, request: web.Request) -> web.Response:
        given = await request.json()
        if given.get("password") != PASSWORD:
            return _error(401, "refused", "User name or password is wrong.")
        if self.totp and "totp" not in given:
            return _error(401, "totp_required", "A code is needed.")
        if self.totp and given["totp"] != self.totp:
            return _error(401, "refused", "The code is wrong.")
        self.signed_in = True
        return web.json_response({})

    async def _sign_out(self, _: web.Request) -> web.Response:
        self.signed_in = False
        return web.json_response({})

    async def _account(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "name": "sam", "role": "supervisor", "password": True, "totp": bool(self.totp),
                "totp_demanded": False, "session_began": time.time() - 900,
            }
            | self.answers.get("/api/me/account", {})
        )  # fmt: skip

    async def _change_password(self, request: web.Request) -> web.Response:
        if (await request.json())["old"] != PASSWORD:
            return _error(403, "wrong_password", "That is not your password.")
        return web.json_response({"csrf": "csrf"})

    async def _begin_totp(self, request: web.Request) -> web.Response:
        if (await request.json())["password"] != PASSWORD:
            return _error(403, "wrong_password", "That is not your password.")
        uri = "otpauth://totp/Acme:sam?secret=JBSWY3DPEHPK3PXP"
        return web.json_response({"uri": uri, "secret": "JBSWY3DPEHPK3PXP", "code": drawn(uri)})

    async def _confirm_totp(self, request: web.Request) -> web.Response:
        if (await request.json())["totp"] != "123456":
            return _error(400, "bad_request", "The code does not fit.")
        self.totp = "123456"
        return web.json_response({"totp": True})

    async def _export(self, _: web.Request) -> web.Response:
        return web.Response(body=b"PK not really", content_type="application/zip")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not self.signed_in:
            return _error(401, "not_signed_in", "Please sign in.")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        listener: asyncio.Queue[Json | None] = asyncio.Queue()
        listener.put_nowait(
            {
                "event": "snapshot", "at": time.time(), "calls": list(self.calls.values()),
                "alarms": self.alarms, "answering": self.switches, "gateway": "up",
            }
        )  # fmt: skip
        self._listeners.add(listener)
        try:
            with suppress(ConnectionResetError):
                while (event := await listener.get()) is not None:
                    await response.write(f"data: {json.dumps(event)}\n\n".encode())
        finally:
            self._listeners.discard(listener)
        return response

    async def _call(self, request: web.Request) -> web.Response:
        call_id = request.match_info["id"]
        live, known = self.calls.get(call_id), self.details.get(call_id, {})
        if live is None and not known:
            return _error(404, "not_found", "There is no such call.")
        call = known.get("call", {}) | (live or {}) | {"live": live is not None}
        rest: Json = {"turns": [], "brief": None, "recording": None, "suggestions": []}
        return web.json_response(rest | known | {"call": call})

    async def _recording(self, _: web.Request) -> web.Response:
        headers = {"Accept-Ranges": "bytes"}
        return web.Response(body=a_recording(30), content_type="audio/wav", headers=headers)

    async def _supervise(self, request: web.Request) -> web.Response:
        body = await request.json()
        call_id = request.match_info["id"]
        if "uri" in body:
            return web.json_response({"state": "ringing"}, status=202)
        self.change(call_id, supervisor={"name": "sam", "mode": body["mode"]})
        leg = WebRtcLeg("web:test", addresses=("127.0.0.1",))
        answer = await leg.accept(body["sdp"])
        task = asyncio.create_task(self._take(leg))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.json_response({"sdp": answer, "type": "answer"})

    async def _take(self, leg: WebRtcLeg) -> None:
        if await leg.connected(15):
            await self.gateway.take(leg)

    async def _offered(self, _: web.Request) -> web.Response:
        listed = ("call_id", "state", "why", "reason", "queue", "who", "waiting_since")
        found = [{key: each.get(key) for key in listed} for each in self.handoffs.values()]
        return web.json_response({"handoffs": found})

    async def _handoff(self, request: web.Request) -> web.Response:
        found = self.handoffs.get(request.match_info["id"])
        return web.json_response(found) if found else _error(404, "not_found", "Not handed over.")

    async def _answering(self, _: web.Request) -> web.Response:
        known = {"queues": ["orders", "returns"], "routes": ["main"], "drills": []}
        return web.json_response(
            known | self.answers.get("/api/answering", {}) | {"switches": self.switches}
        )

    async def _switch(self, request: web.Request) -> web.Response:
        given = await request.json()
        others = [
            each
            for each in self.switches
            if (each["scope"], each["name"]) != (given["scope"], given["name"])
        ]
        self.switches = [*others, given | {"by": "sam", "since": time.time()}]
        self.tell(event="answering_changed", switches=self.switches)
        return web.json_response({"switches": self.switches})

    async def _other(self, request: web.Request) -> web.Response:
        if request.method == "POST" and request.path.endswith("/mode"):
            call_id = request.path.split("/")[3]
            mode = (await request.json())["mode"]
            self.change(call_id, supervisor={"name": "sam", "mode": mode})
        if request.method == "POST" and request.path.endswith(("/leave", "/hand-back")):
            call_id = request.path.split("/")[3]
            if call_id in self.calls:
                self.change(call_id, supervisor=None)
        if request.method == "POST" and request.path.endswith("/recording"):
            paused = (await request.json())["paused"]
            told = {"state": "paused" if paused else "on", "why": "supervisor" if paused else ""}
            self.change(request.path.split("/")[3], recording=told)
        if request.method == "POST" and request.path.endswith("/end"):
            self.end(request.path.split("/")[3])
        return web.json_response(self.answers.get(request.path, {}))


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


async def _policy(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Permissions-Policy"] = "microphone=(self)"


@asynccontextmanager
async def serving_page(console: FakeConsole) -> AsyncIterator[FakeConsole]:
    """The fake on a free port of loopback; its ``url`` says which."""
    runner = web.AppRunner(console.app(), shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    console.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield console
    finally:
        console.drop_listeners()
        for leg in console.gateway.legs:
            await leg.hang_up("ended")
        for task in list(console._tasks):
            task.cancel()
        await runner.cleanup()
