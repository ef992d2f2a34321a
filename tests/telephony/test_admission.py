"""Who is let in, and how a gateway stops."""

from __future__ import annotations

import asyncio

from telephony.call import LegEnded
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import GOODBYE, staged


async def test_more_calls_than_allowed_are_refused_as_busy() -> None:
    async with staged(max_calls=1) as stage:
        await stage.connect(FakeLeg())
        second = FakeLeg()
        await stage.ring(second)
        assert second.hung_up == ["busy"]
        assert stage.gateway.live_calls == 1


async def test_a_closed_gateway_says_goodbye() -> None:
    async with staged(answering="closed") as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.calls[0].done())
        assert caller.heard[0] == GOODBYE
        assert stage.agent.attempts == 0


async def test_with_the_switch_on_human_no_agent_is_asked() -> None:
    async with staged(answering="human") as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.line.rung)
        assert stage.agent.attempts == 0


async def test_draining_refuses_new_calls_and_waits_for_live_ones() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        draining = asyncio.ensure_future(stage.gateway.drain())
        await eventually(lambda: not stage.gateway.ready)
        late = FakeLeg()
        await stage.ring(late)
        assert late.hung_up == ["busy"]
        assert not draining.done()
        caller.tell(LegEnded("bye"))
        await draining


async def test_draining_ends_calls_that_outlast_it() -> None:
    async with staged(drain_timeout_s=0) as stage:
        caller = FakeLeg()
        await stage.connect(caller)
        await stage.gateway.drain()
        assert caller.hung_up == ["gateway_stopped"]


async def test_a_leg_that_cannot_be_answered_ends_the_call() -> None:
    class Broken(FakeLeg):
        async def answer(self) -> None:
            raise RuntimeError("no codec in common")

    async with staged() as stage:
        caller = Broken()
        await stage.ring(caller)
        assert caller.hung_up == ["answer_failed"]
