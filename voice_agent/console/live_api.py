"""Live calls for supervisors: what happens, and everything that may be done about it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web

from voice_agent.console.board_state import call_for, event_for, turn_for
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, require, signed_in, text_of
from voice_agent.console.errors import BadRequest, NotFound
from voice_agent.console.gateway_link import call_path
from voice_agent.console.history import CALL_ID
from voice_agent.console.roles import GRANTS, SUPERVISING, Permission

log = structlog.get_logger(__name__)

HEARTBEAT_S = 5.0
"""A stream says that it lives so often, and looks whether its session still does."""
WRITE_PATIENCE_S = 5.0
"""A browser that takes nothing for so long is hung up on: it would hold its place for ever."""
_MAX_SDP_CHARS = 64 * 1024

View = Callable[[dict[str, Any]], dict[str, Any] | None]


class LiveApi:
    """``/api/events``, ``/api/calls`` and what is done to a live call."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        p, modes = Permission, tuple(SUPERVISING.values())
        call = "/api/calls/{call_id}"
        return [
            Endpoint("GET", "/api/events", p.LIVE, self._events),
            Endpoint("GET", "/api/calls", p.LIVE, self._calls),
            Endpoint("POST", f"{call}/supervise", p.LISTEN, self._supervise, modes),
            Endpoint("POST", f"{call}/mode", p.LISTEN, self._mode, modes),
            Endpoint("POST", f"{call}/leave", p.LISTEN, self._leave),
            Endpoint("POST", f"{call}/hand-back", p.HANDBACK, self._hand_back),
            Endpoint("POST", f"{call}/steer", p.STEER, self._steer),
            Endpoint("POST", f"{call}/to-person", p.TO_PERSON, self._to_person),
            Endpoint("POST", f"{call}/recording", p.PAUSE_RECORDING, self._recording),
            Endpoint("POST", f"{call}/end", p.END, self._end),
        ]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        words = Permission.WORDS in GRANTS[signed_in(request).role]

        def view(event: dict[str, Any]) -> dict[str, Any] | None:
            return event_for(event, words=words)

        return await stream(self._desk, request, view)

    async def _calls(self, request: web.Request) -> web.Response:
        words = Permission.WORDS in GRANTS[signed_in(request).role]
        state = self._desk.live.state
        calls = [call_for(each, words=words) for each in state.calls.values()]
        return web.json_response({"calls": calls, "gateway": "up" if state.gateway_up else "down"})

    async def _supervise(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        mode = self._mode_of(request, body)
        asked: dict[str, Any] = {"mode": mode, "name": signed_in(request).user}
        if "uri" in body:
            asked["uri"] = text_of(body, "uri", most=200)
        else:
            asked["sdp"] = _sdp(body)
        return await self._do(request, "supervise", asked, audited=mode, by_phone="uri" in asked)

    async def _mode(self, request: web.Request) -> web.Response:
        mode = self._mode_of(request, await body_of(request))
        asked = {"mode": mode, "name": signed_in(request).user}
        return await self._do(request, "mode", asked, audited=mode)

    async def _leave(self, request: web.Request) -> web.Response:
        return await self._do(request, "leave", {"name": signed_in(request).user})

    async def _hand_back(self, request: web.Request) -> web.Response:
        agreed = text_of(await body_of(request), "agreed", most=1_000, required=False)
        asked = {"name": signed_in(request).user, "agreed": agreed}
        return await self._do(request, "hand-back", asked, words=agreed)

    async def _steer(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        text, say = text_of(body, "text", most=500), body.get("say", False)
        if not isinstance(say, bool):
            raise BadRequest("`say` must be true or false.")
        asked = {"name": signed_in(request).user, "text": text, "say": say}
        return await self._do(request, "steer", asked, words=text, say=say)

    async def _to_person(self, request: web.Request) -> web.Response:
        """The supervisor's choice: people of a queue are rung for this caller."""
        queue = text_of(await body_of(request), "queue", most=120, required=False)
        asked = {"name": signed_in(request).user, "queue": queue}
        return await self._do(request, "to-person", asked, queue=queue)

    async def _recording(self, request: web.Request) -> web.Response:
        """Pause a recording, for a reason, or let it go on."""
        body = await body_of(request)
        paused = body.get("paused")
        if not isinstance(paused, bool):
            raise BadRequest("`paused` must be true or false.")
        reason = text_of(body, "reason", most=300, required=paused)
        asked = {"name": signed_in(request).user, "paused": paused, "reason": reason}
        audited = "recording_paused" if paused else "recording_resumed"
        return await self._do(request, "recording", asked, audited=audited, reason=reason)

    async def _end(self, request: web.Request) -> web.Response:
        return await self._do(request, "end", {"name": signed_in(request).user})

    def _mode_of(self, request: web.Request, body: Mapping[str, Any]) -> str:
        mode = text_of(dict(body), "mode", most=20)
        if mode not in SUPERVISING:
            raise BadRequest(f"`mode` must be one of {', '.join(SUPERVISING)}.")
        require(request, SUPERVISING[mode])
        return mode

    async def _do(
        self,
        request: web.Request,
        what: str,
        asked: dict[str, Any],
        *,
        audited: str = "",
        words: str = "",
        **detail: Any,
    ) -> web.Response:
        """Note it, ask the gateway, and note as well where that refuses.

        ``words`` are kept where they can be erased; the audit log, from which nothing ever goes,
        has their length and what they are called there.
        """
        call_id = call_id_of(request)
        action = audited or what.replace("-", "_")
        if words:
            detail["characters"] = len(words)
            detail["words"] = await asyncio.to_thread(
                self._desk.interventions.keep, call_id, action, words, signed_in(request).user
            )
        async with self._desk.noted(request, action, call_id, **detail):
            answer = await self._desk.link.post(call_path(call_id, what), asked)
        return web.json_response(answer)


def call_id_of(request: web.Request) -> str:
    """The call a request is about.

    Raises:
        NotFound: no call can have that id.
    """
    call_id = request.match_info["call_id"]
    if not CALL_ID.fullmatch(call_id):
        raise NotFound("There is no such call.")
    return call_id


def live_turns(desk: Desk, call_id: str, *, words: bool) -> list[dict[str, Any]]:
    """What the agent has told of a live call's turns."""
    turns = desk.live.state.turns.get(call_id, {}).values()
    return [turn_for(each, words=words) for each in turns]


async def stream(
    desk: Desk,
    request: web.Request,
    view: View,
    is_last: Callable[[dict[str, Any]], bool] = lambda _: False,
) -> web.StreamResponse:
    """Server-sent events for as long as the browser listens and its session lasts, or until one
    ``is_last``."""
    session = signed_in(request)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    with (
        desk.live.listening(session.digest) as listener,
        suppress(ConnectionResetError, TimeoutError),
    ):
        await response.prepare(request)
        looked = time.monotonic()
        while not listener.late:
            events = await listener.some(HEARTBEAT_S)
            last = next((at for at, event in enumerate(events, 1) if is_last(event)), None)
            events = events[:last]
            shown = [each for event in events if (each := view(event)) is not None]
            said = "".join(f"data: {json.dumps(each)}\n\n" for each in shown) or ": here\n\n"
            await _write(request, response, said)
            if last:
                break
            if time.monotonic() - looked >= HEARTBEAT_S:
                looked = time.monotonic()
                known = await asyncio.to_thread(desk.accounts.session_named, session.digest)
                if known is None or known.role is not session.role:
                    break
    return response


async def _write(request: web.Request, response: web.StreamResponse, said: str) -> None:
    try:
        async with asyncio.timeout(WRITE_PATIENCE_S):
            await response.write(said.encode())
    except TimeoutError:
        log.warning("console_listener_hung", path=request.path)
        if request.transport is not None:
            request.transport.abort()
        raise


def _sdp(body: Mapping[str, Any]) -> str:
    sdp = body.get("sdp")
    if not isinstance(sdp, str) or not sdp.startswith("v=0") or len(sdp) > _MAX_SDP_CHARS:
        raise BadRequest("`sdp` must be a WebRTC offer, or `uri` a telephone to ring.")
    return sdp
