"""The switch that takes agents off the phones: its file, and what calls do when it is thrown."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import time
from pathlib import Path

import pytest

from telephony.call import LegState
from telephony.kill_switch import (
    KEEP_AGAIN_S,
    LOOK_EVERY_S,
    KillSwitch,
    Switch,
    SwitchFile,
    SwitchRefused,
    SwitchState,
    SwitchUnreadable,
    SwitchUnwritable,
)
from telephony.media_stream import Resume, Transfer
from telephony.switch_file import MAX_SWITCHES, unknown_name
from tests.telephony.fakes import FakeLeg, HandClock, eventually
from tests.telephony.stage import SWITCHED, Stage, staged, voice


def thrown(scope: str = "all", name: str = "", on: bool = True, since: float = 1.0) -> Switch:
    return Switch(scope, name, on, "wrong prices", "ana", since)  # type: ignore[arg-type]


def throw(path: Path, *, on: bool = True, scope: str = "all", name: str = "") -> SwitchState:
    return SwitchFile(path).throw(
        on=on,
        scope=scope,  # type: ignore[arg-type]
        name=name,
        reason="wrong prices",
        by="ana",
    )


# --- the state ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "held"),
    [
        (thrown(), True),
        (thrown(on=False), False),
        (thrown("route", "sales"), True),
        (thrown("route", "billing"), False),
        (thrown("queue", "sales"), False),
        (thrown("queue", "main"), True),
    ],
)
def test_a_switch_holds_the_calls_of_its_scope(switch: Switch, held: bool) -> None:
    holding = SwitchState((switch,)).holding(route="sales", queue="main")
    assert (holding is switch) is held


def test_switching_one_scope_off_leaves_the_others_on() -> None:
    state = SwitchState().changed(thrown()).changed(thrown("route", "sales"))
    state = state.changed(thrown(on=False, since=2.0))
    assert state.holding("sales", "main") == thrown("route", "sales")
    assert state.holding("billing", "main") is None
    assert len(state.changes) == 3


@pytest.mark.parametrize(
    "switch",
    [
        Switch("all", "", True, "  ", "ana", 1.0),
        Switch("all", "", True, "x" * 501, "ana", 1.0),
        Switch("all", "sales", True, "why", "ana", 1.0),
        Switch("queue", "", True, "why", "ana", 1.0),
    ],
)
def test_a_change_without_a_reason_or_a_clear_scope_is_refused(switch: Switch) -> None:
    with pytest.raises(SwitchRefused):
        SwitchState().changed(switch)


def test_what_is_off_makes_room_and_nothing_keeps_anybody_from_switching_all() -> None:
    state = SwitchState()
    for number in range(MAX_SWITCHES):
        on = number != 7
        state = state.changed(thrown("route", f"r{number}", on=on, since=float(number)))
    state = state.changed(thrown("route", "one more", since=1_000.0))
    assert len(state.switches) == MAX_SWITCHES
    assert all(switch.on for switch in state.switches)
    with pytest.raises(SwitchRefused):
        state.changed(thrown("route", "yet another"))
    assert state.changed(thrown(since=2_000.0)).holding("any", "main") is not None


@pytest.mark.parametrize(
    ("scope", "name", "warned"),
    [
        ("all", "", False), ("queue", "main", False), ("queue", "shop", False),
        ("queue", "shpo", True), ("route", "sales", False), ("route", "shop", True),
    ],
)  # fmt: skip
def test_a_name_that_the_settings_do_not_have_is_warned_of(
    scope: str, name: str, warned: bool
) -> None:
    assert bool(unknown_name(scope, name, {"shop"}, {"sales"})) is warned


# --- the file ----------------------------------------------------------------------------------


def test_what_is_thrown_is_read_again_with_every_change(tmp_path: Path) -> None:
    path = tmp_path / "var" / "switch.json"
    assert SwitchFile(path).read() == SwitchState()
    throw(path)
    throw(path, on=False)
    state = SwitchFile(path).read()
    assert [(s.on, s.reason, s.by) for s in state.changes] == [
        (True, "wrong prices", "ana"),
        (False, "wrong prices", "ana"),
    ]
    assert state.holding("any", "main") is None
    assert [p.name for p in path.parent.iterdir()] != [], "no unfinished file is left"
    assert not list(path.parent.glob(".switch*"))


def test_a_writer_that_hangs_keeps_nobody_from_the_switch(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    throw(path, on=False)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert throw(path).holding("any", "main") is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"switches": [{"scope": "moon"}]}', "\x00"])
def test_at_the_start_an_unreadable_file_means_that_people_answer(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "switch.json"
    path.write_text(content)
    with pytest.raises(SwitchUnreadable):
        SwitchFile(path).read()
    switch = KillSwitch(SwitchFile(path))
    switch.load()
    assert switch.state.holding("any", "main") is not None


def test_an_unreadable_file_can_be_switched_anew_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    path.write_text("{")
    assert throw(path, on=False).holding("any", "main") is None
    assert SwitchFile(path).read().holding("any", "main") is None
    assert path.with_suffix(".unreadable").read_text() == "{"


async def test_a_file_that_breaks_or_vanishes_while_serving_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    throw(path)
    switch = KillSwitch(SwitchFile(path))
    switch.load()
    heard: list[SwitchState] = []
    switch.on_change(heard.append)
    path.write_text("{")
    await switch.look()
    path.unlink()
    await switch.look()
    assert heard == []
    assert switch.state.holding("any", "main") is not None
    throw(path, on=False)
    await switch.look()
    assert [state.holding("any", "main") for state in heard] == [None]


# --- a disk that takes nothing -----------------------------------------------------------------


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A disk that is full until the list is cleared."""
    state, write = [True], SwitchFile._write

    def refused(self: SwitchFile, wanted: SwitchState) -> None:
        if state:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, wanted)

    monkeypatch.setattr(SwitchFile, "_write", refused)
    return state


async def test_a_full_disk_keeps_nobody_from_taking_agents_off(
    tmp_path: Path, full: list[bool]
) -> None:
    path, clock = tmp_path / "switch.json", HandClock()
    switch = KillSwitch(SwitchFile(path))
    switch.load()
    heard: list[SwitchState] = []
    switch.on_change(heard.append)
    await switch.throw(on=True, scope="all", name="", reason="wrong prices", by="ana")
    assert [state.holding("any", "main") is not None for state in heard] == [True]
    assert not switch.kept
    with pytest.raises(SwitchUnwritable):
        await switch.throw(on=False, scope="all", name="", reason="right again", by="ana")
    assert switch.state.holding("any", "main") is not None
    full.clear()
    following = asyncio.create_task(switch.follow(clock))
    await clock.advance(KEEP_AGAIN_S)
    await eventually(lambda: switch.kept)
    following.cancel()
    assert SwitchFile(path).read().holding("any", "main") is not None


async def test_what_somebody_else_writes_meanwhile_does_not_undo_what_is_not_written_yet(
    tmp_path: Path, full: list[bool]
) -> None:
    path = tmp_path / "switch.json"
    switch = KillSwitch(SwitchFile(path))
    switch.load()
    await switch.throw(on=True, scope="all", name="", reason="wrong prices", by="ana")
    full.clear()
    throw(path, scope="queue", name="sales")
    await switch.look()
    assert {(s.scope, s.on) for s in switch.state.switches} == {("all", True), ("queue", True)}
    throw(path, on=False)
    await switch.look()
    assert switch.state.holding("any", "main") is None, "that was decided later"


async def test_a_clock_set_back_does_not_undo_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "switch.json"
    throw(path, on=False)
    switch = KillSwitch(SwitchFile(path))
    switch.load()
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    await switch.throw(on=True, scope="all", name="", reason="wrong prices", by="ana")
    assert switch.kept
    assert SwitchFile(path).read().holding("any", "main") is not None


# --- calls -------------------------------------------------------------------------------------


async def test_the_file_is_followed_on_when_one_change_could_not_be_heeded(tmp_path: Path) -> None:
    path, clock = tmp_path / "switch.json", HandClock()
    switch = KillSwitch(SwitchFile(path))
    heard: list[bool] = []

    def heed(state: SwitchState) -> None:
        heard.append(state.holding("sales", "main") is not None)
        if len(heard) == 1:
            raise RuntimeError("a bug")

    switch.on_change(heed)
    following = asyncio.create_task(switch.follow(clock))
    for number, on in enumerate((True, False), start=1):
        throw(path, on=on)
        await clock.advance(LOOK_EVERY_S)
        await eventually(lambda n=number: len(heard) == n)
    following.cancel()
    assert heard == [True, False]


async def switched(stage: Stage, path: Path, **change: object) -> None:
    throw(path, **change)  # type: ignore[arg-type]
    await stage.gateway.switch.look()


async def test_new_calls_go_to_people_and_never_see_an_agent(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    throw(path)
    async with staged(kill_switch=str(path)) as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await eventually(lambda: stage.line.rung)
        await stage.clock.advance(0.1)
        assert caller.heard[0] == SWITCHED
        assert stage.agent.attempts == 0


async def test_a_live_call_is_told_and_put_through_though_its_agent_hangs(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path)) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 100))
        await stage.clock.advance(0.1)
        agent.reading.clear()  # it hangs: reads nothing, sends nothing
        await switched(stage, path)
        await eventually(lambda: stage.line.rung)
        heard = len(caller.heard)
        await stage.clock.advance(0.2)
        assert caller.heard[heard] == SWITCHED
        assert voice(9) not in caller.heard[heard:]
        await stage.line.leg.answer()
        stage.line.leg.speak(*[voice(70)] * 20)
        await stage.clock.advance(0.3)
        assert caller.heard[-1] == voice(70)
        assert caller.state is LegState.ANSWERED
        agent.reading.set()


async def test_a_caller_whom_no_person_answers_waits_and_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path)) as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        await switched(stage, path)
        await stage.clock.advance_until(lambda: len(stage.line.rung) >= 3)
        assert caller.hung_up == []
        assert stage.agent.attempts == 1


async def test_agents_that_are_back_take_those_who_still_wait(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path)) as stage:
        stage.line.broken = True
        caller = FakeLeg()
        first = await stage.connect(caller)
        await stage.say(first, voice(9))
        await switched(stage, path)
        await stage.clock.advance(1.0)
        await switched(stage, path, on=False)
        second = await stage.agent.stream(2)
        assert second.start.resumed


async def test_a_scope_that_is_another_ones_leaves_a_call_alone(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path), routes={"sales": "shop"}) as stage:
        sales = FakeLeg(dialled="sip:Sales@example.invalid:5060")
        agent = await stage.connect(sales)
        await stage.say(agent, voice(9))
        await switched(stage, path, scope="route", name="billing")
        await switched(stage, path, scope="queue", name="main")
        await stage.clock.advance(0.1)
        assert stage.line.rung == []
        await switched(stage, path, scope="queue", name="shop")
        await eventually(lambda: stage.line.rung)


async def test_a_caller_who_is_with_a_person_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path)) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.send(Transfer())
        await eventually(lambda: stage.line.rung)
        person = stage.line.leg
        await person.answer()
        await stage.clock.advance(0.1)
        await switched(stage, path)
        person.speak(voice(70))
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(70)
        assert len(stage.line.rung) == 1
        assert agent.of(Resume) == []


async def test_the_switch_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "switch.json"
    async with staged(kill_switch=str(path)) as stage:
        await stage.gateway.switch.throw(
            on=True, scope="all", name="", reason="wrong prices", by="ana"
        )
    assert json.loads(path.read_text())["switches"][0]["by"] == "ana"
    async with staged(kill_switch=str(path)) as stage:
        stage.ring(FakeLeg())
        await eventually(lambda: stage.line.rung)
        assert stage.agent.attempts == 0
