"""Live calls: what a page is told, what supervisors do, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.voice_agent.console.conftest import Stage, Watch
from tests.voice_agent.console.fake_gateway import call
from voice_agent.console.board_state import BoardState, call_for
from voice_agent.console.live import MAX_OF_ONE_SESSION, MAX_WAITING_EVENTS, Listener
from voice_agent.console.roles import Role
from voice_agent.console.settings import AlarmSettings

TURN = {
    "turn_id": "t1", "index": 1, "caller": "My name is Ada", "agent": "Hello Ada.",
    "heard": "Hello", "road": "answer", "confidence": 0.9, "voice_to_voice_ms": 2500, "risk": 0.7,
    "sources": [{"sentence": "Hello Ada.", "passage_id": "p#1"}],
}  # fmt: skip


async def test_a_page_is_told_everything_first_and_then_what_changes(connected: Stage) -> None:
    gateway = connected.gateway
    supervisor = await connected.signed_in(Role.SUPERVISOR)
    async with Watch(supervisor) as page:
        await page.until("snapshot")
        gateway.say("call_began", call=call("c1"))
        await page.until("call_began")
    async with Watch(supervisor) as page:
        first = (await page.until("snapshot"))[-1]
        assert [each["call_id"] for each in first["calls"]] == ["c1"]
        gateway.say("turn", call_id="c1", kind="turn", data=TURN)
        gateway.say("turn", call_id="c1", kind="mood", data={"mood": "upset"})
        gateway.say("call_changed", call=call("c1", stage="waiting"))
        gateway.say("call_ended", call=call("c1"))
        seen = await page.until("call_ended")
    turns = [each for each in seen if each["event"] == "turn"]
    assert turns[0]["turn"]["caller"] == "My name is Ada"
    last = [each for each in seen if each["event"] == "call_changed"][-1]["call"]
    assert (last["mood"], last["stage"], last["latency_ms"], last["turns"]) == (
        "upset",
        "waiting",
        2500,
        1,
    )


@pytest.mark.parametrize(
    ("stage", "why", "outcome"),
    [
        ("with_agent", "supervisor_ended", "ended_by_supervisor"),
        ("with_agent", "caller_hung_up", "ended_by_caller"),
        ("bridged", "caller_hung_up", "handed_over"),
    ],
)
def test_a_call_that_has_just_ended_says_how(stage: str, why: str, outcome: str) -> None:
    board = BoardState(AlarmSettings())
    board.apply({"event": "call_began", "call": call("c1", stage=stage)}, 1.0)
    ended = {"event": "call_ended", "call": call("c1", stage="ended"), "outcome": why}
    assert board.apply(ended, 2.0)[0]["call"]["outcome"] == outcome


async def test_an_engineer_is_told_neither_words_nor_numbers(connected: Stage) -> None:
    gateway = connected.gateway
    async with Watch(await connected.signed_in(Role.ENGINEER)) as page:
        await page.until("snapshot")
        gateway.say("call_began", call=call("c1"))
        gateway.say("turn", call_id="c1", kind="turn", data=TURN)
        suggested = {"passages": [{"title": "Ada's file"}]}
        gateway.say("turn", call_id="c1", kind="suggestion", data=suggested)
        gateway.say("call_ended", call=call("c1"))
        text = json.dumps(await page.until("call_ended"))
    assert "Ada" not in text
    assert "1234567" not in text
    assert '"road": "answer"' in text


async def test_alarms_come_and_go(connected: Stage) -> None:
    async with Watch(await connected.signed_in(Role.SUPERVISOR)) as page:
        await page.until("snapshot")
        connected.gateway.say("call_began", call=call("c1", stage="waiting", waiting_s=300.0))
        begun = (await page.until("alarm"))[-1]["alarm"]
        assert (begun["code"], begun["severity"], begun["cleared"]) == (
            "waiting",
            "critical",
            False,
        )
        connected.gateway.say("call_ended", call=call("c1"))
        assert (await page.until("alarm"))[-1]["alarm"] == begun | {"cleared": True}


async def test_a_gateway_that_goes_away_is_told_and_is_found_again(connected: Stage) -> None:
    async with Watch(await connected.signed_in(Role.SUPERVISOR)) as page:
        await page.until("snapshot")
        connected.gateway.calls["c9"] = call("c9")
        connected.gateway.hang_up()
        await page.until("gateway", state="down")
        await page.until("gateway", state="up")
        calls = (await page.until("snapshot"))[-1]["calls"]
        assert [each["call_id"] for each in calls] == ["c9"]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "call_began"},
        {"event": "call_changed", "call": {"stage": "ringing"}},
        {"event": "call_changed", "call": "c1"},
        {"event": "turn", "call_id": "nobody", "kind": "turn", "data": TURN},
        {"event": "turn", "call_id": ["c1"], "kind": "turn", "data": TURN},
        {"event": "turn", "call_id": "c1", "kind": "turn", "data": "words"},
        {"event": "turn", "call_id": "c1", "kind": "turn", "data": {"turn_id": 7}},
        {"event": "turn", "call_id": "c1", "kind": "suggestion", "data": {"passages": ["x"]}},
        {"event": "call_ended", "call_id": "nobody"},
        {"event": "snapshot", "calls": ["x", {}]},
        {"event": ["nonsense"]},
        {},
    ],
)
def test_an_event_that_makes_no_sense_changes_nothing(event: dict[str, Any]) -> None:
    state = BoardState(AlarmSettings(), tick=lambda: 0.0)
    state.apply({"event": "call_began", "call": call("c1")}, 0)
    before = json.dumps(state.calls)
    state.apply(event, 0)
    assert event.get("event") == "snapshot" or json.dumps(state.calls) == before


def test_waiting_is_measured_by_a_clock_that_does_not_jump() -> None:
    ticks = [0.0]
    state = BoardState(AlarmSettings(waiting_s=60), tick=lambda: ticks[0])
    state.gateway_is(True, 0)
    waiting = call("c1", stage="waiting", waiting_s=10.0)
    state.apply({"event": "call_began", "call": waiting}, 1_000)
    assert state.look(9e9) == []
    ticks[0] = 51.0
    assert [each["alarm"]["code"] for each in state.look(1_000)] == ["waiting"]


def test_an_alarm_that_lasts_says_how_long_by_now_and_is_the_same_alarm() -> None:
    ticks = [0.0]
    state = BoardState(AlarmSettings(waiting_s=60), tick=lambda: ticks[0])
    state.gateway_is(True, 0)
    waiting = call("c1", stage="waiting", waiting_s=70.0)
    state.apply({"event": "call_began", "call": waiting}, 1_000)
    (first,) = state.look(1_000)
    assert "1 min" in first["alarm"]["message"]
    assert state.look(1_010) == []
    ticks[0] = 60.0
    (later,) = state.look(1_060)
    assert "2 min" in later["alarm"]["message"]
    assert (later["alarm"]["id"], later["alarm"]["at"]) == (first["alarm"]["id"], 1_000)


async def test_a_telephone_that_is_not_in_the_settings_is_no_trouble_with_the_token(
    stage: Stage,
) -> None:
    stage.gateway.refuse["supervise"] = (403, "phone_unknown")
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    wish = {"mode": "listen", "uri": "sip:elsewhere@127.0.0.1"}
    answer = await supervisor.do("/api/calls/c1/supervise", wish, status=403)
    assert answer["error"] == {"code": "phone_unknown", "message": "phone_unknown happened"}


async def test_an_ended_session_hears_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.live_api.HEARTBEAT_S", 0.05)
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    response = await supervisor.ask("GET", "/api/events")
    stage.console.desk.accounts.end_sessions("supervisor")
    async with asyncio.timeout(10):
        await response.content.read()  # the stream ends


@pytest.mark.parametrize("stage", [{"listeners": 1}], indirect=True)
async def test_no_more_pages_watch_than_may(stage: Stage) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    first = await supervisor.ask("GET", "/api/events")
    assert (await supervisor.ask("GET", "/api/events")).status == 429
    first.close()


async def test_one_browser_does_not_take_everybodys_places(stage: Stage) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    opened = [await supervisor.ask("GET", "/api/events") for _ in range(MAX_OF_ONE_SESSION)]
    assert {each.status for each in opened} == {200}
    assert (await supervisor.ask("GET", "/api/events")).status == 429
    other = await (await stage.signed_in(Role.SUPERVISOR)).ask("GET", "/api/events")
    assert other.status == 200
    for each in (*opened, other):
        each.close()


@pytest.mark.parametrize("stage", [{"listeners": 1}], indirect=True)
async def test_a_browser_that_reads_nothing_gives_its_place_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.live_api.WRITE_PATIENCE_S", 0.05)
    await stage.signed_in(Role.SUPERVISOR)
    accounts = stage.console.desk.accounts
    user = accounts.user("supervisor")
    assert user is not None
    token, _ = accounts.begin_session(user, "127.0.0.1")
    url = stage.server.make_url("/")
    # reads until its own small buffer is full, and then no more
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1_024)
    cookie = f"{stage.console.desk.door.cookie}={token}"
    host = f"{url.host}:{url.port}"
    writer.write(f"GET /api/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    watcher, long = await stage.signed_in(Role.SUPERVISOR), call("c1", snippet="x" * 1_000_000)
    async with asyncio.timeout(20):
        while (answer := await watcher.ask("GET", "/api/events")).status != 200:
            stage.gateway.say("call_changed", call=long)
    answer.close()
    writer.close()


def test_a_listener_that_is_too_slow_is_sent_away_instead_of_filling_memory() -> None:
    listener = Listener()
    for number in range(MAX_WAITING_EVENTS + 10):
        listener.put({"event": "turn", "number": number})
    assert listener.late


@pytest.mark.parametrize(
    ("what", "body", "asked"),
    [
        ("supervise", {"mode": "barge", "sdp": "v=0\r\n"}, {"mode": "barge", "sdp": "v=0\r\n"}),
        ("supervise", {"mode": "takeover", "uri": "desk"}, {"mode": "takeover", "uri": "desk"}),
        ("mode", {"mode": "whisper"}, {"mode": "whisper"}),
        ("leave", {}, {}),
        ("hand-back", {"agreed": "a refund"}, {"agreed": "a refund"}),
        ("steer", {"text": " Be brief ", "say": True}, {"text": "Be brief", "say": True}),
        ("to-person", {"queue": "care"}, {"queue": "care"}),
        ("to-person", {}, {"queue": ""}),
        (
            "recording",
            {"paused": True, "reason": " asked to "},
            {"paused": True, "reason": "asked to"},
        ),
        ("recording", {"paused": False}, {"paused": False, "reason": ""}),
        ("end", {}, {}),
    ],
)
async def test_what_a_supervisor_does_reaches_the_gateway_in_their_name(
    stage: Stage, what: str, body: dict[str, Any], asked: dict[str, Any]
) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    await supervisor.do(f"/api/calls/c1/{what}", body | {"name": "somebody else"})
    assert stage.gateway.asked == [(what, {"call_id": "c1", "name": "supervisor"} | asked)]


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("supervise", {"mode": "shout", "sdp": "v=0\r\n"}),
        ("supervise", {"mode": "listen"}),
        ("supervise", {"mode": "listen", "sdp": "<script>"}),
        ("supervise", {"mode": "listen", "sdp": "v=0" + "x" * 70_000}),
        ("supervise", {"mode": "listen", "uri": ["sip:x"]}),
        ("recording", {"paused": True}),
        ("recording", {"paused": "yes", "reason": "asked to"}),
        ("steer", {"text": ""}),
        ("steer", {"text": "x" * 501}),
        ("steer", {"text": "hello", "say": "yes"}),
        ("mode", {}),
    ],
)
async def test_what_makes_no_sense_does_not_reach_the_gateway(
    stage: Stage, what: str, body: dict[str, Any]
) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    await supervisor.do(f"/api/calls/c1/{what}", body, status=400)
    assert stage.gateway.asked == []


async def test_the_second_of_two_supervisors_is_told_that_the_call_is_taken(stage: Stage) -> None:
    stage.gateway.refuse["supervise"] = (409, "already_taken")
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    answer = await supervisor.do(
        "/api/calls/c1/supervise", {"mode": "takeover", "sdp": "v=0\r\n"}, status=409
    )
    assert answer["error"]["code"] == "already_taken"


async def test_a_steer_that_breaks_policy_is_told_with_its_reason(stage: Stage) -> None:
    stage.gateway.refuse["steer"] = (409, "steer_refused")
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    answer = await supervisor.do("/api/calls/c1/steer", {"text": "Promise a refund"}, status=409)
    assert answer["error"]["message"] == "steer_refused happened"


async def test_a_gateway_that_does_not_know_the_console_is_no_sign_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONTROL_TOKEN", "not the right one")
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    answer = await supervisor.do("/api/calls/c1/end", status=503)
    assert answer["error"]["code"] == "gateway_unreachable"


async def test_the_switch_needs_a_scope_and_a_reason(stage: Stage) -> None:
    engineer = await stage.signed_in(Role.ENGINEER)
    for body in (
        {"scope": "all", "on": True},
        {"scope": "all", "on": "yes", "reason": "it talks nonsense"},
        {"scope": "queue", "on": True, "reason": "it talks nonsense"},
        {"scope": "moon", "on": True, "reason": "it talks nonsense"},
    ):
        await engineer.do("/api/answering", body, "PUT", status=400)
    body = {"scope": "queue", "name": "billing", "on": True, "reason": "it talks nonsense"}
    answer = await engineer.do("/api/answering", body, "PUT")
    assert answer["switches"][0]["by"] == "engineer"
    assert stage.gateway.asked == [("answering", body | {"by": "engineer"})]


async def test_the_switch_works_by_its_file_while_the_gateway_does_not_answer(
    stage: Stage,
) -> None:
    await stage.gateway.server.close()
    engineer = await stage.signed_in(Role.ENGINEER)
    body = {"scope": "all", "name": "", "on": True, "reason": "everything hangs"}
    answer = await engineer.do("/api/answering", body, "PUT")
    assert answer["gateway"] == "down"
    kept = json.loads(stage.console.desk.settings.gateway.kill_switch.read_text())
    assert kept["switches"][0]["on"] is True
    assert (await engineer.get("/api/answering"))["switches"][0]["by"] == "engineer"


@pytest.mark.parametrize(
    ("on", "refused", "status", "kept"),
    [(True, 500, 200, True), (True, 422, 422, False), (False, 500, 502, False)],
)
async def test_a_gateway_that_fails_to_take_agents_off_is_told_by_the_file(
    stage: Stage, on: bool, refused: int, status: int, kept: bool
) -> None:
    stage.gateway.refuse["answering"] = (refused, "went_wrong")
    engineer = await stage.signed_in(Role.ENGINEER)
    body = {"scope": "all", "name": "", "on": on, "reason": "it talks nonsense"}
    await engineer.do("/api/answering", body, "PUT", status=status)
    assert stage.console.desk.settings.gateway.kill_switch.exists() is kept


async def test_a_queue_nobody_has_is_switched_with_a_warning(stage: Stage) -> None:
    engineer = await stage.signed_in(Role.ENGINEER)
    body = {"scope": "queue", "name": "mian", "on": True, "reason": "it talks nonsense"}
    assert "no queue mian" in (await engineer.do("/api/answering", body, "PUT"))["warning"]
    answer = await engineer.do("/api/answering", body | {"name": "main"}, "PUT")
    assert answer["warning"] == ""


async def test_the_times_of_past_drills_are_told_with_the_switch(stage: Stage) -> None:
    path = stage.console.desk.settings.drills.record
    drills = [{"drill": "kill-switch", "at": at, "new_calls_s": 0.4} for at in (1, 2)]
    lines = [json.dumps(each) for each in (*drills, {"drill": "handoff", "at": 3})]
    path.write_text("\n".join([*lines, '{"drill": "kill']))
    told = (await (await stage.signed_in(Role.ENGINEER)).get("/api/answering"))["drills"]
    assert [each["at"] for each in told] == [2, 1]


async def test_a_request_that_never_arrives_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_agent.console.endpoints.BODY_PATIENCE_S", 0.05)
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"text": '
        await never.wait()

    response = await supervisor.client.post(
        "/api/calls/c1/steer",
        data=body(),
        headers={"X-CSRF-Token": supervisor.csrf, "Content-Type": "application/json"},
    )
    assert response.status == 400
    never.set()


def test_what_a_call_may_show_without_words_is_named_one_by_one() -> None:
    shown = call_for(call("c1", wants="a refund", notes=["Ada"], snippet="Ada"), words=False)
    assert "Ada" not in json.dumps(shown)
    assert "refund" not in json.dumps(shown)
    assert shown["caller"] == "…567"
    assert shown["stage"] == "with_agent"
