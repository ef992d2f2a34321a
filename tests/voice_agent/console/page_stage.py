"""A floor of calls, one call in detail, and the rest a page test needs to look at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from tests.telephony.browser import Tab, browsing
from tests.voice_agent.console.fake_console import FakeConsole, a_call, serving_page

BEGAN = 1_780_000_000.0
EVIL = "<img src=x onerror=alert(1)>"
TURNS: list[dict[str, Any]] = [
    {
        "turn_id": "t1", "index": 1, "at_ms": 4_000, "caller": "How long does delivery take?",
        "agent": "Standard delivery takes two days. Express arrives tomorrow.",
        "heard": "Standard delivery takes two days. Express arrives tomorrow.", "cut_off": False,
        "sources": [
            {"sentence": "Standard delivery takes two days.", "passage_id": "delivery#1",
             "title": "Delivery of parcels", "score": 0.83},
            {"sentence": "Express arrives tomorrow.", "passage_id": "delivery#4",
             "title": "Express delivery", "score": 0.79},
        ],
        "stages_ms": {"silence": 260, "transcription": 40, "retrieval": 12, "first_token": 96,
                      "synthesis": 61, "gate": 8, "playout": 21},
        "voice_to_voice_ms": 498, "road": "answer", "confidence": 0.94, "runner_up": "action",
        "actions": [], "guards": [], "grade": None,
    },
    {
        "turn_id": "t2", "index": 2, "at_ms": 14_500, "caller": "And can you refund the lamp?",
        "agent": "I can refund 24 dollars to your card. It takes three working days to arrive.",
        "heard": "I can refund 24 dollars to your card.", "cut_off": True,
        "sources": [
            {"sentence": "It takes three working days to arrive.", "passage_id": "refunds#2",
             "title": "Refunds", "score": 0.71},
        ],
        "stages_ms": {"silence": 300, "transcription": 120, "retrieval": 20, "first_token": 700,
                      "synthesis": 90, "gate": 10, "playout": 22},
        "voice_to_voice_ms": 1_262, "road": "action", "confidence": 0.88,
        "actions": [{"name": "refund_order", "state": "done",
                     "arguments": {"order": "0742", "amount": 24}, "result": {"refunded": 24}}],
        "guards": [{"guard": "grounding", "decision": "repaired", "reason": "three working days"}],
        "grade": None,
    },
]  # fmt: skip
BRIEF: dict[str, Any] = {
    "who": "Ada Hill", "number": "+44 20 7946 0018", "verified": True, "reason": "limit",
    "wants": "A refund of 240 dollars for a sofa", "tried": ["Looked up order 0742"],
    "promised": ["A call back today"], "mood": "annoyed",
    "suggested": "Approve the refund or offer an exchange",
    "spoken_brief": "Ada Hill wants a refund above my limit.",
}  # fmt: skip
SUGGESTION = {"passage_id": "refunds#1", "title": "Refunds",
              "text": "Refunds above 100 dollars need a manager."}  # fmt: skip


def a_floor(calls: int = 12) -> FakeConsole:
    """Calls in every state, with two alarms; ``c0`` has turns, a story and a passage."""
    console = FakeConsole()
    now = time.time()
    moods, roads = ("calm", "calm", "annoyed", "calm"), ("answer", "verified", "action", "clarify")
    for n in range(calls):
        console.calls[f"c{n}"] = a_call(
            f"c{n}", caller=f"+44 20 7946 0{n:03}", began_at=now - 40 - 17 * n,
            answered_at=now - 39 - 17 * n, mood=moods[n % 4], road=roads[n % 4],
            line="webrtc" if n % 5 == 4 else "sip", queue=("orders", "returns")[n % 2],
            latency_ms=390 + 53 * (n % 9), risk=(n % 7) / 20,
            snippet=("Standard delivery takes two days.", "Could you tell me the order number?",
                     "Your refund is on its way.")[n % 3],
        )  # fmt: skip
    if calls > 7:
        console.calls["c3"] |= {"stage": "waiting", "waiting_since": now - 41, "road": "person"}
        console.calls["c5"] |= {"mood": "upset", "risk": 0.62, "latency_ms": 1_840}
        console.calls["c7"] |= {"stage": "bridged", "road": "person"}
        console.alarms = [
            {"id": "a1", "at": now - 3, "severity": "critical", "code": "waiting", "call_id": "c3",
             "message": "A caller has waited 41 s for a person.", "cleared": False},
            {"id": "a2", "at": now - 20, "severity": "warning", "code": "mood", "call_id": "c5",
             "message": "The caller seems upset.", "cleared": False},
        ]  # fmt: skip
    console.calls["c0"] |= {"name": "Ada Hill", "verified": True}
    console.details["c0"] = {"turns": TURNS, "brief": BRIEF, "suggestions": [SUGGESTION]}
    return console


def a_past_call(console: FakeConsole, call_id: str = "p1") -> None:
    """A call that is over, with a recording."""
    call = a_call(call_id, stage="ended", outcome="ended_by_caller") | {
        "began_at": BEGAN, "answered_at": BEGAN + 1, "ended_at": BEGAN + 30,
    }  # fmt: skip
    console.details[call_id] = {
        "call": call, "turns": TURNS, "brief": None, "recording": f"/api/calls/{call_id}/recording"
    }  # fmt: skip
    console.answers["/api/history"] = {
        "calls": [
            {"call_id": call_id, "began_at": BEGAN, "ended_at": BEGAN + 30, "line": "sip",
             "caller": "+44 20 7946 0018", "outcome": "ended_by_caller", "road": "answer",
             "turns": 2, "grade": None, "recording": True},
            {"call_id": "p2", "began_at": BEGAN - 900, "ended_at": BEGAN - 700, "line": "webrtc",
             "caller": "", "outcome": "handed_over", "road": "person", "turns": 6,
             "grade": "wrong", "recording": False},
        ],
        "page": 1, "pages": 3, "total": 61, "outcomes": ["ended_by_caller", "handed_over"],
    }  # fmt: skip


def boards(console: FakeConsole) -> None:
    """Figures for every board."""
    hours = [BEGAN + 3600 * n for n in range(24)]
    wave = [380 + (n * 37) % 160 for n in range(24)]
    board = {
        "title": "Operations", "period": {"from": BEGAN, "to": BEGAN + 86_400},
        "tiles": [
            {"name": "Calls", "value": 1_204, "unit": "", "tone": "", "note": "today"},
            {"name": "Median wait", "value": 462, "unit": "ms", "tone": "good", "note": ""},
            {"name": "Errors", "value": 1.7, "unit": "%", "tone": "bad", "note": "to reach 1 %"},
            {"name": "Last pruned", "value": BEGAN, "unit": "time", "tone": "", "note": ""},
            {"name": "Cost a call", "value": None, "unit": "$", "tone": "", "note": "not set"},
        ],
        "charts": [
            {"title": "Voice to voice", "unit": "ms", "kind": "line", "labels": hours, "reach": 800,
             "series": [{"name": "median", "values": wave},
                        {"name": "95 %", "values": [None if n == 7 else v * 1.9
                                                    for n, v in enumerate(wave)]}]},
            {"title": "Calls by outcome", "unit": "", "kind": "bar", "reach": None,
             "labels": ["Answered", "Handed over", "Abandoned"],
             "series": [{"name": "calls", "values": [960, 201, 43]}]},
            {"title": "Refused", "unit": "", "kind": "bar", "reach": None, "labels": hours,
             "series": [{"name": "turns", "values": [0.0] * 24}]},
            {"title": "Nothing yet", "unit": "", "kind": "line", "labels": [], "series": [],
             "reach": None},
        ],
        "tables": [{"title": "Errors", "columns": ["code", "calls"],
                    "rows": [["language_model_timeout", 12], [EVIL, 8]]},
                   {"title": "Guards", "columns": ["guard", "times"],
                    "rows": [["reason=payment,side=recording", 1]]},
                   {"title": "Counters", "columns": ["counter", "value"],
                    "rows": [["gateway_calls_total{line=sip,outcome=no_agent}", 3]]},
                   {"title": "Wait", "columns": ["part", "median ms"],
                    "rows": [["first_clause", 3]]},
                   {"title": "Users", "columns": ["name", "role"], "rows": [["ada_h", "agent"]]}],
    }  # fmt: skip
    for name in ("operations", "quality", "business", "compliance"):
        console.answers[f"/api/boards/{name}"] = board


def people(console: FakeConsole) -> None:
    """The audit log and the users."""
    console.answers["/api/audit"] = {
        "entries": [
            {"seq": n, "at": BEGAN + n, "user": "sam", "role": "supervisor", "action": "takeover",
             "target": f"c{n}", "detail": {"reason": EVIL}, "hash": "9f" * 32}
            for n in range(3)
        ],
        "page": 1, "pages": 1, "verified": True,
    }  # fmt: skip
    console.answers["/api/users"] = {
        "users": [
            {"name": "sam", "role": "supervisor", "totp": True, "locked": False, "sessions": 2,
             "last_sign_in": BEGAN},
            {"name": "ada", "role": "supervisor", "totp": True, "locked": False, "sessions": 1,
             "last_sign_in": BEGAN + 300},
            {"name": "kim", "role": "agent", "totp": False, "locked": True, "sessions": 0,
             "last_sign_in": None},
        ]
    }  # fmt: skip


def proposed_answers(console: FakeConsole) -> None:
    """One answer that waits, one of one's own, one that was decided."""
    kept = {"turn_id": "t1", "by": "kim", "version": None, "answer": "Two to three days.",
            "at": BEGAN, "decided_by": None,
            "decided_at": None, "state": "proposed"}  # fmt: skip
    decided = {"state": "approved", "decided_by": "ada", "decided_at": BEGAN + 60}
    console.answers["/api/proposals"] = {
        "proposals": [
            kept | {"id": "q1", "question": EVIL, "by": "kim"},
            kept | {"id": "q2", "question": "Do you deliver on Sundays?", "by": "sam"},
            kept | decided | {"id": "q3", "question": "Can I return a lamp?", "by": "kim"},
            kept | decided | {"id": "q4", "question": "Is there a shop?", "version": "3f2a91bc"},
            kept | decided | {"id": "q5", "question": "Is it dear?", "state": "rejected"},
        ],
        "version": "3f2a91bc", "is_source": True, "build": "voice-agent knowledge build",
        "file": "var/verified_answers/approved.jsonl",
    }  # fmt: skip


def a_handoff(console: FakeConsole, call_id: str = "c3") -> None:
    """A caller who waits for a person."""
    console.handoffs[call_id] = BRIEF | {
        "call_id": call_id, "state": "answered", "waiting_since": time.time() - 12,
        "suggestions": [SUGGESTION],
        "turns": [{"caller": EVIL, "agent": "That is above what I may refund."}],
    }  # fmt: skip


@asynccontextmanager
async def looking_at(
    console: FakeConsole, folder: Path, where: str = "#/live", **how: Any
) -> AsyncIterator[Tab]:
    """The page in a browser, at a view; ``how`` as for ``browsing``."""
    async with serving_page(console), browsing(folder, **how) as tab:
        await tab.page.goto(f"{console.url}/{where}")
        await expect(tab.page.locator("main")).to_be_visible()
        if console.signed_in and "live" in console.permissions:
            await until(lambda: console.is_watched)  # so that it misses nothing that a test tells
        yield tab


async def until(condition: Callable[[], bool]) -> None:
    """Poll what other tasks change, for as long as a slow machine may need."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is polled is plain state
            await asyncio.sleep(0.02)
