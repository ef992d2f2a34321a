"""The screen of the human agent who is rung: why the caller comes; accept or decline by click."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, signed_in
from voice_agent.console.errors import NotFound
from voice_agent.console.gateway_link import call_path
from voice_agent.console.live_api import call_id_of, live_turns, stream
from voice_agent.console.roles import Permission

_OF_TURN = ("turn_id", "index", "caller", "agent")
_LISTED = ("call_id", "state", "why", "reason", "queue", "who", "waiting_since")
"""What everybody who may be rung sees of every handoff; words and numbers are on its screen, the
reading of which is noted."""
_OVER = frozenset({"failed", "ended"})
_OF_CALL = frozenset({"call_changed", "call_ended", "turn", "suggestions"})


class HandoffApi:
    """``/api/handoffs``: calls that are handed to people, and nothing of any other call."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        needs, one = Permission.HANDOFF, "/api/handoffs/{call_id}"
        return [
            Endpoint("GET", "/api/handoffs", needs, self._offered),
            Endpoint("GET", one, needs, self._screen),
            Endpoint("GET", f"{one}/events", needs, self._events),
            Endpoint("POST", f"{one}/accept", needs, self._accept),
            Endpoint("POST", f"{one}/decline", needs, self._decline),
        ]

    async def _offered(self, _: web.Request) -> web.Response:
        shown = []
        for call in list(self._desk.live.state.calls.values()):
            if _is_open(call):
                row = await asyncio.to_thread(self._desk.history.handoff, call["call_id"])
                screen = _screen(call, _handoff_of(call) or {}, row)
                shown.append({key: screen[key] for key in _LISTED})
        return web.json_response({"handoffs": shown})

    async def _screen(self, request: web.Request) -> web.Response:
        call_id, call, handoff, row = await self._find(request)
        await self._desk.note(request, "handoff_read", call_id)
        screen = _screen(call or {"call_id": call_id}, handoff or {}, row)
        still_theirs = call is not None and _is_open(call)
        live = live_turns(self._desk, call_id, words=True) if still_theirs else []
        if live:
            screen["turns"] = [
                {key: each[key] for key in _OF_TURN if key in each} for each in live[-8:]
            ]
        suggested = self._desk.live.state.suggestions.get(call_id, [])
        screen["suggestions"] = suggested if still_theirs else []
        return web.json_response(screen)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """What happens on that one call, for as long as it is handed to a person.

        Raises:
            NotFound: it is not, or not any more.
        """
        call_id, call, _, _ = await self._find(request)
        if call is None or not _is_open(call):
            raise NotFound("That handoff is over.")

        def view(event: dict[str, Any]) -> dict[str, Any] | None:
            of = event.get("call_id") or (event.get("call") or {}).get("call_id")
            return event if event.get("event") in _OF_CALL and of == call_id else None

        def is_last(event: dict[str, Any]) -> bool:
            if event.get("event") == "snapshot":
                calls = {each.get("call_id"): each for each in event.get("calls") or []}
                return call_id not in calls or not _is_open(calls[call_id])
            of = event.get("call")
            if not isinstance(of, Mapping) or of.get("call_id") != call_id:
                return False
            return event.get("event") == "call_ended" or not _is_open(of)

        return await stream(self._desk, request, view, is_last)

    async def _accept(self, request: web.Request) -> web.Response:
        return await self._decide(request, "accept")

    async def _decline(self, request: web.Request) -> web.Response:
        return await self._decide(request, "decline")

    async def _decide(self, request: web.Request, decision: str) -> web.Response:
        call_id, _, _, _ = await self._find(request)
        asked = {"decision": decision, "name": signed_in(request).user}
        async with self._desk.noted(request, f"handoff_{decision}", call_id):
            answer = await self._desk.link.post(call_path(call_id, "handoff"), asked)
        return web.json_response(answer)

    async def _find(
        self, request: web.Request
    ) -> tuple[str, dict[str, Any] | None, dict[str, Any] | None, dict[str, Any] | None]:
        """A call that is or was handed over; human agents are shown no other.

        Raises:
            NotFound: there is none of that id.
        """
        call_id = call_id_of(request)
        call = self._desk.live.state.calls.get(call_id)
        handoff = _handoff_of(call) if call else None
        row = await asyncio.to_thread(self._desk.history.handoff, call_id)
        if handoff is None and row is None:
            raise NotFound("No call of that id is handed to a person.")
        return call_id, call, handoff, row


def _is_open(call: Mapping[str, Any]) -> bool:
    """A person is sought for the caller, or has them; not so once they are the agent's again."""
    handoff = _handoff_of(call)
    return handoff is not None and handoff.get("state") not in _OVER


def _handoff_of(call: Mapping[str, Any]) -> dict[str, Any] | None:
    handoff = call.get("handoff")
    return dict(handoff) if isinstance(handoff, Mapping) else None


def _screen(
    call: Mapping[str, Any], handoff: Mapping[str, Any], row: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the person sees, from the live call and from the recorded brief."""
    given = (row or {}).get("brief") or handoff.get("brief") or {}
    brief: Mapping[str, Any] = given if isinstance(given, Mapping) else {"wants": str(given)}
    turns = [
        {"caller": each[0], "agent": each[1]} if isinstance(each, list | tuple) else each
        for each in brief.get("turns") or []
    ]
    return {
        "call_id": call["call_id"],
        "state": _STATES.get(str(handoff.get("state") or (row or {}).get("state") or ""), "over"),
        "why": str(handoff.get("reason") or ""),
        "reason": brief.get("reason")
        or handoff.get("cause")
        or handoff.get("reason")
        or (row or {}).get("reason")
        or "",
        "queue": (row or {}).get("queue") or call.get("queue") or "",
        "who": brief.get("who") or "",
        "number": brief.get("caller") or call.get("caller") or "",
        "verified": bool(brief.get("verified")),
        "wants": brief.get("wants") or "",
        "tried": brief.get("tried") or [],
        "promised": brief.get("promised") or [],
        "mood": brief.get("mood") or call.get("mood") or "",
        "turns": turns,
        "suggested": brief.get("next_step") or brief.get("suggested") or "",
        "spoken_brief": (row or {}).get("spoken") or "",
        "waiting_since": call.get("waiting_since"),
        "steps": (row or {}).get("steps") or [],
    }


_STATES = {
    **dict.fromkeys(("wanted", "waiting"), "waiting"),
    "ringing": "ringing",
    "answered": "answered",
    **dict.fromkeys(("bridged", "transferred"), "accepted"),
}
"""By the gateway's word; whatever is not here is ``over``."""
