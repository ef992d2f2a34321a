"""Grading answers, and what follows: the evaluation set and verified answers."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, signed_in, text_of
from voice_agent.console.errors import BadRequest, NotFound
from voice_agent.console.grades import GRADES, approved_id
from voice_agent.console.published import Published
from voice_agent.console.roles import Permission

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")


class GradingApi:
    """``/api/turns/…`` and ``/api/proposals``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        settings = desk.settings
        self._published = Published(settings.knowledge, settings.console.verified_answers)

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        p, turn = Permission, "/api/turns/{turn_id}"
        return [
            Endpoint("POST", f"{turn}/grade", p.GRADE, self._grade),
            Endpoint("POST", f"{turn}/evaluation", p.EVALUATE, self._evaluate),
            Endpoint("POST", f"{turn}/verified-answer", p.VERIFIED_ANSWER, self._propose),
            Endpoint("GET", "/api/proposals", p.VERIFIED_ANSWER, self._proposals),
            Endpoint("POST", "/api/proposals/{id}/approve", p.APPROVE, self._approve),
            Endpoint("POST", "/api/proposals/{id}/reject", p.APPROVE, self._reject),
        ]

    async def _grade(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        grade = text_of(body, "grade", most=10)
        if grade not in GRADES:
            raise BadRequest(f"`grade` must be one of {', '.join(sorted(GRADES))}.")
        correction = text_of(body, "correction", most=2_000, required=False)
        turn = await asyncio.to_thread(self._desk.history.turn, _turn_id(request))
        by = signed_in(request).user
        async with self._desk.noted(request, "graded", turn["turn_id"], grade=grade):
            await asyncio.to_thread(
                self._desk.grades.grade, turn["turn_id"], turn["call_id"], grade, correction, by
            )
        grades = await asyncio.to_thread(self._desk.grades.of_call, turn["call_id"])
        return web.json_response({"grade": grades[turn["turn_id"]]})

    async def _evaluate(self, request: web.Request) -> web.Response:
        turn = await asyncio.to_thread(self._desk.history.turn, _turn_id(request))
        if not str(turn.get("heard") or "").strip():
            raise BadRequest("The caller asked nothing in that turn.")
        grades = await asyncio.to_thread(self._desk.grades.of_call, turn["call_id"])
        correction = (grades.get(turn["turn_id"]) or {}).get("correction", "")
        async with self._desk.noted(request, "evaluation_added", turn["turn_id"]):
            added = await asyncio.to_thread(self._desk.grades.add_to_evaluation, turn, correction)
        return web.json_response(
            {"added": added, "file": str(self._desk.settings.console.evaluation)}
        )

    async def _propose(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        answer = text_of(body, "text", most=1_000)
        turn = await asyncio.to_thread(self._desk.history.turn, _turn_id(request))
        question = text_of(body, "question", most=500, required=False) or str(turn["heard"])
        if not question.strip():
            raise BadRequest("The caller asked nothing in that turn: give a `question`.")
        by = signed_in(request).user
        async with self._desk.noted(
            request, "answer_proposed", turn["turn_id"], characters=len(answer)
        ):
            proposal = await asyncio.to_thread(
                self._desk.grades.propose, turn["turn_id"], question, answer, by
            )
        return web.json_response({"proposal": proposal, "state": "proposed"}, status=201)

    async def _proposals(self, _: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._desk.grades.proposals)
        now = await asyncio.to_thread(self._published.now)
        for each in found:
            heard = each["state"] == "approved" and approved_id(each["id"]) in now.approved
            each["version"] = now.version if heard else None
        return web.json_response(
            {
                "proposals": found,
                "version": now.version or None,
                "is_source": self._published.is_source,
                "file": str(self._desk.settings.console.verified_answers),
                "build": "voice-agent knowledge build",
                "watched_s": self._desk.settings.knowledge.watch_s or None,
            }
        )

    async def _approve(self, request: web.Request) -> web.Response:
        return await self._decide(request, approve=True)

    async def _reject(self, request: web.Request) -> web.Response:
        return await self._decide(request, approve=False)

    async def _decide(self, request: web.Request, *, approve: bool) -> web.Response:
        proposal = request.match_info["id"]
        action = "answer_approved" if approve else "answer_rejected"
        async with self._desk.noted(request, action, proposal[:64]):
            decided = await asyncio.to_thread(
                self._desk.grades.decide, proposal, approve, signed_in(request).user
            )
        return web.json_response(decided)


def _turn_id(request: web.Request) -> str:
    turn_id = request.match_info["turn_id"]
    if not _ID.fullmatch(turn_id):
        raise NotFound("There is no such turn.")
    return turn_id
