"""What is deleted, when, and that one caller's data goes wholly and nobody else's with it."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

import pytest

from telephony.call_backs import CallBacks
from tests.voice_agent.console.conftest import SettingsMaker, Stage
from tests.voice_agent.console.recorded import BEGAN, a_call, a_recording, a_turn, record
from voice_agent.answering.actions.journal import Journal, Write
from voice_agent.config import Settings
from voice_agent.console.grades import Grades
from voice_agent.console.history import History, Search
from voice_agent.console.privacy_api import fingerprint, places_of
from voice_agent.console.roles import Role
from voice_agent.records.outbox import Outbox
from voice_agent.records.privacy import erase, export, prune
from voice_agent.records.traces import number_in

DAY_S = 86_400
NOW = BEGAN + 100 * DAY_S


@pytest.fixture
def settings(make_settings: SettingsMaker, tmp_path: Path) -> Settings:
    """Ada's two calls, and one of somebody else."""
    settings = make_settings()
    record(
        settings,
        a_call("ada-1"),
        a_turn("ada-1", 1, heard="my name is Ada Hill"),
        a_call("ada-2", started_at=NOW - 60, ended_at=NOW, caller="sip:15551234567@other"),
        a_turn("ada-2", 1, began_at=NOW - 50),
        a_call("bo-1", caller="sip:+15551234568@trunk"),
        a_turn("bo-1", 1),
    )
    for call_id in ("ada-1", "bo-1"):
        os.utime(a_recording(settings, call_id), (BEGAN, BEGAN))
    journal = Journal(settings.actions.journal)
    for call_id in ("ada-1", "bo-1"):
        write = Write(f"key-{call_id}", call_id, "refund", {"name": "Ada Hill"}, caller="155512")
        journal.begin(write, {"heard": "yes"}, 5)
        journal.end(write.key, "done", {"refunded": 24})
    return settings


def calls(settings: Settings) -> set[str]:
    history = History(settings.records.path, settings.actions.journal, Path("none"))
    return {each["call_id"] for each in history.search(Search(0, 4e9))["calls"]}


@pytest.mark.parametrize(
    ("caller", "number"),
    [
        ("sip:+1 (555) 123-4567@trunk", "15551234567"),
        ("+15551234567", "15551234567"),
        ("sips:15551234567@x:5061", "15551234567"),
        ("sip:Ada@home", "ada@home"),
        ("sip:Ada@home:34011;transport=udp", "ada@home"),
        ("ada@home", "ada@home"),
        ("web:10.0.0.9", "web:10.0.0.9"),
        ("", ""),
    ],
)
def test_a_caller_goes_by_their_number_however_it_is_written(caller: str, number: str) -> None:
    assert number_in(caller) == number


def test_the_policy_deletes_what_is_old_and_nothing_else(settings: Settings) -> None:
    places = places_of(settings)
    look = prune(places, now=NOW, keep_days=30, keep_recordings_days=None, dry_run=True)
    assert (look.calls, look.turns, look.recordings) == (2, 2, 2)
    assert calls(settings) == {"ada-1", "ada-2", "bo-1"}
    done = prune(places, now=NOW, keep_days=30, keep_recordings_days=None)
    assert done.as_dict() == look.as_dict()
    assert calls(settings) == {"ada-2"}
    assert list(settings.gateway.recording.folder.glob("*.wav")) == []


def test_recordings_may_go_before_the_rest(settings: Settings) -> None:
    prune(places_of(settings), now=NOW, keep_days=365, keep_recordings_days=7)
    assert calls(settings) == {"ada-1", "ada-2", "bo-1"}
    assert list(settings.gateway.recording.folder.glob("*.wav")) == []


def test_without_any_files_there_is_nothing_to_do(make_settings: SettingsMaker) -> None:
    places = places_of(make_settings())
    assert prune(places, now=NOW, keep_days=1, keep_recordings_days=1).calls == 0
    assert export(places, "15551234567") is None
    assert erase(places, "15551234567").calls == 0


def test_an_export_holds_everything_of_one_caller_and_nothing_of_another(
    settings: Settings,
) -> None:
    packed = export(places_of(settings), "+1 555 123 4567")
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["calls.json", "elsewhere.json", "ada-1.wav"]
        found = json.loads(archive.read("calls.json"))
    assert [each["call_id"] for each in found] == ["ada-1", "ada-2"]
    assert found[0]["turns"][0]["heard"] == "my name is Ada Hill"
    assert found[0]["actions"][0]["action"] == "refund"


def test_erasing_leaves_no_trace_of_the_caller_and_all_of_others(settings: Settings) -> None:
    report = erase(places_of(settings), "15551234567")
    assert (report.calls, report.turns, report.recordings) == (2, 2, 1)
    assert report.other["actions"] == 1
    assert report.failed == []
    assert calls(settings) == {"bo-1"}
    assert [each.name for each in settings.gateway.recording.folder.iterdir()] == ["bo-1.wav"]
    for path in settings.records.path.parent.glob("records.sqlite*"):
        assert b"my name is Ada Hill" not in path.read_bytes()
    assert export(places_of(settings), "15551234567") is None


def test_a_call_back_that_waits_for_the_caller_is_not_made(settings: Settings) -> None:
    call_backs = CallBacks(settings.gateway.human.call_backs)
    for number in ("+15551234567", "+15551234568"):
        call_backs.keep(
            number=number, address=f"sip:{number}@trunk", queue="main", of_call=f"of {number}"
        )  # fmt: skip
    assert erase(places_of(settings), "15551234567").other["call_backs"] == 1


def test_messages_the_caller_left_go_too(settings: Settings) -> None:
    folder = settings.handoff.voicemail
    folder.mkdir()
    for name, caller in (("m1", "sip:+15551234567@trunk"), ("m2", "sip:+15551234568@trunk")):
        (folder / f"{name}.json").write_text(json.dumps({"call_id": "x", "caller": caller}))
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    (folder / "broken.json").write_text("{")
    report = erase(places_of(settings), "15551234567")
    assert report.other["messages"] == 1
    assert [each.partition(":")[0] for each in report.failed] == [str(folder / "broken.json")]
    assert sorted(each.name for each in folder.iterdir()) == ["broken.json", "m2.json", "m2.wav"]


async def test_an_administrator_exports_and_erases_and_both_are_noted(stage: Stage) -> None:
    record(stage.console.desk.settings, a_call("ada-1"), a_turn("ada-1", 1))
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    asked = {"number": "+1 555 123 45 67", "reason": "asked by letter"}
    await administrator.do("/api/export", {"number": asked["number"]}, status=400)
    response = await administrator.ask("POST", "/api/export", asked)
    assert response.content_type == "application/zip"
    await administrator.do("/api/erase", {"number": "15551234567"}, status=400)
    body = {"number": "15551234567", "reason": "asked by letter"}
    assert (await administrator.do("/api/erase", body))["calls"] == 1
    await administrator.do("/api/export", asked, status=404)
    await administrator.do("/api/erase", {"number": "1", "reason": "x"}, status=400)
    entries = list(stage.console.desk.audit.entries())
    assert [(each.action, each.detail["reason"]) for each in entries] == [
        ("exported", "asked by letter"),
        ("erased", "asked by letter"),
        ("erasure_done", "asked by letter"),
        ("exported", "asked by letter"),
        ("exported_refused", "not_found"),
    ]
    for entry in entries:
        assert "5551234567" not in json.dumps(entry.detail) + entry.target


def test_what_describes_a_recording_is_exported_and_deleted_with_it(settings: Settings) -> None:
    path = a_recording(settings, "ada-2")
    path.with_suffix(".json").write_text('{"permission": "agreed_by_key"}')
    packed = export(places_of(settings), "15551234567")
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {"ada-2.wav", "ada-2.json"} <= set(archive.namelist())
    erase(places_of(settings), "15551234567")
    assert not list(path.parent.glob("ada-2.*"))


def a_message(settings: Settings, name: str, caller: str, at: float = BEGAN) -> None:
    folder = settings.handoff.voicemail
    folder.mkdir(exist_ok=True)
    said = {"call_id": "none", "caller": caller, "words": "call me", "at": at}
    (folder / f"{name}.json").write_text(json.dumps(said))
    (folder / f"{name}.wav").write_bytes(b"RIFF")


def graded(settings: Settings) -> Grades:
    console = settings.console
    grades = Grades(console.folder / "grades.sqlite", console.evaluation, console.verified_answers)
    for call_id in ("ada-1", "bo-1"):
        turn = {"turn_id": f"{call_id}-t1", "heard": f"{call_id} asks"}
        grades.grade(turn["turn_id"], call_id, "wrong", f"{call_id} corrected", "kim")
        grades.add_to_evaluation(turn, "")
        proposal = grades.propose(turn["turn_id"], turn["heard"], f"{call_id} answered", "kim")
        grades.decide(proposal, True, "lee")
    return grades


def test_who_only_left_a_message_gets_it(make_settings: SettingsMaker) -> None:
    settings = make_settings()
    a_message(settings, "m1", "sip:+15551234567@trunk")
    a_message(settings, "m2", "sip:+15551234568@trunk")
    packed = export(places_of(settings), "15551234567")
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["calls.json", "elsewhere.json", "messages/m1.wav"]
        found = json.loads(archive.read("elsewhere.json"))
    assert [each["words"] for each in found["messages"]] == ["call me"]


def test_an_export_holds_what_an_erasure_deletes(settings: Settings) -> None:
    graded(settings)
    a_message(settings, "m1", "+15551234567")
    Outbox(settings.actions.outbox).put(
        {"event_id": "e1", "call_id": "gone", "caller": "+15551234567"}
    )
    CallBacks(settings.gateway.human.call_backs).keep(
        number="+15551234567", address="sip:a@b", queue="main", of_call="gone"
    )
    packed = export(places_of(settings), "15551234567")
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        found = json.loads(archive.read("elsewhere.json"))
    assert "bo-1" not in json.dumps(found)
    report = erase(places_of(settings), "15551234567")
    assert report.failed == []
    assert report.other == {name: len(rows) for name, rows in found.items()}
    assert set(found) == {
        "evaluation_questions", "approved_answers", "grades", "proposals", "actions",
        "unsent_outcomes", "call_backs", "messages",
    }  # fmt: skip
    for path in (settings.console.evaluation, settings.console.verified_answers):
        assert "ada-1" not in path.read_text()
        assert "bo-1 asks" in path.read_text()


def test_an_action_of_a_call_that_was_pruned_is_found_by_its_number(
    make_settings: SettingsMaker,
) -> None:
    settings = make_settings()
    journal = Journal(settings.actions.journal)
    journal.begin(Write("k", "gone", "refund", {"name": "Ada"}, caller="+15551234567"), {}, 5)
    journal.end("k", "done", {})
    assert erase(places_of(settings), "15551234567").other == {"actions": 1}
    assert journal.of_call("gone")[0].arguments == {}
    assert erase(places_of(settings), "15551234567").other == {}


def test_the_policy_reaches_everything_that_leads_to_a_caller(settings: Settings) -> None:
    grades = graded(settings)
    a_message(settings, "old", "+15551234567")
    a_message(settings, "new", "+15551234567", at=NOW)
    damaged = settings.records.path.with_name(f"{settings.records.path.name}.damaged-1")
    damaged.write_bytes(b"?")
    os.utime(damaged, (BEGAN, BEGAN))
    places = places_of(settings)
    look = prune(places, now=NOW, keep_days=30, keep_recordings_days=None, dry_run=True)
    done = prune(places, now=NOW, keep_days=30, keep_recordings_days=None)
    assert done.as_dict() == look.as_dict()
    assert done.other == {"grades": 2, "actions": 2, "messages": 1, "damaged_copies": 1}
    assert grades.of_call("ada-1") == {}
    assert [each.name for each in settings.handoff.voicemail.glob("*.json")] == ["new.json"]
    assert "ada-1 asks" in settings.console.evaluation.read_text()  # people chose to keep it


def test_an_erasure_says_what_it_could_not_reach(settings: Settings) -> None:
    now = time.time()
    record(settings, a_call("ada-live", started_at=now, ended_at=None))
    damaged = settings.records.path.with_name(f"{settings.records.path.name}.damaged-1")
    damaged.write_bytes(b"?")
    report = erase(places_of(settings), "15551234567")
    assert report.live == ["ada-live"]
    assert [each.partition(":")[0] for each in report.failed] == [str(damaged)]


def test_a_fingerprint_tells_a_number_to_its_own_console_alone(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings, other = make_settings(), make_settings(folder=str(tmp_path / "other"))
    told = fingerprint(settings, "+1 555 123 4567")
    assert told == fingerprint(make_settings(), "sip:15551234567@trunk")
    assert told != fingerprint(settings, "15551234568")
    assert told != fingerprint(other, "15551234567")
    assert [each.name for each in settings.console.folder.iterdir()] == ["fingerprint.key"]
    assert (settings.console.folder / "fingerprint.key").stat().st_mode & 0o077 == 0
