"""Promises to ring a caller later: kept on disk, rung in turn, given up only after some tries."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from telephony.call import LegEnded, LegState
from telephony.call_back_dialler import CallBackDialler
from telephony.call_backs import CallBackRefused, CallBacks, CallBacksUnusable
from telephony.errors import TargetRefused
from telephony.law import Law
from telephony.media_stream import CallBack, Transfer
from telephony.routing import call_back_address, identity_of, number_of
from telephony.settings import CallBackSettings
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.stage import Stage, staged

ANNA = "sip:anna@desk.example"
NUMBER = "sip:07421234567@caller.example"


def human(folder: Path, **call_backs: Any) -> dict[str, Any]:
    return {
        "queues": {"help": {"targets": [ANNA], "wait_s": 0}},
        "call_backs": {
            "address": "sip:{number}@trunk.example",
            "path": str(folder / "call_backs.sqlite"),
            **call_backs,
        },
    }


def answers(agent: AgentEnd) -> list[CallBack]:
    return [message for message in agent.messages if isinstance(message, CallBack)]


async def ask(stage: Stage, number: str = "", remote: str = NUMBER) -> CallBack:
    agent = await stage.connect(FakeLeg(remote=remote))
    await agent.send(CallBack(number=number, target="help", cause="asked"))
    await eventually(lambda: answers(agent))
    return answers(agent)[-1]


def dialler(stage: Stage) -> CallBackDialler:
    return CallBackDialler(stage.gateway, stage.gateway.people)


async def test_a_promise_is_on_disk_before_the_caller_hears_of_it(tmp_path: Path) -> None:
    async with staged(human=human(tmp_path)) as stage:
        told = await ask(stage)
        assert (told.state, told.number) == ("kept", "07421234567")
    store = CallBacks(CallBackSettings(path=tmp_path / "call_backs.sqlite"))
    (kept,) = store.due()
    assert (kept.address, kept.queue) == ("sip:07421234567@trunk.example", "help")
    assert (tmp_path / "call_backs.sqlite").stat().st_mode & 0o077 == 0


async def test_a_promise_is_kept_through_its_own_queue(tmp_path: Path) -> None:
    async with staged(human=human(tmp_path)) as stage:
        await ask(stage)
        await dialler(stage).look()
        await eventually(lambda: stage.line.rung)
        uri, _, caller = stage.line.rung[0]
        assert uri == "sip:07421234567@trunk.example"
        await caller.answer()
        await eventually(lambda: len(stage.line.rung) == 2)
        assert stage.line.rung[1][0] == ANNA
        await stage.line.rung[1][2].answer()
        await stage.clock.advance(5.0)
        caller.tell(LegEnded("bye"))
        store = stage.gateway.people.call_backs()
        await eventually(lambda: store.all()[0].state == "done")
        assert stage.agent.attempts == 1, "the agent of the first call only"


async def test_a_promise_of_a_call_that_is_never_recorded_is_not_recorded_either(
    tmp_path: Path,
) -> None:
    law = Law.model_validate(
        {
            "otherwise": {"recording": "unannounced", "ai_disclosure": "when_asked"},
            "rules": [
                {
                    "name": "clinic",
                    "routes": ["clinic"],
                    "recording": "never",
                    "sources": ["a duty"],
                }
            ],
        }
    )
    where = {"enabled": True, "folder": str(tmp_path / "sound")}
    async with staged(law, human=human(tmp_path), recording=where) as stage:
        agent = await stage.connect(FakeLeg(remote=NUMBER, dialled="sip:clinic@us.example"))
        await agent.send(CallBack(target="help", cause="asked"))
        await eventually(lambda: answers(agent))
        (first,) = stage.gateway.calls
        await dialler(stage).look()
        await eventually(lambda: stage.line.rung)
        caller = stage.line.rung[0][2]
        await caller.answer()
        await eventually(lambda: len(stage.gateway.calls) == 2)
        (back,) = (call for call_id, call in stage.gateway.calls.items() if call_id != first)
        assert back.view().recording["state"] == "off"


def test_a_file_of_before_laws_were_kept_is_read_and_goes_on(tmp_path: Path) -> None:
    settings = CallBackSettings(path=tmp_path / "c.sqlite")
    store = CallBacks(settings)
    store.keep(address="sip:1@x", number="1", queue="", of_call="a")
    with contextlib.closing(sqlite3.connect(settings.path)) as database, database:
        database.execute("ALTER TABLE call_backs DROP COLUMN law")
    assert [each.law for each in CallBacks.look(settings)] == [None]
    assert [each.law for each in CallBacks(settings).due()] == [None]


async def test_a_caller_who_does_not_answer_is_tried_again_and_then_given_up(
    tmp_path: Path,
) -> None:
    async with staged(human=human(tmp_path, tries=2, retry_s=0.001)) as stage:
        await ask(stage)
        ringing, store = dialler(stage), stage.gateway.people.call_backs()
        for number, state in ((1, "waiting"), (2, "given_up")):
            await ringing.look()
            await eventually(lambda n=number: len(stage.line.rung) == n)
            stage.line.leg.tell(LegEnded("busy", 486))
            await eventually(lambda s=state: store.all()[0].state == s)
        assert store.all()[0].reason == "busy"


async def test_a_file_that_cannot_be_written_for_a_while_loses_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> bool:
        raise sqlite3.OperationalError("database is locked")

    async with staged(human=human(tmp_path)) as stage:
        await ask(stage)
        ringing = dialler(stage)
        with monkeypatch.context() as patched:
            patched.setattr(CallBacks, "begin", locked)
            await ringing.look()
        assert stage.line.rung == []
        await ringing.look()
        await eventually(lambda: stage.line.rung)


async def test_nobody_is_rung_back_while_all_are_busy(tmp_path: Path) -> None:
    async with staged(human=human(tmp_path)) as stage:
        await ask(stage)
        stage.gateway.people.book.claim(ANNA)
        await dialler(stage).look()
        assert stage.line.rung == []
        stage.gateway.people.book.release(ANNA)
        await dialler(stage).look()
        await eventually(lambda: stage.line.rung)


async def test_nobody_is_rung_back_while_it_is_closed(tmp_path: Path) -> None:
    settings = human(tmp_path)
    settings["queues"]["help"]["hours"] = {"weekly": {"mon": ["09:00-10:00"]}}
    async with staged(human=settings) as stage:
        await ask(stage)
        tuesday = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
        await CallBackDialler(stage.gateway, stage.gateway.people, lambda: tuesday).look()
        assert stage.line.rung == []


async def test_without_agent_and_person_the_caller_is_rung_later(tmp_path: Path) -> None:
    async with staged(human=human(tmp_path)) as stage:
        stage.agent.refuse_with = 401
        caller = FakeLeg(remote=NUMBER)
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.line.rung)
        stage.line.leg.tell(LegEnded("busy", 486))
        await eventually(lambda: stage.gateway.people.call_backs().all())
        await stage.clock.advance_until(lambda: stage.calls[0].done())
        assert caller.hung_up == ["call_back_promised"]


async def test_a_promise_takes_the_caller_out_of_the_queue(tmp_path: Path) -> None:
    async with staged(human=human(tmp_path)) as stage:
        agent = await stage.connect(FakeLeg(remote=NUMBER))
        await agent.send(Transfer(target="help"))
        await eventually(lambda: stage.line.rung)
        await agent.send(CallBack(target="help"))
        await eventually(lambda: stage.line.leg.state is LegState.ENDED)


@pytest.mark.parametrize(
    ("number", "remote", "reason"),
    [
        ("19005550100", NUMBER, "number_not_allowed"),
        ("+19005550100", NUMBER, "number_not_allowed"),
        ("112", NUMBER, "number_not_allowed"),
        ("0742@evil.example", NUMBER, "number_not_allowed"),
        ("0742 12345;x", NUMBER, "number_not_allowed"),
        ("", "sip:anonymous@caller.example", "number_not_allowed"),
    ],
)
async def test_a_number_that_may_not_be_rung_is_not_promised(
    number: str, remote: str, reason: str, tmp_path: Path
) -> None:
    async with staged(human=human(tmp_path)) as stage:
        told = await ask(stage, number, remote)
        assert (told.state, told.reason) == ("refused", reason)


async def test_without_a_way_to_ring_nothing_is_offered_or_promised() -> None:
    async with staged(human={"queues": {"help": {"targets": [ANNA], "wait_s": 0}}}) as stage:
        assert (await ask(stage)).reason == "not_offered"
        assert stage.gateway.people.offers("help") == ()


async def test_a_disk_that_cannot_be_written_promises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with staged(human=human(tmp_path, path=str(tmp_path / "file" / "x.sqlite"))) as stage:
        told = await ask(stage)
        assert (told.state, told.reason) == ("refused", "not_kept")


def test_one_number_cannot_fill_the_list(tmp_path: Path) -> None:
    store = CallBacks(CallBackSettings(path=tmp_path / "c.sqlite", max_each=2, max_open=3))
    place = {"address": "sip:1@x", "number": "1", "queue": "help"}
    store.keep(of_call="a", **place)
    store.keep(of_call="b", **place)
    store.keep(of_call="b", **place)  # the same call again: replaced
    with pytest.raises(CallBackRefused, match="too_many"):
        store.keep(of_call="c", **place)
    store.keep(address="sip:2@x", number="2", queue="help", of_call="d")
    with pytest.raises(CallBackRefused, match="too_many"):
        store.keep(address="sip:3@x", number="3", queue="help", of_call="e")


def test_what_was_being_rung_when_the_gateway_died_is_rung_again(tmp_path: Path) -> None:
    settings = CallBackSettings(path=tmp_path / "c.sqlite")
    store = CallBacks(settings)
    kept = store.keep(address="sip:1@x", number="1", queue="", of_call="a")
    assert store.begin(kept.call_back_id)
    assert not store.begin(kept.call_back_id)
    assert store.due() == []
    assert [each.call_back_id for each in CallBacks(settings).due()] == [kept.call_back_id]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_text("no database" * 100)
    with pytest.raises(CallBacksUnusable, match=r"c\.sqlite"):
        CallBacks(CallBackSettings(path=tmp_path / "c.sqlite"))


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("sip:07421234567@x.example", "07421234567"),
        ("sip:+447421234567@x.example;user=phone", "+447421234567"),
        ("sip:anna@x.example", ""),
        ("browser", ""),
    ],
)
def test_a_callers_number_is_found_in_the_address(address: str, number: str) -> None:
    assert number_of(address) == number


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("sip:caller@192.0.2.7:34011", "caller@192.0.2.7"),
        ("sip:caller@192.0.2.7:40022;transport=udp", "caller@192.0.2.7"),
        ("sip:Ada@PBX.example?x=1", "Ada@pbx.example"),
        ("sips:ada@[2001:db8::1]:5061", "ada@[2001:db8::1]"),
        ("sip:+44 7421-234567;ext=1@x.example:5060;user=phone", "+447421234567"),
        ("tel:+447421234567", "+447421234567"),
        ("web:10.0.0.9", "web:10.0.0.9"),
        ("browser", "browser"),
        ("", ""),
    ],
)
def test_a_caller_is_the_same_whatever_port_they_ring_from(address: str, who: str) -> None:
    assert identity_of(address) == who
    assert identity_of(who) == who


def test_a_number_is_written_into_the_address_of_the_trunk() -> None:
    settings = CallBackSettings()
    assert call_back_address("0742 123-4567", settings, "t.example") == "sip:07421234567@t.example"
    with pytest.raises(TargetRefused):
        call_back_address("07421234567", settings, "")
