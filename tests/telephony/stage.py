"""A gateway with a fake on every side, for tests that run whole calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from telephony.call import LegState
from telephony.call_media import CallMedia
from telephony.gateway import Gateway
from telephony.law import Disclosure, Law, RecordingRule, Rule
from telephony.media_stream import FRAME_BYTES
from telephony.prompts import PromptName, Prompts, soft_tone
from telephony.settings import GatewaySettings
from tests.telephony.fakes import AgentEnd, FakeAgent, FakeLeg, FakeLine, HandClock, eventually


def voice(value: int, frames: int = 1) -> bytes:
    """So many frames of one sample value: recognisable wherever it comes out."""
    return np.full(frames * FRAME_BYTES // 2, value, dtype="<i2").tobytes()


HOLD, TROUBLE, GOODBYE = voice(101), voice(102), voice(103)
SWITCHED, CUT_OFF, SENT = voice(104), voice(105), voice(108)
NOTICE, QUESTION = voice(106), voice(107)
UNANNOUNCED = Rule(recording=RecordingRule.UNANNOUNCED, ai_disclosure=Disclosure.WHEN_ASKED)


class Stage:
    """Clock, human line, prompts and gateway around one fake agent."""

    def __init__(
        self, agent: FakeAgent, settings: dict[str, object], law: Law | None = None
    ) -> None:
        self.agent = agent
        self.clock = HandClock()
        self.line = FakeLine()
        self.gateway = Gateway(
            GatewaySettings.model_validate(
                {"agent": {"url": agent.url}, "kill_switch": "no/such/switch.json", **settings}
            ),
            dial=self.line.dial,
            clock=self.clock,
            prompts=Prompts(
                {
                    PromptName.HOLD: [HOLD],
                    PromptName.TROUBLE: [TROUBLE],
                    PromptName.GOODBYE: [GOODBYE],
                    PromptName.SWITCHED: [SWITCHED],
                    PromptName.CUT_OFF: [CUT_OFF],
                    PromptName.NOTICE: [NOTICE] * 3,
                    PromptName.CONSENT: [QUESTION] * 3,
                    PromptName.SENT: [SENT],
                },
                soft_tone(),
            ),
            law=law or Law(otherwise=UNANNOUNCED),
        )
        self.calls: list[asyncio.Task[None]] = []

    def ring(self, caller: FakeLeg) -> asyncio.Task[None]:
        """The caller rings; the task is the call."""
        task = asyncio.ensure_future(self.gateway.take(caller))
        self.calls.append(task)
        return task

    async def connect(self, caller: FakeLeg) -> AgentEnd:
        """The caller rings and is answered by the agent."""
        self.ring(caller)
        agent = await self.agent.stream(len(self.agent.streams) + 1)
        await eventually(lambda: caller.state is LegState.ANSWERED)
        return agent

    async def say(self, agent: AgentEnd, audio: bytes) -> None:
        """The agent speaks for the first time; returns once the gateway has it."""
        await agent.say(audio)
        await eventually(lambda: self.media().agent_spoke)

    def media(self) -> CallMedia:
        """The audio of the only call."""
        (session,) = self.gateway.calls.values()
        return session.media

    async def close(self) -> None:
        await self.gateway.close()
        await asyncio.gather(*self.calls)


@asynccontextmanager
async def staged(law: Law | None = None, /, **settings: object) -> AsyncIterator[Stage]:
    """A stage with its own agent, torn down afterwards."""
    async with FakeAgent() as agent:
        stage = Stage(agent, settings, law)
        try:
            yield stage
        finally:
            await stage.close()
