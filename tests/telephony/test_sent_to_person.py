"""A supervisor sends a caller to a person: through the agent, and without one."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from telephony.call import CallStage, LegState, SupervisorMode
from telephony.call_agents import HEED_S
from telephony.call_session import CallSession
from telephony.errors import NotToPerson
from telephony.media_stream import Announcement, Stop, Transfer
from telephony.settings import HumanLineSettings
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.stage import SENT, Stage, staged, voice
from tests.telephony.test_supervision import join

QUEUES = {
    "care": {"targets": ["sip:care@example.invalid"]},
    "shop": {"targets": ["sip:shop@example.invalid"], "wait_s": 1},
}


def session_of(stage: Stage) -> CallSession:
    (session,) = stage.gateway.calls.values()
    return session


def wanted(agent: AgentEnd) -> list[Transfer]:
    told = [each for each in agent.messages if isinstance(each, Transfer)]
    return [each for each in told if each.state == "wanted"]


async def test_the_agent_is_asked_and_its_story_goes_along() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, voice(9))
        session = session_of(stage)
        sending = asyncio.ensure_future(session.agents.send_to_person("care"))
        await eventually(lambda: wanted(agent))
        assert wanted(agent)[0].target == "care"
        assert wanted(agent)[0].cause == "supervisor"
        await agent.send(Transfer(target="care", cause="supervisor", announced_later=True))
        await sending
        await eventually(lambda: stage.line.rung)
        assert stage.line.rung[0][0] == "sip:care@example.invalid"
        await agent.send(Announcement(""))
        await stage.line.leg.answer()
        await stage.clock.advance_until(lambda: session.media.stage is CallStage.BRIDGED)
        assert stage.agent.attempts == 1
        assert session.people.told is not None
        assert session.people.told["cause"] == "supervisor"


async def test_a_caller_whose_agent_hangs_is_told_and_put_through_all_the_same() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 500))
        await stage.clock.advance(0.1)
        agent.reading.clear()  # it hangs: reads nothing, sends nothing
        sending = asyncio.ensure_future(session_of(stage).agents.send_to_person("shop"))
        await stage.clock.advance(HEED_S + 0.1)
        await sending
        await eventually(lambda: stage.line.rung)
        await stage.clock.advance(0.2)
        assert voice(9) not in caller.heard[caller.heard.index(SENT) :]
        (uri, headers, _) = stage.line.rung[0]
        assert uri == "sip:shop@example.invalid"
        assert headers["X-Handoff-Reason"] == "supervisor"
        await stage.line.leg.answer()
        stage.line.leg.speak(*[voice(70)] * 20)
        await stage.clock.advance(0.3)
        assert caller.heard[-1] == voice(70)
        assert caller.state is LegState.ANSWERED
        agent.reading.set()


async def test_a_caller_whom_nobody_of_the_queue_takes_comes_back_to_an_agent() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        stage.line.broken = True
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9))
        sending = asyncio.ensure_future(session_of(stage).agents.send_to_person("shop"))
        await stage.clock.advance(HEED_S + 0.1)
        await sending
        await stage.clock.advance_until(lambda: stage.agent.attempts == 2)
        assert (await stage.agent.stream(2)).start.resumed
        assert caller.hung_up == []


async def test_while_no_agent_can_be_had_a_person_is_rung_at_once() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9))
        stage.agent.refuse_with = 503
        await agent.leave()
        session = session_of(stage)
        await eventually(lambda: session.media.stage is CallStage.WAITING)
        await session.agents.send_to_person("care")
        await stage.clock.advance_until(lambda: bool(stage.line.rung))
        assert stage.line.rung[0][0] == "sip:care@example.invalid"


async def test_what_the_call_does_not_allow_is_refused() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, voice(9))
        agents = session_of(stage).agents
        with pytest.raises(NotToPerson, match="no such queue"):
            await agents.send_to_person("sip:premium@example.invalid")
        await agent.send(Transfer(target="care"))
        await eventually(lambda: stage.line.rung)
        with pytest.raises(NotToPerson, match="already"):
            await agents.send_to_person("shop")
        assert wanted(agent) == []


async def test_a_supervisor_who_takes_over_before_the_agent_heeds_keeps_the_caller() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, voice(9))
        session = session_of(stage)
        sending = asyncio.ensure_future(session.agents.send_to_person("care"))
        await eventually(lambda: wanted(agent))
        await join(stage, SupervisorMode.TAKEOVER)
        await stage.clock.advance(HEED_S + 0.1)
        with pytest.raises(NotToPerson, match="taken this caller over"):
            await sending
        await agent.leave()
        await eventually(lambda: session.media.stream is None)
        session.supervision.hand_back("ana", "")
        await stage.clock.advance_until(lambda: stage.agent.attempts == 2)
        assert stage.line.rung == []


async def test_a_takeover_forgets_a_queue_whose_people_are_not_rung_yet() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9))
        stage.agent.refuse_with = 503
        await agent.leave()
        session = session_of(stage)
        await eventually(lambda: session.media.stage is CallStage.WAITING)
        await session.agents.send_to_person("care")
        await join(stage, SupervisorMode.TAKEOVER)
        stage.agent.refuse_with = None
        session.supervision.hand_back("ana", "")
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)
        assert stage.line.rung == []


async def test_a_caller_who_hears_the_agents_goodbye_can_still_be_sent_to_a_person() -> None:
    async with staged(human={"queues": QUEUES}) as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, voice(9, 100))
        session = session_of(stage)
        await agent.send(Stop("done"))
        await eventually(lambda: session.agents.said_stop)
        await agent.leave()
        await eventually(lambda: session.media.stream is None)
        await stage.clock.advance(0.2)
        await session.agents.send_to_person("care")
        await eventually(lambda: stage.line.rung)
        assert stage.line.rung[0][0] == "sip:care@example.invalid"


def test_no_queue_is_named_as_takeovers_are_told() -> None:
    with pytest.raises(ValidationError, match="no queue's name"):
        HumanLineSettings.model_validate({"queues": {"supervisor": {"targets": ["sip:a@b"]}}})
