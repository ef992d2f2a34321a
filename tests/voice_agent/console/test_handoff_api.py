"""The human agent's screen: the story of calls handed to people, and nothing of any other."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import pytest

from tests.voice_agent.console.conftest import Stage, Watch
from tests.voice_agent.console.fake_gateway import call
from tests.voice_agent.console.recorded import BEGAN, a_call, a_turn, record
from voice_agent.console.roles import Role
from voice_agent.records.record_types import HandoffRecord
from voice_agent.records.store import Records

BRIEF: dict[str, Any] = {
    "who": "Ada Hill",
    "caller": "+15551234567",
    "verified": True,
    "wants": "a refund of 240 dollars",
    "reason": "limit",
    "tried": ["looked up order 0742"],
    "promised": ["a call by Friday"],
    "mood": "calm",
    "turns": [["I want a refund", "That needs a person"]],
    "next_step": "approve the refund",
}


@pytest.fixture
def handed_over(connected: Stage) -> None:
    """One call that is handed to a person, and one that is not."""
    settings = connected.console.desk.settings
    record(settings, a_call("c1", ended_at=None, outcome=""), a_call("c2"), a_turn("c2", 1))
    store = Records.open(settings.records.path)
    store.record_handoff(
        HandoffRecord(
            handoff_id="h1", call_id="c1", asked_at=BEGAN, reason="limit", queue="billing",
            spoken="Ada Hill wants a refund.", brief=BRIEF,
        )
    )  # fmt: skip
    store.close()
    state = connected.console.desk.live.state
    handoff = {"state": "ringing", "target": "sip:desk", "reason": "limit"}
    state.apply({"event": "call_began", "call": call("c1", handoff=handoff)}, 0)
    state.apply({"event": "call_began", "call": call("c2")}, 0)


@pytest.mark.usefixtures("handed_over")
async def test_the_screen_tells_the_whole_story(stage: Stage) -> None:
    agent = await stage.signed_in(Role.AGENT)
    screen = await agent.get("/api/handoffs/c1")
    assert screen["state"] == "ringing"
    assert screen["turns"] == [{"caller": "I want a refund", "agent": "That needs a person"}]
    for key, value in {
        "who": "Ada Hill", "verified": True, "wants": "a refund of 240 dollars",
        "promised": ["a call by Friday"], "suggested": "approve the refund", "queue": "billing",
        "spoken_brief": "Ada Hill wants a refund.",
    }.items():  # fmt: skip
        assert screen[key] == value
    listed = (await agent.get("/api/handoffs"))["handoffs"]
    assert listed == [
        {
            "call_id": "c1", "state": "ringing", "why": "limit", "reason": "limit",
            "queue": "billing", "who": "Ada Hill", "waiting_since": None,
        }
    ]  # fmt: skip


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("told", ["waiting", "ringing", "answered"])
async def test_whether_a_telephone_rings_is_told_as_it_is(stage: Stage, told: str) -> None:
    agent = await stage.signed_in(Role.AGENT)
    handoff = {"state": told, "target": "care", "reason": "unreachable"}
    stage.console.desk.live.state.apply(
        {"event": "call_changed", "call": call("c1", handoff=handoff)}, 0
    )
    (listed,) = (await agent.get("/api/handoffs"))["handoffs"]
    assert (listed["state"], listed["why"]) == (told, "unreachable")


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("over", ["ended", "failed"])
async def test_once_the_caller_is_the_agents_again_nothing_more_is_told(
    stage: Stage, over: str
) -> None:
    agent = await stage.signed_in(Role.AGENT)
    async with Watch(agent, "/api/handoffs/c1/events") as page:
        handoff = {"state": over, "target": "sip:desk", "reason": "limit"}
        stage.gateway.say("call_changed", call=call("c1", handoff=handoff))
        await page.until("call_changed")
        stage.gateway.say("turn", call_id="c1", kind="turn", data={"turn_id": "t1", "caller": "Ah"})
        with pytest.raises(AssertionError, match="before the stream ended"):
            await page.until("turn")
    assert (await agent.ask("GET", "/api/handoffs/c1/events")).status == 404
    assert (await agent.get("/api/handoffs"))["handoffs"] == []
    screen = await agent.get("/api/handoffs/c1")
    assert screen["state"] == "over"
    assert "Ah" not in json.dumps(screen)


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("call_id", ["c2", "none", "..%2Fc1"])
async def test_other_calls_are_not_shown_to_human_agents(stage: Stage, call_id: str) -> None:
    agent = await stage.signed_in(Role.AGENT)
    for path in ("", "/events"):
        assert (await agent.ask("GET", f"/api/handoffs/{call_id}{path}")).status == 404
    await agent.do(f"/api/handoffs/{call_id}/accept", status=404)
    assert stage.gateway.asked == []


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("decision", ["accept", "decline"])
async def test_a_click_accepts_or_declines_in_the_agents_name(stage: Stage, decision: str) -> None:
    agent = await stage.signed_in(Role.AGENT)
    await agent.do(f"/api/handoffs/c1/{decision}")
    assert stage.gateway.asked == [
        ("handoff", {"call_id": "c1", "decision": decision, "name": "agent"})
    ]


@pytest.mark.usefixtures("handed_over")
async def test_the_assistants_transcript_and_passages_reach_the_screen(stage: Stage) -> None:
    state = stage.console.desk.live.state
    turn = {"turn_id": "t9", "caller": "And the lamp?", "agent": ""}
    state.apply({"event": "turn", "call_id": "c1", "kind": "turn", "data": turn}, 0)
    passages = [{"passage_id": "p#1", "title": "Lamps", "text": "Lamps are free."}]
    suggested = {"passages": passages}
    state.apply({"event": "turn", "call_id": "c1", "kind": "suggestion", "data": suggested}, 0)
    screen = await (await stage.signed_in(Role.AGENT)).get("/api/handoffs/c1")
    assert screen["turns"][-1] == {"turn_id": "t9", "caller": "And the lamp?", "agent": ""}
    assert screen["suggestions"] == passages


@pytest.mark.usefixtures("handed_over")
async def test_a_brief_that_is_garbled_shows_an_empty_screen(stage: Stage) -> None:
    path = stage.console.desk.settings.records.path
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE handoffs SET brief = ?", (json.dumps(["x"])[:-1],))
    screen = await (await stage.signed_in(Role.AGENT)).get("/api/handoffs/c1")
    assert screen["wants"] == ""
