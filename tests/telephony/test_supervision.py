"""A supervisor in a call: who hears whom in every mode, and every way it can end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from telephony.audio import SILENCE
from telephony.call import CallStage, LegEnded, LegState, SupervisorMode
from telephony.call_session import CallSession
from telephony.errors import AlreadyTaken, NobodyToWhisperTo, NotSupervising, SupervisionRefused
from telephony.events import Listener
from telephony.media_stream import Overheard, Resume, Stop, Transfer
from telephony.supervision import CONNECT_TIMEOUT_S
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.stage import CUT_OFF, Stage, staged, voice

LISTEN, WHISPER = SupervisorMode.LISTEN, SupervisorMode.WHISPER
BARGE, TAKEOVER = SupervisorMode.BARGE, SupervisorMode.TAKEOVER


class Desk:
    """A supervisor's end: a leg in memory, and the task that is its visit."""

    def __init__(self, session: CallSession, mode: SupervisorMode, name: str = "ana") -> None:
        self.leg = FakeLeg(remote="sip:desk@example.invalid")
        self.visit = session.supervision.expect(name, mode)
        self.task = session.start(session.supervision.attend(self.visit, self._pick_up()))

    async def _pick_up(self) -> FakeLeg:
        await self.leg.answer()
        return self.leg


def session_of(stage: Stage) -> CallSession:
    (session,) = stage.gateway.calls.values()
    return session


async def join(stage: Stage, mode: SupervisorMode, name: str = "ana") -> Desk:
    desk = Desk(session_of(stage), mode, name)
    await eventually(lambda: stage.media().supervisor is desk.leg)
    return desk


async def bridge(stage: Stage, agent: AgentEnd) -> FakeLeg:
    await agent.send(Transfer())
    await eventually(lambda: stage.line.rung)
    person = stage.line.leg
    await person.answer()
    await stage.clock.advance_until(lambda: stage.media().stage is CallStage.BRIDGED)
    return person


async def test_a_listener_hears_both_sides_and_is_heard_by_nobody() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        desk = await join(stage, LISTEN)
        caller.speak(*[voice(1)] * 20)
        desk.leg.speak(*[voice(1000)] * 20)
        await stage.say(agent, voice(10, 20))
        await stage.clock.advance(0.2)
        assert voice(11) in desk.leg.heard
        assert set(caller.heard) <= {voice(10), SILENCE}
        await eventually(lambda: agent.frames)
        assert set(agent.frames) <= {voice(1), SILENCE}


async def test_a_listener_hears_an_agent_that_speaks_ahead_of_the_clock() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        caller.lead_ms = 60
        agent = await stage.connect(caller)
        desk = await join(stage, LISTEN)
        await stage.say(agent, voice(10, 20))
        await stage.clock.advance(0.4)
        assert desk.leg.heard.count(voice(10)) >= 15


async def test_a_whisper_reaches_the_human_agent_alone() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        with pytest.raises(NobodyToWhisperTo):
            Desk(session_of(stage), WHISPER)
        person = await bridge(stage, agent)
        desk = await join(stage, WHISPER)
        await stage.clock.advance(0.04)
        desk.leg.speak(*[voice(1000)] * 5)
        person.speak(*[voice(100)] * 5)
        await stage.clock.advance(0.1)
        assert voice(1000) in person.heard
        assert voice(1100) not in caller.heard
        assert caller.heard[-1] == voice(100)


async def test_a_supervisor_who_barges_in_is_heard_with_the_agent() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        desk = await join(stage, LISTEN)
        await stage.say(agent, voice(10, 50))
        session_of(stage).supervision.change("ana", BARGE)
        desk.leg.speak(*[voice(1000)] * 5)
        await stage.clock.advance(0.1)
        assert voice(1010) in caller.heard
        assert voice(10) in desk.leg.heard


async def test_after_a_takeover_the_agents_words_are_dropped_without_a_step() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        desk = await join(stage, LISTEN)
        await stage.say(agent, voice(8000, 200))
        await stage.clock.advance(0.1)
        session_of(stage).supervision.change("ana", TAKEOVER)
        desk.leg.speak(*[voice(4000)] * 10)
        await stage.clock.advance(0.2)
        heard = np.frombuffer(caller.heard_audio, "<i2").astype(int)
        assert np.abs(np.diff(heard)).max() < 100
        assert heard[-1] == 4000
        await agent.say(voice(8000, 10))
        await stage.clock.advance(0.2)
        assert voice(8000) not in caller.heard[-9:]
        bridged = [m for m in agent.messages if isinstance(m, Transfer)]
        assert [(m.target, m.state) for m in bridged] == [("supervisor", "bridged")]


async def test_a_caller_handed_back_is_the_agents_who_knows_what_was_agreed() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        desk = await join(stage, TAKEOVER)
        session_of(stage).supervision.hand_back("ana", "a refund by Friday")
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("handed_back", "a refund by Friday")]
        await agent.say(voice(10, 5))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.06)
        assert caller.heard[-1] == voice(10)
        assert stage.media().supervisor is desk.leg, "and the supervisor listens on"


async def test_a_supervisor_lost_in_a_takeover_is_owned_up_to_and_the_agent_goes_on() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        desk = await join(stage, TAKEOVER)
        await stage.clock.advance(0.1)
        desk.leg.tell(LegEnded("connection_lost"))
        await eventually(lambda: desk.leg.hung_up)
        await stage.clock.advance(0.1)
        assert CUT_OFF in caller.heard
        assert agent.of(Resume) == [], "the sentence is not talked over"
        await stage.clock.advance(1.0)
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("supervisor_lost")]
        assert caller.state is LegState.ANSWERED
        await desk.task


async def test_the_alarm_of_a_lost_supervisor_is_over_once_the_agent_goes_on() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        desk = await join(stage, TAKEOVER)
        listener = stage.gateway.feed.listen(words=False, snapshot={})
        desk.leg.tell(LegEnded("connection_lost"))
        await eventually(lambda: desk.leg.hung_up)
        await stage.clock.advance(1.0)
        await eventually(lambda: agent.of(Resume))
        alarms = await alarms_told(listener)
        assert [(each["code"], each.get("cleared", False)) for each in alarms] == [
            ("supervisor_lost", False), ("supervisor_lost", True),
        ]  # fmt: skip


async def test_who_leaves_a_takeover_raises_no_alarm_and_the_agent_goes_on_at_once() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        await join(stage, TAKEOVER)
        listener = stage.gateway.feed.listen(words=False, snapshot={})
        await session_of(stage).supervision.leave("ana")
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("left_caller")]
        assert await alarms_told(listener) == []


async def alarms_told(listener: Listener) -> list[dict[str, Any]]:
    """The alarms among what a listener was told so far."""
    listener.put("{}")
    found = []
    while (told := json.loads(await listener.next_event() or "{}")) != {}:
        found += [told] if told["event"] == "alarm" else []
    return found


async def test_a_supervisor_lost_while_no_agent_is_there_leaves_the_caller_to_a_new_one() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        first = await stage.connect(caller)
        await stage.say(first, voice(9))
        desk = await join(stage, TAKEOVER)
        first.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(5.0)
        assert stage.agent.attempts == 1, "nobody is sought while a supervisor has the caller"
        desk.leg.tell(LegEnded("connection_lost"))
        await eventually(lambda: desk.leg.hung_up)
        await stage.clock.advance(3.0)
        second = await stage.agent.stream(2)
        await eventually(lambda: second.of(Resume))
        assert second.start.resumed
        assert second.of(Resume) == [Resume("supervisor_lost")]


async def test_a_supervisor_who_comes_again_takes_the_place_of_the_lost_connection() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        old = await join(stage, TAKEOVER)
        new = await join(stage, TAKEOVER)
        await eventually(lambda: old.leg.hung_up)
        await stage.clock.advance(1.0)
        assert stage.media().supervisor is new.leg
        assert stage.media().supervisor_mode is TAKEOVER
        assert agent.of(Resume) == []


async def test_two_supervisors_cannot_have_one_call() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        supervision = session_of(stage).supervision
        supervision.expect("ana", TAKEOVER)
        with pytest.raises(AlreadyTaken):
            supervision.expect("ben", LISTEN)
        with pytest.raises(AlreadyTaken):
            supervision.change("ben", LISTEN)
        with pytest.raises(AlreadyTaken):
            await supervision.leave("ben")


async def test_a_connection_that_never_comes_about_frees_the_call() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        supervision = session_of(stage).supervision
        ringing: asyncio.Future[FakeLeg] = asyncio.get_running_loop().create_future()

        async def never() -> FakeLeg:
            return await ringing

        attending = asyncio.ensure_future(
            supervision.attend(supervision.expect("ana", TAKEOVER), never())
        )
        await stage.clock.advance(CONNECT_TIMEOUT_S + 1)
        with pytest.raises(SupervisionRefused):
            await attending
        with pytest.raises(NotSupervising):
            supervision.change("ana", LISTEN)
        await join(stage, LISTEN, "ben")


async def test_the_agents_stop_does_not_end_a_call_that_a_supervisor_has() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await join(stage, TAKEOVER)
        await agent.send(Stop("done"))
        await stage.clock.advance(2.0)
        assert caller.state is LegState.ANSWERED


async def test_a_person_who_hangs_up_during_a_takeover_does_not_end_the_call() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        person = await bridge(stage, agent)
        desk = await join(stage, TAKEOVER)
        person.tell(LegEnded("hung_up"))
        await stage.clock.advance(1.0)
        assert caller.state is LegState.ANSWERED
        desk.leg.speak(*[voice(1000)] * 5)
        await stage.clock.advance(0.1)
        assert caller.heard[-1] == voice(1000)
        session_of(stage).supervision.hand_back("ana", "")
        await eventually(lambda: Resume("handed_back") in agent.of(Resume))


async def test_a_caller_who_hangs_up_ends_a_takeover_and_frees_everybody() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        desk = await join(stage, TAKEOVER)
        caller.tell(LegEnded("hung_up"))
        await stage.calls[0]
        assert desk.leg.hung_up


async def test_a_silent_assistant_overhears_the_person_and_says_nothing() -> None:
    async with staged(silent_assistant=True) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        person = await bridge(stage, agent)
        before = len(agent.frames)
        person.speak(*[voice(100)] * 10)
        caller.speak(*[voice(1)] * 10)
        await agent.say(voice(10, 10))
        await stage.clock.advance(0.2)
        await eventually(lambda: agent.of(Overheard))
        assert voice(10) not in caller.heard[-9:]
        assert voice(1) in agent.frames[before:]


async def test_an_agent_that_is_not_to_assist_hears_silence_and_is_sent_nothing() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await bridge(stage, agent)
        before = len(agent.frames)
        caller.speak(*[voice(1)] * 10)
        await stage.clock.advance(0.2)
        await eventually(lambda: len(agent.frames) >= before + 10)
        assert set(agent.frames[before + 1 :]) == {SILENCE}
        assert agent.of(Overheard) == []


# --- before the connection stands --------------------------------------------------------------


class Ringing:
    """A supervisor's telephone that nobody picks up; ``stopped`` once it rings no more."""

    def __init__(self, session: CallSession, name: str = "ana") -> None:
        self.stopped = asyncio.Event()
        self.refused: SupervisionRefused | None = None
        self.visit = session.supervision.expect(name, LISTEN)
        session.start(self._attend(session))

    async def _attend(self, session: CallSession) -> None:
        try:
            await session.supervision.attend(self.visit, self._ring())
        except SupervisionRefused as error:
            self.refused = error

    async def _ring(self) -> FakeLeg:
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        raise AssertionError("nobody picks it up")


async def test_who_leaves_while_their_telephone_rings_is_rung_no_more() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        supervision = session_of(stage).supervision
        telephone = Ringing(session_of(stage))
        await asyncio.sleep(0)
        await supervision.leave("ana")
        await eventually(lambda: telephone.refused is not None)
        assert telephone.stopped.is_set()
        assert isinstance(telephone.refused, NotSupervising)
        assert telephone.visit.left
        await join(stage, LISTEN, "ben")


async def test_who_leaves_while_they_come_anew_is_not_rung_either() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        desk = await join(stage, LISTEN)
        telephone = Ringing(session_of(stage))
        await session_of(stage).supervision.leave("ana")
        await eventually(telephone.stopped.is_set)
        await eventually(lambda: desk.leg.state is LegState.ENDED)
        await join(stage, LISTEN, "ben")


async def test_who_comes_a_second_time_is_rung_once_and_no_alarm_is_raised() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        telephone = Ringing(session_of(stage))
        desk = await join(stage, LISTEN)
        await eventually(telephone.stopped.is_set)
        assert telephone.visit.left, "what follows is no lost connection"
        assert stage.media().supervisor is desk.leg
