"""Hanging up at any moment of a call: nothing of it is left behind."""

from __future__ import annotations

import asyncio

import pytest

from telephony.call import LegEnded, LegState
from telephony.call_session import CallSession
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.handing_over import (
    bridge,
    last_state,
    ring_person,
)
from tests.telephony.stage import Stage, staged, voice


async def _ringing(stage: Stage, caller: FakeLeg) -> None:
    caller.answers = False
    stage.ring(caller)
    await stage.agent.stream()


async def _with_agent(stage: Stage, caller: FakeLeg) -> None:
    agent = await stage.connect(caller)
    await agent.say(voice(9, 50))
    await stage.clock.advance(0.1)


async def _holding(stage: Stage, caller: FakeLeg) -> None:
    stage.agent.refuse_with = 503
    stage.ring(caller)
    await eventually(lambda: caller.state is LegState.ANSWERED)


async def _person_ringing(stage: Stage, caller: FakeLeg) -> None:
    await ring_person(stage, caller)


async def _person_for_lack_of_agent(stage: Stage, caller: FakeLeg) -> None:
    stage.agent.refuse_with = 401
    stage.ring(caller)
    await stage.clock.advance_until(lambda: stage.line.rung)


async def _announcing(stage: Stage, caller: FakeLeg) -> None:
    agent, person = await ring_person(stage, caller)
    await person.answer()
    await eventually(lambda: last_state(agent) == "answered")


async def _bridged(stage: Stage, caller: FakeLeg) -> None:
    await bridge(stage, caller)


async def _goodbye(stage: Stage, caller: FakeLeg) -> None:
    await _person_for_lack_of_agent(stage, caller)
    stage.line.leg.tell(LegEnded("busy", 486))
    await stage.clock.advance(0.04)


@pytest.mark.parametrize(
    "reach",
    [
        _ringing,
        _with_agent,
        _holding,
        _person_ringing,
        _person_for_lack_of_agent,
        _announcing,
        _bridged,
        _goodbye,
    ],
)
@pytest.mark.parametrize("how", ["caller", "gateway", "cancelled"])
async def test_whenever_a_call_ends_everything_of_it_is_freed(reach: object, how: str) -> None:
    async with staged() as stage:
        before = asyncio.all_tasks()
        caller = FakeLeg()
        await reach(stage, caller)  # type: ignore[operator]
        call = stage.calls.pop()
        if how == "caller":
            caller.tell(LegEnded("bye"))
            await call
        elif how == "gateway":
            (session,) = stage.gateway.calls.values()
            assert isinstance(session, CallSession)
            session.end("gateway_stopped")
            await call
        else:
            call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
        assert caller.state is LegState.ENDED
        assert stage.gateway.live_calls == 0
        for _, _, person in stage.line.rung:
            assert person.state is LegState.ENDED
        await eventually(lambda: all(agent.closed for agent in stage.agent.streams))
        await eventually(lambda: {t for t in asyncio.all_tasks() - before if _ours(t)} == set())


def _ours(task: asyncio.Task[object]) -> bool:
    """Not a task of the fake agent's web server."""
    return "RequestHandler" not in repr(task.get_coro())
