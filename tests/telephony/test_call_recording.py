"""Whole calls that may be recorded: what is heard first, what is answered, and what is on disk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from telephony.call import DigitPressed, LegEnded
from telephony.call_session import CallSession
from telephony.errors import NotRecorded
from telephony.law import Disclosure, Law, RecordingRule, Rule
from telephony.media_stream import Clear, Consent, Disclosed, Dtmf, Opening, Pause, Transfer
from telephony.prompts import PromptName
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import NOTICE, QUESTION, Stage, staged, voice
from tests.telephony.test_recording import channels

HELLO = voice(9)
ANSWER_S = 2.0
SENTENCE_S = 0.06
"""Three frames."""
TAIL_S = 0.22


def law(recording: str, disclosure: str = "when_asked") -> Law:
    rule = Rule(recording=RecordingRule(recording), ai_disclosure=Disclosure(disclosure))
    return Law(otherwise=rule, answer_s=ANSWER_S)


@asynccontextmanager
async def recorded(folder: Path, recording: str, **settings: object) -> AsyncIterator[Stage]:
    where = {"enabled": True, "folder": str(folder)}
    async with staged(law(recording), recording=where, **settings) as stage:
        yield stage


async def hang_up(stage: Stage, caller: FakeLeg) -> None:
    caller.tell(LegEnded("bye"))
    await stage.calls[0]


def on_disk(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def wav(folder: Path) -> Path:
    (path,) = folder.glob("*.wav")
    return path


def session(stage: Stage) -> CallSession:
    (only,) = stage.gateway.calls.values()
    return only


def state(stage: Stage) -> dict[str, Any]:
    return session(stage).view().recording


async def test_the_notice_is_heard_before_the_agent_and_before_anything_is_kept(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, "notice") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        assert agent.start.opening
        await stage.say(agent, HELLO)
        caller.speak(*[voice(5)] * 14)
        await stage.clock.advance(SENTENCE_S)
        assert caller.heard[:3] == [NOTICE] * 3
        assert HELLO not in caller.heard
        assert not on_disk(tmp_path)
        await stage.clock.advance(TAIL_S)
        await eventually(lambda: agent.of(Opening))
        assert agent.of(Opening) == [Opening("over", "notice_heard", recorded=True)]
        caller.speak(voice(6))
        await stage.clock.advance(0.02)
        assert HELLO in caller.heard
        await hang_up(stage, caller)
    left, right = channels(wav(tmp_path))
    assert set(left[:13]) == {0}
    assert left[13:15] == [5, 6]
    assert 9 in right
    told = json.loads(wav(tmp_path).with_suffix(".json").read_text())
    assert told["permission"] == "notice_heard"
    assert told["rules"] == ["otherwise"]


def file_failed(stage: Stage) -> bool:
    (session,) = stage.gateway.calls.values()
    return session.recorder._recording is not None and session.recorder._recording.failed


Answer = Callable[[Stage, FakeLeg, Any], Awaitable[None]]


async def says_yes(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    await agent.send(Consent("yes"))


async def says_no(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    await agent.send(Consent("no"))


async def mumbles(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    await agent.send(Consent("unclear"))


async def presses_1(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    caller.tell(DigitPressed("1", 100))


async def presses_2(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    caller.tell(DigitPressed("2", 100))


async def is_silent(stage: Stage, caller: FakeLeg, agent: Any) -> None:
    await stage.clock.advance(ANSWER_S)


@pytest.mark.parametrize(
    ("answers", "permission", "kept"),
    [
        (says_yes, "agreed_by_word", True),
        (presses_1, "agreed_by_key", True),
        (says_no, "refused", False),
        (presses_2, "refused", False),
        (mumbles, "unanswered", False),
        (is_silent, "unanswered", False),
    ],
)
async def test_only_a_yes_to_the_question_begins_a_recording(
    tmp_path: Path, answers: Answer, permission: str, kept: bool
) -> None:
    async with recorded(tmp_path, "consent") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.clock.advance(SENTENCE_S + TAIL_S)
        assert caller.heard[:3] == [QUESTION] * 3
        await eventually(lambda: agent.of(Opening) == [Opening("asked")])
        await answers(stage, caller, agent)
        await eventually(lambda: len(agent.of(Opening)) == 2)
        assert agent.of(Opening)[1] == Opening("over", permission, recorded=kept)
        assert state(stage)["state"] == ("on" if kept else "refused")
        await stage.say(agent, HELLO)
        caller.speak(*[voice(6)] * 400)
        await stage.clock.advance(6)
        assert HELLO in caller.heard
        assert not agent.of(Dtmf), "the answer is not for the agent"
        await hang_up(stage, caller)
    assert bool(on_disk(tmp_path)) is kept
    if kept:
        assert 6 in channels(wav(tmp_path))[0]


async def test_a_caller_who_hangs_up_in_the_notice_is_nowhere(tmp_path: Path) -> None:
    async with recorded(tmp_path, "notice") as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        caller.speak(*[voice(5)] * 5)
        await stage.clock.advance(0.04)
        await hang_up(stage, caller)
    assert not on_disk(tmp_path)


async def test_an_agent_that_hangs_neither_shortens_the_question_nor_answers_it(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, "consent") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.send(Consent("yes"))
        await agent.send(Clear())
        await stage.clock.advance(SENTENCE_S + TAIL_S)
        assert caller.heard[:3] == [QUESTION] * 3
        assert state(stage)["state"] == "waiting"
        await stage.clock.advance(ANSWER_S)
        assert state(stage) == {"state": "refused", "why": "unanswered", "since_ms": None}
        await hang_up(stage, caller)
    assert not on_disk(tmp_path)


async def test_without_an_agent_the_notice_is_heard_all_the_same(tmp_path: Path) -> None:
    async with recorded(tmp_path, "notice", answering="human") as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await eventually(lambda: bool(stage.line.rung))
        await stage.clock.advance(0.5)
        assert caller.heard[:3] == [NOTICE] * 3
        assert state(stage)["state"] == "on"
        await hang_up(stage, caller)


async def test_a_notice_without_a_sound_records_nothing_and_is_told(tmp_path: Path) -> None:
    async with recorded(tmp_path, "notice") as stage:
        del stage.gateway._prompts.spoken[PromptName.NOTICE]
        alarms = stage.gateway.feed.listen(words=False, snapshot={})
        caller = FakeLeg()
        agent = await stage.connect(caller)
        assert not agent.start.opening
        assert state(stage)["state"] == "refused"
        told = [await alarms.next_event() for _ in range(3)]
        assert any("recording_not_announced" in str(each) for each in told)
        await hang_up(stage, caller)
    assert not on_disk(tmp_path)


async def test_where_recording_is_forbidden_nothing_is_said_and_nothing_kept(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, "never") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        assert not agent.start.opening
        await stage.say(agent, HELLO)
        await stage.clock.advance(0.1)
        assert state(stage)["state"] == "off"
        assert caller.heard[0] == HELLO
        await hang_up(stage, caller)
    assert not on_disk(tmp_path)


async def test_calls_that_are_not_recorded_are_not_asked() -> None:
    async with staged(law("consent", "at_start")) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        assert (agent.start.opening, agent.start.disclose) == (False, True)
        await stage.say(agent, HELLO)
        await stage.clock.advance(0.02)
        assert caller.heard[0] == HELLO
        await hang_up(stage, caller)


async def test_the_disclosure_is_wanted_of_every_agent_until_one_was_heard_to_the_end() -> None:
    async with staged(law("unannounced", "at_start")) as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, HELLO)
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(2)
        agent = await stage.agent.stream(2)
        assert (agent.start.resumed, agent.start.disclose) == (True, True)
        await stage.say(agent, HELLO)
        await agent.send(Disclosed())
        await eventually(lambda: not session(stage).recording.discloses)
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(5)
        assert not (await stage.agent.stream(3)).start.disclose


async def test_an_agent_pauses_for_payment_and_goes_on(tmp_path: Path) -> None:
    async with recorded(tmp_path, "unannounced") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(*[voice(5)] * 10)
        await stage.clock.advance(0.2)
        await agent.send(Pause(on=True, back_ms=100))
        await eventually(lambda: state(stage)["state"] == "paused")
        assert state(stage)["why"] == "payment"
        caller.speak(*[voice(6)] * 5)
        await stage.clock.advance(0.1)
        await agent.send(Pause(on=False))
        await eventually(lambda: state(stage)["state"] == "on")
        caller.speak(voice(7))
        await stage.clock.advance(0.02)
        await hang_up(stage, caller)
    assert channels(wav(tmp_path))[0] == [*[5] * 5, *[0] * 10, 7]
    (pause,) = json.loads(wav(tmp_path).with_suffix(".json").read_text())["pauses"]
    assert (pause["cause"], pause["from_ms"], pause["to_ms"]) == ("payment", 100, 300)


async def test_an_agent_that_dies_in_a_payment_leaves_the_pause_to_the_next_one(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, "unannounced") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, HELLO)
        await agent.send(Pause(on=True))
        await eventually(lambda: state(stage)["state"] == "paused")
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(0.1)
        assert state(stage)["state"] == "paused"
        await stage.clock.advance(2)
        second = await stage.agent.stream(2)
        assert second.start.paused
        await stage.say(second, HELLO)
        await stage.clock.advance(5)
        assert state(stage)["why"] == "payment"
        await second.send(Pause(on=False))
        await eventually(lambda: state(stage)["state"] == "on")
        await hang_up(stage, caller)


async def test_a_person_who_is_given_a_caller_in_a_payment_is_told_of_and_the_pause_lasts(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, "unannounced") as stage:
        alarms = stage.gateway.feed.listen(words=False, snapshot={})
        caller = FakeLeg()
        agent = await stage.connect(caller)
        assert not agent.start.paused
        await agent.send(Pause(on=True))
        await agent.send(Transfer())
        await eventually(lambda: stage.line.rung)
        await stage.line.leg.answer()
        await stage.clock.advance(1)
        told = ""
        while "recording_paused_with_person" not in told:
            told = str(await alarms.next_event())
        assert state(stage)["why"] == "payment"
        assert session(stage).recording.supervise(paused=False, reason="", by="ana")
        assert state(stage)["state"] == "on"
        await hang_up(stage, caller)


async def test_a_supervisor_pauses_twice_and_resumes_twice(tmp_path: Path) -> None:
    async with recorded(tmp_path, "unannounced") as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        (session,) = stage.gateway.calls.values()
        assert not session.recording.supervise(paused=False, reason="", by="ana")
        assert session.recording.supervise(paused=True, reason="asked to", by="ana")
        assert not session.recording.supervise(paused=True, reason="asked to", by="ana")
        assert state(stage)["state"] == "paused"
        assert session.recording.supervise(paused=False, reason="", by="ana")
        assert state(stage)["state"] == "on"
        await hang_up(stage, caller)


async def test_a_call_that_is_not_recorded_cannot_be_paused() -> None:
    async with staged(law("consent")) as stage:
        await stage.connect(FakeLeg())
        (session,) = stage.gateway.calls.values()
        with pytest.raises(NotRecorded):
            session.recording.supervise(paused=True, reason="why", by="ana")


async def test_a_caller_may_take_their_consent_back(tmp_path: Path) -> None:
    async with recorded(tmp_path, "notice") as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.clock.advance(SENTENCE_S + TAIL_S)
        await agent.send(Consent("no"))
        await eventually(lambda: state(stage)["state"] == "refused")
        caller.speak(*[voice(6)] * 5)
        await stage.clock.advance(0.2)
        await hang_up(stage, caller)
    assert 6 not in channels(wav(tmp_path))[0]


async def test_a_full_disk_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with recorded(blocked, "unannounced") as stage:
        alarms = stage.gateway.feed.listen(words=False, snapshot={})
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, HELLO)
        await stage.clock.advance(0.1)
        await eventually(lambda: file_failed(stage))
        await stage.clock.advance(0.5)
        assert HELLO in caller.heard
        assert state(stage)["state"] == "failed"
        told = ""
        while "recording_failed" not in told:
            told = str(await alarms.next_event())
        await hang_up(stage, caller)
