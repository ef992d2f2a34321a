"""What one tick, and the time between two, do for a reply: first packets, leads, reports."""

from __future__ import annotations

from telephony.call import LegAnswered
from telephony.media_stream import Cleared, Playout
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import staged, voice

LEAD_MS = 60


def leading_leg() -> FakeLeg:
    """A leg that holds what it is sent until the test lets some of it leave."""
    leg = FakeLeg()
    leg.lead_ms = LEAD_MS
    return leg


async def test_a_reply_into_silence_does_not_wait_for_the_tick() -> None:
    async with staged() as stage:
        caller = leading_leg()
        agent = await stage.connect(caller)
        await stage.clock.advance(0.1)
        assert caller.heard == []
        await agent.say(voice(9, 50))
        await eventually(lambda: caller.heard)
        assert b"".join(caller.heard) == voice(9, LEAD_MS // 20)


async def test_what_is_less_than_the_lead_waits_for_the_tick() -> None:
    async with staged() as stage:
        caller = leading_leg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 2))
        assert caller.heard == []
        await stage.clock.advance(0.04)
        assert b"".join(caller.heard) == voice(9, 2)


async def test_the_leg_is_kept_filled_and_never_more_than_its_lead() -> None:
    async with staged() as stage:
        caller = leading_leg()
        caller.holds_back_ms = LEAD_MS
        agent = await stage.connect(caller)
        await agent.say(voice(9, 50))
        await eventually(lambda: caller.heard)
        await stage.clock.advance(0.2)
        assert caller.heard_audio == voice(9, 3)
        caller.holds_back_ms = 20
        await stage.clock.advance(0.02)
        assert caller.heard_audio == voice(9, 5)


async def test_the_agent_learns_when_its_first_packet_left() -> None:
    async with staged() as stage:
        caller = leading_leg()
        caller.holds_back_ms = LEAD_MS
        agent = await stage.connect(caller)
        await stage.clock.advance(0.1)
        await agent.say(voice(9, 50))
        await eventually(lambda: caller.heard)
        await stage.clock.advance(0.008)
        assert agent.of(Playout) == []
        caller.holds_back_ms = LEAD_MS - 20
        await stage.clock.advance(0.004)
        await eventually(lambda: agent.of(Playout))
        (report,) = agent.of(Playout)
        assert isinstance(report, Playout)
        assert report.played_ms == 20
        assert report.buffered_ms == 980
        # The packet left between 8 and 12 ms after the fifth caller frame, at 100 ms.
        assert 108 <= report.at_ms - report.played_ms <= 112


async def test_on_hold_a_reply_waits_and_then_begins() -> None:
    async with staged() as stage:
        caller = leading_leg()
        agent = await stage.connect(caller)
        stage.media().caller_held = True
        await stage.say(agent, voice(9, 50))
        await stage.clock.advance(0.1)
        assert caller.heard == []
        stage.media().caller_held = False
        await stage.clock.advance(0.02)
        assert caller.heard_audio.startswith(voice(9, 3))


async def test_a_reply_before_the_answer_waits_for_it() -> None:
    async with staged() as stage:
        caller = leading_leg()
        caller.answers = False
        stage.ring(caller)
        agent = await stage.agent.stream()
        await stage.say(agent, voice(9, 50))
        assert caller.heard == []
        caller.tell(LegAnswered())
        await stage.clock.advance(0.04)
        assert caller.heard_audio.startswith(voice(9, 3))


async def test_a_clear_takes_the_lead_back() -> None:
    async with staged() as stage:
        caller = leading_leg()
        caller.holds_back_ms = LEAD_MS
        agent = await stage.connect(caller)
        await agent.say(voice(9, 50))
        await eventually(lambda: caller.heard)
        stage.media().clear_agent_audio()
        await eventually(lambda: agent.of(Cleared))
        (cleared,) = agent.of(Cleared)
        assert isinstance(cleared, Cleared)
        assert (cleared.played_ms, cleared.dropped_ms) == (0, 1_000)
        await stage.clock.advance(0.1)
        assert caller.heard == []
        assert agent.of(Playout) == []
