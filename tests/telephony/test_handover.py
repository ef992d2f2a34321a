"""Handing a caller to a person: every way it can go, and every moment it can be cut short."""

from __future__ import annotations

import asyncio
import base64

import pytest

from telephony.audio import SILENCE
from telephony.call import DigitPressed, HoldChanged, HumanStage, LegEnded, LegState
from telephony.media_stream import (
    Announcement,
    Cleared,
    Dtmf,
    Mark,
    Resume,
    Stop,
    Transfer,
    Withdraw,
)
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.handing_over import (
    BRIEF,
    URI,
    bridge,
    handed_back,
    last_state,
    ring_person,
    states,
)
from tests.telephony.stage import Stage, staged, voice


async def test_while_it_rings_the_caller_and_the_agent_go_on_talking() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await ring_person(stage, caller)
        assert states(agent) == [("ringing", "")]
        assert stage.line.rung[0][0] == URI
        caller.speak(voice(1))
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.02)
        await eventually(lambda: agent.frames)
        assert caller.heard == [voice(9)]
        assert agent.frames == [voice(1)]
        assert person.heard == []


async def test_a_caller_hears_a_tone_while_the_phone_rings_and_the_agent_says_nothing() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        _, person = await ring_person(stage, caller)
        await stage.clock.advance(6)
        assert any(any(frame) for frame in caller.heard)
        assert person.heard == []


async def test_the_announcement_is_for_the_person_alone() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await ring_person(stage, caller)
        await person.answer()
        await eventually(lambda: last_state(agent) == "answered")
        caller.speak(voice(1), voice(1))
        person.speak(voice(2), voice(2))
        await stage.say(agent, voice(9, 2))
        await stage.clock.advance(0.04)
        assert person.heard == [voice(50)] * 2
        assert caller.heard == [voice(9)] * 2
        await eventually(lambda: len(agent.frames) == 2)
        assert agent.frames == [voice(1)] * 2


async def test_once_bridged_they_hear_each_other_and_the_agent_hears_silence() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await bridge(stage, caller)
        assert [state for state, _ in states(agent)] == ["ringing", "answered", "bridged"]
        before = len(agent.frames)
        caller.speak(voice(1))
        person.speak(voice(2))
        await agent.say(voice(9, 5))
        await stage.clock.advance(0.02)
        await eventually(lambda: len(agent.frames) == before + 1)
        assert caller.heard[-1] == voice(2)
        assert person.heard[-1] == voice(1)
        assert agent.frames[-1] == SILENCE
        await stage.clock.advance(0.2)
        assert voice(9) not in caller.heard


async def test_bridging_drops_what_the_agent_had_not_said_yet() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await ring_person(stage, caller)
        await stage.say(agent, voice(9, 500))
        await person.answer()
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        (cleared,) = agent.of(Cleared)
        assert isinstance(cleared, Cleared)
        assert cleared.played_ms + cleared.dropped_ms == 10_000


async def test_keys_and_hold_work_across_the_bridge() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await bridge(stage, caller)
        caller.tell(DigitPressed("1", 100))
        person.tell(DigitPressed("2", 100))
        await eventually(lambda: person.digits and caller.digits)
        assert (person.digits, caller.digits) == (["1"], ["2"])
        assert agent.of(Dtmf) == []
        person.tell(HoldChanged(True))
        await eventually(lambda: stage.media().human_held)
        await stage.clock.advance(1.0)
        assert any(frame != SILENCE for frame in caller.heard[-50:])


async def test_when_the_person_hangs_up_the_call_ends() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await bridge(stage, caller)
        await stage.clock.advance(5.0)
        person.tell(LegEnded("bye"))
        await stage.calls[0]
        assert caller.hung_up == ["human_hung_up"]
        await eventually(lambda: agent.closed)
        assert states(agent)[-1] == ("ended", "hung_up")
        assert agent.messages[-1] == Stop("human_hung_up")


async def test_when_the_persons_line_breaks_the_agent_has_the_caller_again() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await bridge(stage, caller)
        person.tell(LegEnded("timeout", 408))
        await eventually(lambda: handed_back(agent))
        assert states(agent)[-1] == ("ended", "lost")
        assert handed_back(agent) == [Resume("lost")]
        await agent.say(voice(9))
        await eventually(lambda: stage.media().buffered_ms)
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(9)


async def test_the_agent_may_be_given_the_caller_when_the_person_hangs_up() -> None:
    async with staged(human={"after_hang_up": "agent"}) as stage:
        agent, person = await bridge(stage, FakeLeg())
        await stage.clock.advance(5.0)
        person.tell(LegEnded("bye"))
        await eventually(lambda: handed_back(agent))
        assert handed_back(agent) == [Resume("hung_up")]
        assert stage.gateway.live_calls == 1


async def test_when_the_caller_hangs_up_the_persons_leg_ends() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        _, person = await bridge(stage, caller)
        caller.tell(LegEnded("bye"))
        await stage.calls[0]
        assert person.state is LegState.ENDED


async def test_an_agent_may_leave_while_a_person_has_the_caller() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await bridge(stage, caller)
        await agent.send(Stop("handed over"))
        await agent.leave()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(60.0)
        person.speak(voice(2))
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(2)
        assert len(stage.agent.streams) == 1


async def test_a_caller_whose_agent_and_person_are_both_gone_gets_a_new_agent() -> None:
    async with staged() as stage:
        agent, person = await bridge(stage, FakeLeg())
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        person.tell(LegEnded("timeout", 504))
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "declined"),
        (480, "no_answer"),
        (404, "unknown_target"),
        (503, "unreachable"),
        (0, "unreachable"),
    ],
)
async def test_a_person_who_cannot_be_had_leaves_the_caller_with_the_agent(
    code: int, reason: str
) -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await ring_person(stage, caller)
        person.tell(LegEnded("refused", code))
        await eventually(lambda: len(states(agent)) == 2)
        assert states(agent)[-1] == ("failed", reason)
        assert handed_back(agent) == []
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(9)


async def test_a_person_who_does_not_answer_is_rung_only_so_long() -> None:
    async with staged(human={"ring_timeout_s": 5}) as stage:
        agent, person = await ring_person(stage, FakeLeg())
        await stage.clock.advance(4.9)
        assert person.hung_up == []
        await stage.clock.advance(0.2)
        await eventually(lambda: len(states(agent)) == 2)
        assert states(agent)[-1] == ("failed", "no_answer")
        await eventually(lambda: person.hung_up)


async def test_a_person_who_hangs_up_during_the_announcement_is_a_failed_transfer() -> None:
    async with staged() as stage:
        agent, person = await ring_person(stage, FakeLeg())
        await person.answer()
        await eventually(lambda: last_state(agent) == "answered")
        person.tell(LegEnded("bye"))
        await eventually(lambda: states(agent)[-1] == ("failed", "hung_up_early"))
        assert stage.gateway.live_calls == 1


async def test_a_line_that_cannot_dial_is_a_failed_transfer() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        stage.line.broken = True
        await agent.send(Transfer())
        await eventually(lambda: states(agent))
        assert states(agent) == [("failed", "unreachable")]


async def test_without_a_line_a_transfer_fails() -> None:
    async with staged() as stage:
        stage.gateway.dial = None
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer())
        await eventually(lambda: states(agent))
        assert states(agent) == [("failed", "no_line")]


async def test_a_target_nobody_configured_is_not_rung() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer(target="sip:+19005550100@premium.example"))
        await eventually(lambda: states(agent))
        assert states(agent) == [("failed", "transfer_target_refused")]
        assert stage.line.rung == []


async def test_a_failed_transfer_can_be_tried_again() -> None:
    async with staged() as stage:
        agent, person = await ring_person(stage, FakeLeg())
        person.tell(LegEnded("busy", 486))
        await eventually(lambda: len(states(agent)) == 2)
        await agent.send(Transfer())
        await eventually(lambda: len(stage.line.rung) == 2)


async def test_a_second_transfer_while_one_rings_is_ignored() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        for _ in range(3):
            await agent.send(Transfer())
        await agent.send(Dtmf("1"))
        await eventually(lambda: caller.digits)
        await stage.clock.advance(0.1)
        assert len(stage.line.rung) == 1


async def test_an_agent_that_asks_for_a_person_and_leaves_at_once_does_not_end_the_call() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.send(Transfer())
        await agent.send(Stop("handed over"))
        await agent.leave()
        await eventually(lambda: stage.line.rung and stage.media().stream is None)
        await stage.clock.advance(2.0)
        assert stage.gateway.live_calls == 1
        await stage.line.leg.answer()
        await stage.clock.advance(0.1)
        stage.line.leg.speak(voice(2))
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(2)


@pytest.mark.parametrize("announcement", ["%%%", base64.b64encode(b"odd").decode(), ""])
async def test_a_person_is_rung_even_if_the_announcement_is_unusable(announcement: str) -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer(announcement=announcement))
        await eventually(lambda: stage.line.rung)
        await stage.line.leg.answer()
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")


async def test_an_agent_that_dies_while_it_rings_does_not_stop_the_ringing() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent, person = await ring_person(stage, caller)
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(1.0)
        await person.answer()
        await stage.clock.advance(0.2)
        person.speak(voice(2))
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(2)


async def test_a_leg_that_begins_to_ring_after_the_caller_left_is_hung_up() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        stage.line.free.clear()
        await agent.send(Transfer())
        await eventually(lambda: stage.media().human_stage is HumanStage.RINGING)
        caller.tell(LegEnded("bye"))
        await stage.clock.advance(0.1)
        stage.line.free.set()
        await stage.calls[0]
        assert stage.line.leg.state is LegState.ENDED


async def leaving(stage: Stage) -> tuple[AgentEnd, asyncio.Event]:
    """A caller has changed their mind; the person's telephone hangs up once the event is set."""
    agent, person = await ring_person(stage, FakeLeg())
    may_leave, hang_up = asyncio.Event(), person.hang_up

    async def slowly(reason: str = "") -> None:
        await may_leave.wait()
        await hang_up(reason)

    person.hang_up = slowly  # type: ignore[method-assign]
    await agent.send(Withdraw("withdrawn"))
    await eventually(lambda: last_state(agent) == "ended")
    return agent, may_leave


async def test_a_withdrawn_attempt_is_told_as_ended() -> None:
    async with staged() as stage:
        agent, may_leave = await leaving(stage)
        (session,) = stage.gateway.calls.values()
        assert session.people.told is not None
        assert session.people.told["state"] == "ended"
        assert session.people.told["reason"] == "withdrawn"
        may_leave.set()
        assert states(agent)[-1] == ("ended", "withdrawn")


async def test_what_is_asked_for_while_the_last_attempt_leaves_begins_once_it_has_left() -> None:
    async with staged() as stage:
        agent, may_leave = await leaving(stage)
        await agent.send(Transfer(announced_later=True))
        await agent.send(Announcement(BRIEF))
        await agent.send(Mark("behind"))
        await eventually(lambda: Mark("behind") in agent.messages)
        assert len(stage.line.rung) == 1
        may_leave.set()
        await eventually(lambda: len(stage.line.rung) == 2)
        await stage.line.leg.answer()
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        assert voice(50) in stage.line.leg.heard


async def test_what_is_asked_for_meanwhile_can_be_withdrawn_too() -> None:
    async with staged() as stage:
        agent, may_leave = await leaving(stage)
        await agent.send(Transfer())
        await agent.send(Withdraw("withdrawn"))
        await agent.send(Mark("behind"))
        await eventually(lambda: Mark("behind") in agent.messages)
        may_leave.set()
        (session,) = stage.gateway.calls.values()
        await eventually(session.people.none_asked.is_set)
        await stage.clock.advance(1.0)
        assert len(stage.line.rung) == 1
