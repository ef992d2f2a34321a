"""One call, calls that are over, and their recordings."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from voice_agent.console.board_state import call_for, turn_for
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, number_of, signed_in
from voice_agent.console.errors import BadRequest, Forbidden, NotFound
from voice_agent.console.history import Search
from voice_agent.console.live_api import call_id_of
from voice_agent.console.roles import GRANTS, Permission

NOTED_AGAIN_S = 600
"""A browser asks for a recording in pieces: one line in the audit log in so long will do."""
_FOREVER = 4e9


class HistoryApi:
    """``/api/calls/{id}``, ``/api/history``, recordings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._noted: dict[tuple[str, str, str], float] = {}

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        p = Permission
        return [
            Endpoint("GET", "/api/calls/{call_id}", p.HISTORY, self._call),
            Endpoint("GET", "/api/calls/{call_id}/recording", p.RECORDING, self._recording),
            Endpoint("GET", "/api/history", p.HISTORY, self._search),
        ]

    async def _call(self, request: web.Request) -> web.Response:
        call_id = call_id_of(request)
        session = signed_in(request)
        words = Permission.WORDS in GRANTS[session.role]
        found = await asyncio.to_thread(self._desk.history.call, call_id)
        live = self._desk.live.state.calls.get(call_id)
        if found is None and live is None:
            raise NotFound("There is no such call.")
        if words:
            await self._note_once(request, "call_read", call_id)
        recorded: dict[str, Any] = found or {"call": {}, "turns": [], "brief": None}
        call = recorded["call"] | (live or {})
        turns = {turn["turn_id"]: turn for turn in recorded["turns"]}
        for turn_id, turn in self._desk.live.state.turns.get(call_id, {}).items():
            turns[turn_id] = turns.get(turn_id) or turn
        grades = await asyncio.to_thread(self._desk.grades.of_call, call_id)
        evaluated = await asyncio.to_thread(self._desk.grades.evaluated)
        proposed = await asyncio.to_thread(self._desk.grades.proposed_of, turns)
        shown = [
            turn_for(turn, words=words)
            | {
                "grade": grades.get(turn_id),
                "evaluated": turn_id in evaluated,
                "proposed": proposed.get(turn_id),
            }
            for turn_id, turn in turns.items()
        ]
        said = await asyncio.to_thread(self._desk.interventions.of_call, call_id) if words else []
        may_hear = Permission.RECORDING in GRANTS[session.role]
        return web.json_response(
            {
                "call": call_for(call, words=words) | {"live": live is not None},
                "turns": shown,
                "brief": recorded.get("brief") if words else None,
                "handoffs": recorded.get("handoffs", []) if words else [],
                "interventions": said,
                "recording": recorded.get("recording") if may_hear else None,
                "recorded": recorded.get("recorded"),
                "suggestions": self._desk.live.state.suggestions.get(call_id, []) if words else [],
            }
        )

    async def _search(self, request: web.Request) -> web.Response:
        words = Permission.WORDS in GRANTS[signed_in(request).role]
        asked = {
            name: request.query.get(name, "").strip()[:200]
            for name in ("number", "outcome", "words")
        }
        if asked["words"] and not words:
            raise Forbidden("Your role may not search what callers said.")
        if asked["number"] and not words:
            raise Forbidden("Your role may not search numbers of callers.")
        search = Search(
            since=number_of(request, "from", 0, 0, _FOREVER),
            until=number_of(request, "to", time.time() + 86_400, 0, _FOREVER),
            page=int(number_of(request, "page", 1, 1, 100_000)),
            **asked,
        )
        if search.until < search.since:
            raise BadRequest("`from` is later than `to`.")
        found = await asyncio.to_thread(self._desk.history.search, search)
        calls = [call_for(each, words=words) for each in found["calls"]]
        worst = await asyncio.to_thread(
            self._desk.grades.worst_of, [each["call_id"] for each in calls]
        )
        for call in calls:
            call["grade"] = worst.get(call["call_id"])
        return web.json_response({**found, "calls": calls})

    async def _recording(self, request: web.Request) -> web.StreamResponse:
        call_id = call_id_of(request)
        path: Path | None = await asyncio.to_thread(self._desk.history.recording, call_id)
        if path is None:
            raise NotFound("There is no recording of that call.")
        await self._note_once(request, "recording_played", call_id)
        return web.FileResponse(
            path,
            headers={
                "Content-Type": "audio/wav",
                "Content-Disposition": f'inline; filename="{call_id}.wav"',
                "Cache-Control": "no-store",
            },
        )

    async def _note_once(self, request: web.Request, action: str, call_id: str) -> None:
        """Note an act that a page repeats by itself, at most once in ``NOTED_AGAIN_S``."""
        now = time.monotonic()
        key = (signed_in(request).digest, action, call_id)
        if now - self._noted.get(key, -NOTED_AGAIN_S) < NOTED_AGAIN_S:
            return
        await self._desk.note(request, action, call_id)
        self._noted = {k: at for k, at in self._noted.items() if now - at < NOTED_AGAIN_S}
        self._noted[key] = now
