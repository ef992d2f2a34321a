"""One call with legs in memory, a clock turned by hand and an agent behind a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from telephony.audio import SILENCE
from telephony.call import LegEnded, LegState
from telephony.gateway import Gateway
from telephony.media_stream import FRAME_BYTES, Playout
from telephony.prompts import Prompts, soft_tone
from telephony.settings import AgentLinkSettings, GatewaySettings
from tests.telephony.fakes import FakeAgent, FakeLeg, FakeLine, HandClock, eventually


def voice(value: int, frames: int = 1) -> bytes:
    return np.full(frames * FRAME_BYTES // 2, value, dtype="<i2").tobytes()


class Stage:
    """A gateway with everything around it."""

    def __init__(self, agent: FakeAgent, **settings: object) -> None:
        self.agent = agent
        self.clock = HandClock()
        self.line = FakeLine()
        link = AgentLinkSettings(url=agent.url)
        self.gateway = Gateway(
            GatewaySettings.model_validate({"agent": link, **settings}),
            dial=self.line.dial,
            clock=self.clock,
            prompts=Prompts({}, soft_tone()),
        )
        self.tasks: list[asyncio.Task[None]] = []

    def ring(self, leg: FakeLeg) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self.gateway.take(leg))
        self.tasks.append(task)
        return task

    async def close(self) -> None:
        await self.gateway.close()
        await asyncio.gather(*self.tasks)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeAgent() as agent:
        stage = Stage(agent)
        yield stage
        await stage.close()


async def test_the_agent_hears_the_caller_and_the_caller_the_agent(stage: Stage) -> None:
    caller = FakeLeg()
    call = stage.ring(caller)
    agent = await stage.agent.stream()
    await eventually(lambda: caller.state is LegState.ANSWERED)
    caller.speak(voice(7), voice(8))
    await agent.say(voice(1000, 2) + voice(2000)[:100])
    await eventually(lambda: stage.gateway.calls[agent.start.call_id].media.agent_spoke)
    await stage.clock.advance(0.2)
    await eventually(lambda: len(agent.frames) == 10)
    assert agent.frames[0] == voice(7)
    assert agent.frames[1] == voice(8)
    assert caller.heard[0:2] == [voice(1000)] * 2
    assert caller.heard[2] == voice(2000)[:100].ljust(FRAME_BYTES, b"\0")
    assert caller.heard[3] == SILENCE
    last = agent.of(Playout)[-1]
    assert isinstance(last, Playout)
    assert (last.played_ms, last.buffered_ms) == (43, 0)
    caller.tell(LegEnded("bye"))
    await call
    await eventually(lambda: agent.closed)
    assert agent.messages[-1].event == "stop"
    assert stage.gateway.live_calls == 0
