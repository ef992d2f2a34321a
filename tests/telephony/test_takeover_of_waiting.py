"""A supervisor takes over a caller whom nobody serves: nothing is done to the caller meanwhile."""

from __future__ import annotations

from telephony.call import CallStage, SupervisorMode
from telephony.media_stream import Resume, Stop
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import GOODBYE, HOLD, TROUBLE, Stage, staged, voice
from tests.telephony.test_supervision import Desk, join, session_of

TAKEOVER = SupervisorMode.TAKEOVER
SHORT_RINGING = {"ring_timeout_s": 5}


async def talk(stage: Stage, desk: Desk, seconds: int) -> None:
    """The supervisor speaks all the time."""
    for _ in range(seconds):
        desk.leg.speak(*[voice(4000)] * 50)
        await stage.clock.advance(1.0)
    await stage.clock.advance(0.5)  # and then says nothing


async def test_a_caller_taken_over_while_people_are_rung_is_not_hung_up_on() -> None:
    async with staged(human=SHORT_RINGING) as stage:
        stage.agent.refuse_with = 401
        caller = FakeLeg()
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.line.rung)
        desk = await join(stage, TAKEOVER)
        await stage.clock.advance(0.1)
        before = len(caller.heard)
        await talk(stage, desk, 40)
        assert not stage.calls[0].done()
        heard = caller.heard[before:]
        assert not {GOODBYE, HOLD, TROUBLE} & set(heard), "a prompt in the supervisor's talk"
        stage.agent.refuse_with = None
        session_of(stage).supervision.hand_back("ana", "a refund")
        agent = await stage.agent.stream()
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("handed_back", "a refund")]


async def test_an_agent_lost_in_a_takeover_plays_nothing_into_it_and_nobody_is_rung() -> None:
    async with staged(human=SHORT_RINGING) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9))
        await join(stage, TAKEOVER)
        stage.agent.refuse_with = 401
        await agent.leave()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(60.0)
        assert HOLD not in caller.heard
        assert stage.line.rung == []
        assert not stage.calls[0].done()
        session_of(stage).supervision.hand_back("ana", "")
        await stage.clock.advance_until(lambda: stage.line.rung)
        assert HOLD in caller.heard


async def test_an_agent_kept_silent_by_a_takeover_is_not_given_up() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.clock.advance(1.0)
        desk = await join(stage, TAKEOVER)
        await talk(stage, desk, 30)
        assert stage.media().stream is not None
        session_of(stage).supervision.hand_back("ana", "")
        await stage.clock.advance(9.0)
        assert stage.media().stream is not None, "it has its time to speak again"
        await stage.clock.advance(2.0)
        await eventually(lambda: agent.closed)


async def test_a_caller_taken_over_during_the_goodbye_stays_and_hears_it_afterwards() -> None:
    async with staged(answering="closed") as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await stage.clock.advance_until(lambda: GOODBYE in caller.heard)
        desk = await join(stage, TAKEOVER)
        assert stage.media().stage is CallStage.CLOSING
        await talk(stage, desk, 20)
        assert not stage.calls[0].done()
        assert caller.heard.count(GOODBYE) == 1
        session_of(stage).supervision.hand_back("ana", "")
        await stage.clock.advance_until(lambda: stage.calls[0].done())
        assert caller.heard.count(GOODBYE) == 2
        assert caller.hung_up == ["nobody_available"]


async def test_a_caller_taken_over_during_the_agents_goodbye_has_an_agent_again() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 100))
        session = session_of(stage)
        await agent.send(Stop("done"))
        await eventually(lambda: session.agents.said_stop)
        await agent.leave()
        await eventually(lambda: stage.media().stream is None)
        await join(stage, TAKEOVER)
        await stage.clock.advance(10.0)
        assert not stage.calls[0].done()
        session.supervision.hand_back("ana", "")
        await stage.clock.advance_until(lambda: stage.agent.attempts == 2)
        assert (await stage.agent.stream(2)).start.resumed
