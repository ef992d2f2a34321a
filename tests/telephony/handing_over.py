"""A call brought to where a person is rung, or has the caller."""

from __future__ import annotations

import base64

from telephony.media_stream import (
    Message,
    Resume,
    Transfer,
)
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.stage import Stage, voice

URI = "sip:human@127.0.0.1:5070"
BRIEF = base64.b64encode(voice(50, 2)).decode()


def states(agent: AgentEnd) -> list[tuple[str, str]]:
    return [(m.state, m.reason) for m in agent.messages if isinstance(m, Transfer)]


def last_state(agent: AgentEnd) -> str:
    return states(agent)[-1][0] if states(agent) else ""


def handed_back(agent: AgentEnd) -> list[Message]:
    return agent.of(Resume)


async def ring_person(stage: Stage, caller: FakeLeg) -> tuple[AgentEnd, FakeLeg]:
    agent = await stage.connect(caller)
    await agent.send(Transfer(reason="asked for a person", announcement=BRIEF))
    await eventually(lambda: states(agent))
    return agent, stage.line.leg


async def bridge(stage: Stage, caller: FakeLeg) -> tuple[AgentEnd, FakeLeg]:
    agent, person = await ring_person(stage, caller)
    await person.answer()
    await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
    return agent, person
