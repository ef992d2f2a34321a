"""Looking back: what is found, what is shown to whom, recordings in pieces, grades."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.voice_agent.console.conftest import SettingsMaker, Stage
from tests.voice_agent.console.recorded import BEGAN, a_call, a_recording, a_turn, record
from voice_agent.console.errors import Conflict
from voice_agent.console.grades import Grades
from voice_agent.console.history import History
from voice_agent.console.roles import Role

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def past(stage: Stage) -> None:
    """Three calls of the past."""
    record(
        stage.console.desk.settings,
        a_call("call-1"),
        a_turn("call-1", 1),
        a_turn("call-1", 2, heard="Is 100% of it free_of charge?", end_reason="completed"),
        a_call("call-2", started_at=BEGAN + 500, outcome="handed_over", caller=EVIL),
        a_turn("call-2", 1, heard="I want a person", road="person", claims=()),
        a_call("call-3", started_at=BEGAN + 900, ended_at=None, outcome="", caller="web:10.0.0.9"),
    )


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["call-3", "call-2", "call-1"]),
        (f"from={BEGAN + 400}", ["call-3", "call-2"]),
        (f"from={BEGAN - 10}&to={BEGAN + 10}", ["call-1"]),
        ("number=4567", ["call-1"]),
        ("outcome=handed_over", ["call-2"]),
        ("outcome=live", ["call-3"]),
        ("words=delivery%20much", ["call-1"]),
        ("words=100%25", ["call-1"]),
        ("words=free_of", ["call-1"]),
        ("words=free-of", []),
        ("words=%25", ["call-1"]),
        ("words='%20OR%201=1%20--", []),
        ("page=2", []),
    ],
)
async def test_calls_are_found_by_time_number_outcome_and_words(
    stage: Stage, query: str, found: list[str]
) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    answer = await supervisor.get(f"/api/history?{query}")
    assert [each["call_id"] for each in answer["calls"]] == found
    assert answer["outcomes"] == ["ended_by_caller", "handed_over", "live"]


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "from=nan", "from=5&to=4", "from=-1", "page=1e9"]
)
async def test_a_search_that_makes_no_sense_is_refused(stage: Stage, query: str) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    assert (await supervisor.ask("GET", f"/api/history?{query}")).status == 400


@pytest.mark.usefixtures("past")
async def test_a_consent_to_be_recorded_is_shown_and_not_counted(stage: Stage) -> None:
    record(
        stage.console.desk.settings,
        a_call("call-4", started_at=BEGAN + 2_000),
        a_turn("call-4", 1, heard="How much?", road="answer"),
        a_turn("call-4", 2, heard="Yes.", road="consent", confidence=None),
    )
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    (call,) = (await supervisor.get(f"/api/history?from={BEGAN + 1_500}"))["calls"]
    assert (call["turns"], call["road"]) == (1, "answer")
    answer = await supervisor.get("/api/calls/call-4")
    assert answer["call"]["turns"] == 1
    assert [turn["road"] for turn in answer["turns"]] == ["answer", "consent"]


async def test_without_any_records_nothing_is_found(stage: Stage) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    assert (await supervisor.get("/api/history"))["calls"] == []
    assert (await supervisor.ask("GET", "/api/calls/call-1")).status == 404


@pytest.mark.usefixtures("past")
async def test_a_call_shows_what_was_said_heard_and_what_stands_behind_it(stage: Stage) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    found = await supervisor.get("/api/calls/call-1")
    turn = found["turns"][0]
    assert turn["caller"] == "How much is delivery?"
    assert turn["agent"].startswith(turn["heard"])
    assert turn["cut_off"] is True
    assert turn["at_ms"] == 10_000
    assert turn["stages_ms"] == {"silence": 240.0, "synthesis": 160.0}
    source = turn["sources"][0]
    assert (source["sentence"], source["title"]) == (
        "Delivery costs five dollars.", "Delivery parcels",
    )  # fmt: skip
    assert turn["guards"] == [{"guard": "grounding", "decision": "repaired", "reason": "no"}]
    assert turn["risk"] == 0.5
    assert found["turns"][1]["cut_off"] is False
    assert found["recording"] is None


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("role", [Role.ENGINEER, Role.ADMINISTRATOR, Role.AUDITOR])
async def test_those_who_may_not_read_words_see_none_anywhere(stage: Stage, role: Role) -> None:
    browser = await stage.signed_in(role)
    for path in ("/api/calls/call-1", "/api/calls/call-2", "/api/history"):
        text = json.dumps(await browser.get(path))
        for secret in ("delivery?", "dollars", "1234567", EVIL, "person please"):
            assert secret not in text, path
    assert (await browser.ask("GET", "/api/history?words=delivery")).status == 403
    assert (await browser.ask("GET", "/api/history?number=4567")).status == 403


@pytest.mark.usefixtures("past")
async def test_script_in_a_callers_name_stays_text(stage: Stage) -> None:
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    response = await supervisor.ask("GET", "/api/calls/call-2")
    assert response.content_type == "application/json"
    assert (await response.json())["call"]["caller"] == EVIL


@pytest.mark.usefixtures("past")
async def test_a_recording_is_given_in_pieces_and_noted_once(stage: Stage) -> None:
    path = a_recording(stage.console.desk.settings, "call-1")
    quality = await stage.signed_in(Role.QUALITY)
    assert (await quality.get("/api/calls/call-1"))["recording"] == "/api/calls/call-1/recording"
    for _ in range(3):
        response = await quality.ask(
            "GET", "/api/calls/call-1/recording", headers={"Range": "bytes=44-143"}
        )
        assert response.status == 206
        assert response.content_type == "audio/wav"
        assert await response.read() == path.read_bytes()[44:144]
    acts = [each.action for each in stage.console.desk.audit.entries()]
    assert acts.count("recording_played") == 1
    beyond = await quality.ask(
        "GET", "/api/calls/call-1/recording", headers={"Range": "bytes=99999999-"}
    )
    assert beyond.status == 416


@pytest.mark.parametrize(
    "call_id", ["..%2F..%2Fetc%2Fpasswd", "none", "%2e%2e", "a%00b", "x" * 200, "call-1.wav"]
)
async def test_no_other_file_is_taken_for_a_recording(stage: Stage, call_id: str) -> None:
    a_recording(stage.console.desk.settings, "call-1")
    quality = await stage.signed_in(Role.QUALITY)
    assert (await quality.ask("GET", f"/api/calls/{call_id}/recording")).status == 404


@pytest.mark.usefixtures("past")
async def test_an_answer_is_graded_corrected_and_sent_to_the_evaluation_set(stage: Stage) -> None:
    quality = await stage.signed_in(Role.QUALITY)
    turn = "/api/turns/call-1-t1"
    await quality.do(f"{turn}/grade", {"grade": "wrong", "correction": "$4.95"})
    await quality.do(f"{turn}/grade", {"grade": "splendid"}, status=400)
    await quality.do("/api/turns/none/grade", {"grade": "right"}, status=404)
    found = await quality.get("/api/calls/call-1")
    assert found["turns"][0]["grade"]["grade"] == "wrong"
    assert found["turns"][0]["grade"]["by"] == "quality"
    assert (await quality.get("/api/history?number=4567"))["calls"][0]["grade"] == "wrong"
    assert found["turns"][0]["evaluated"] is False
    assert (await quality.do(f"{turn}/evaluation"))["added"] is True
    assert (await quality.get("/api/calls/call-1"))["turns"][0]["evaluated"] is True
    assert (await quality.do(f"{turn}/evaluation"))["added"] is False
    rows = yaml.safe_load(stage.console.desk.settings.console.evaluation.read_text())
    assert rows == [
        {
            "question": "How much is delivery?",
            "document": "delivery-parcels",
            "must_say": ["$4.95"],
            "turn_id": "call-1-t1",
        }
    ]


@pytest.mark.usefixtures("past")
async def test_a_proposed_answer_is_said_only_once_somebody_else_approves_it(stage: Stage) -> None:
    quality = await stage.signed_in(Role.QUALITY)
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    proposed = "/api/turns/call-1-t1/verified-answer"
    text = {"text": "Delivery costs $4.95."}
    own = (await quality.do(proposed, {"text": "Delivery is free."}, status=201))["proposal"]
    others = (await supervisor.do(proposed, text, status=201))["proposal"]
    await supervisor.do(proposed, text, status=409)
    verified = stage.console.desk.settings.console.verified_answers
    await quality.do(f"/api/proposals/{own}/approve", status=409)
    assert not verified.exists()
    assert (await quality.get("/api/calls/call-1"))["turns"][0]["proposed"] == "proposed"
    await quality.do(f"/api/proposals/{others}/approve")
    assert (await quality.get("/api/calls/call-1"))["turns"][0]["proposed"] == "approved"
    await quality.do(f"/api/proposals/{others}/reject", status=409)
    row = json.loads(verified.read_text())
    assert (row["question"], row["answer"], row["verified"]) == (
        "How much is delivery?", "Delivery costs $4.95.", True,
    )  # fmt: skip
    states = {
        each["id"]: each["state"] for each in (await quality.get("/api/proposals"))["proposals"]
    }
    assert states == {own: "proposed", others: "approved"}


def test_an_approved_answer_is_what_a_source_of_knowledge_reads() -> None:
    from voice_agent.knowledge.parsing.faq import FaqReader
    from voice_agent.knowledge.parsing.formats import Format

    line = json.dumps(
        {
            "id": "approved-1", "question": "How much is delivery?", "answer": "It costs $4.95.",
            "spoken": "It costs $4.95.", "verified": True,
        }
    )  # fmt: skip
    read = list(FaqReader("approved", "approved.jsonl", str).read(line, Format.JSON_LINES))
    assert [type(each).__name__ for each in read] == ["Document"]


def test_a_recording_says_by_which_permission_and_when_it_is_silent(
    make_settings: SettingsMaker,
) -> None:
    settings = make_settings()
    history = History(
        settings.records.path, settings.actions.journal, settings.gateway.recording.folder
    )
    path = a_recording(settings, "c1")
    assert history.recorded("c1") is None, "made before there were descriptions"
    told = {
        "recording": "consent",
        "rules": ["here"],
        "permission": "agreed_by_key",
        "began_ms": 4_000,
        "stopped_by_caller_ms": None,
        "pauses": [
            {
                "cause": "supervisor",
                "reason": "their number is 4111",
                "by": "ana",
                "from_ms": 9_000,
                "to_ms": None,
            }
        ],
    }
    path.with_suffix(".json").write_text(json.dumps(told))
    recorded = history.recorded("c1")
    assert recorded is not None
    assert recorded["permission"] == "agreed_by_key"
    assert recorded["pauses"] == [
        {"cause": "supervisor", "by": "ana", "from_ms": 9_000, "to_ms": None}
    ]
    path.with_suffix(".json").write_text("[]")
    assert history.recorded("c1") is None
    assert history.recorded("../c1") is None


async def test_what_was_refused_does_not_stand_in_the_log_as_done(stage: Stage) -> None:
    desk = stage.console.desk
    record(desk.settings, a_call("c1"), a_turn("c1", 1))
    quality = await stage.signed_in(Role.QUALITY)
    answer = {"text": "Delivery costs five dollars."}
    made = await quality.do("/api/turns/c1-t1/verified-answer", answer, status=201)
    await quality.do("/api/turns/c1-t1/verified-answer", answer, status=409)
    await quality.do(f"/api/proposals/{made['proposal']}/approve", status=409)
    await quality.do("/api/proposals/none/reject", status=404)
    acts = [(each.action, each.detail.get("reason")) for each in desk.audit.entries()]
    assert acts == [
        ("answer_proposed", None),
        *(("answer_proposed", None), ("answer_proposed_refused", "conflict")),
        *(("answer_approved", None), ("answer_approved_refused", "conflict")),
        *(("answer_rejected", None), ("answer_rejected_refused", "not_found")),
    ]


async def test_a_switch_that_was_not_thrown_is_noted_as_refused(stage: Stage) -> None:
    stage.gateway.refuse["answering"] = (422, "not_understood")
    supervisor = await stage.signed_in(Role.SUPERVISOR)
    body = {"scope": "all", "on": True, "reason": "drill"}
    await supervisor.do("/api/answering", body, "PUT", status=422)
    acts = [each.action for each in stage.console.desk.audit.entries()]
    assert acts == ["kill_switch_on", "kill_switch_on_refused"]


def test_of_two_who_decide_at_once_one_does(tmp_path: Path) -> None:
    files = (tmp_path / "grades.sqlite", tmp_path / "e.yaml", tmp_path / "v" / "a.jsonl")
    grades = Grades(*files)
    proposal = grades.propose("t1", "How much?", "Five dollars.", "kim")

    class Slower(Grades):
        """Somebody else decides between what this one reads and what it writes."""

        @contextmanager
        def _open(self) -> Iterator[sqlite3.Connection]:
            def first(statement: str) -> None:
                if statement.startswith("BEGIN"):
                    grades.decide(proposal, True, "lee")

            with super()._open() as database:
                database.set_trace_callback(first)
                yield database

    with pytest.raises(Conflict):
        Slower(*files).decide(proposal, True, "ada")
    assert len(files[2].read_text().splitlines()) == 1
    assert grades.proposals()[0]["decided_by"] == "lee"
