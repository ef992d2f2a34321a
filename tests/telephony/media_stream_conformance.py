"""What the media stream's contract asks of a gateway, as checks any gateway can be held to.

A gateway under test is driven through ``GatewayUnderTest``; the agent's end is ``FakeAgent``, a
real WebSocket server. Each check takes both and asserts; ``CHECKS`` lists them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import numpy as np

from telephony.media_stream import (
    FRAME_BYTES,
    FRAME_MS,
    SAMPLE_RATE_HZ,
    VERSION,
    Clear,
    Cleared,
    Dtmf,
    Mark,
    Playout,
    Start,
    Stop,
    Transfer,
)
from tests.telephony.fakes import AgentEnd, FakeAgent, eventually


class GatewayUnderTest(Protocol):
    """One caller at one gateway that was configured with the fake agent's URL."""

    async def ring(self) -> None:
        """The caller rings; returns once the call is answered."""

    def speak(self, frames: list[bytes]) -> None:
        """The caller's next frames, as the gateway will receive them."""

    def press(self, digit: str) -> None:
        """The caller presses a key."""

    async def hang_up(self) -> None:
        """The caller hangs up; returns once the gateway is done with the call."""

    async def pass_time(self, ms: int) -> None:
        """So much audio time passes."""

    def heard(self) -> bytes:
        """All the caller has heard, in the stream's format."""

    def line_up(self) -> bool:
        """The caller's leg has not ended."""


Check: TypeAlias = Callable[[GatewayUnderTest, FakeAgent], Awaitable[None]]


def constant(value: int, frames: int = 1) -> bytes:
    return np.full(frames * FRAME_BYTES // 2, value, "<i2").tobytes()


async def connected(gateway: GatewayUnderTest, agent: FakeAgent) -> AgentEnd:
    await gateway.ring()
    return await agent.stream()


async def passed(gateway: GatewayUnderTest, stream: AgentEnd, ms: int) -> None:
    """Time passes, and what it brings has reached the agent."""
    wanted = len(stream.frames) + ms // FRAME_MS
    await gateway.pass_time(ms)
    await eventually(lambda: len(stream.frames) >= wanted)


async def starts_with_start(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    assert isinstance(stream.items[0], Start)
    assert stream.start.call_id
    assert not stream.start.resumed
    assert stream.start.sample_rate_hz == SAMPLE_RATE_HZ
    assert stream.start.version == VERSION


async def sends_one_frame_every_20_ms(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await passed(gateway, stream, 2_000)
    assert len(stream.frames) == 100
    assert {len(frame) for frame in stream.frames} == {FRAME_BYTES}


async def fills_what_the_caller_does_not_send(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    gateway.speak([constant(500)])
    await passed(gateway, stream, 500)
    assert stream.frames[0] == constant(500)
    assert len(stream.frames) == 25
    assert stream.frames[-1] == bytes(FRAME_BYTES)


async def paces_audio_sent_all_at_once(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    for part in (7, 640, 3_201, 2, 12_150):
        await stream.say(constant(900)[:2] * part)
    await stream.send(Mark("end"))
    while Mark("end") not in stream.messages:
        await passed(gateway, stream, 20)
    samples = np.frombuffer(gateway.heard(), "<i2")
    sound = np.flatnonzero(samples)
    assert len(sound) == 16_000
    assert sound[-1] - sound[0] == 15_999


async def reports_what_was_played(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.say(constant(900, 50))
    await stream.send(Mark("end"))
    while Mark("end") not in stream.messages:
        await passed(gateway, stream, 20)
    await passed(gateway, stream, 200)
    reports = [item for item in stream.messages if isinstance(item, Playout)]
    assert 10 <= len(reports) <= 12
    played = [report.played_ms for report in reports]
    assert played == sorted(played)
    assert (reports[-1].played_ms, reports[-1].buffered_ms) == (1_000, 0)
    assert all(r.played_ms + r.buffered_ms == 1_000 for r in reports)
    clocks = [report.at_ms for report in reports]
    assert all(at_ms % FRAME_MS == 0 for at_ms in clocks)
    assert clocks == sorted(clocks)


async def clears_at_once(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.say(constant(900, 50))
    await stream.send(Mark("never heard in full"))
    while not any(np.frombuffer(gateway.heard(), "<i2")):
        await passed(gateway, stream, 20)
    await passed(gateway, stream, 100)
    await stream.send(Clear())
    await eventually(lambda: stream.of(Cleared))
    (cleared,) = stream.of(Cleared)
    assert isinstance(cleared, Cleared)
    assert cleared.played_ms + cleared.dropped_ms == 1_000
    assert 0 < cleared.played_ms < 1_000
    assert Mark("never heard in full") in stream.messages
    await passed(gateway, stream, 200)
    assert np.count_nonzero(np.frombuffer(gateway.heard(), "<i2")) == cleared.played_ms * 16


async def plays_what_comes_after_a_clear(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.say(constant(900, 50))
    await stream.send(Clear())
    await stream.say(constant(700, 5))
    await stream.send(Mark("end"))
    while Mark("end") not in stream.messages:
        await passed(gateway, stream, 20)
    samples = np.frombuffer(gateway.heard(), "<i2")
    assert np.count_nonzero(samples == 700) == 5 * FRAME_BYTES // 2


async def answers_a_clear_of_nothing(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.send(Clear())
    await eventually(lambda: stream.of(Cleared))
    assert stream.of(Cleared) == [Cleared(0, 0, 0)]


async def echoes_marks_in_order(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    for name in ("a", "b", "c"):
        await stream.say(constant(900, 2))
        await stream.send(Mark(name))
    while len(stream.of(Mark)) < 3:
        await passed(gateway, stream, 20)
    assert stream.of(Mark) == [Mark("a"), Mark("b"), Mark("c")]


async def passes_on_keys(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    gateway.press("#")
    await eventually(lambda: stream.of(Dtmf))
    (key,) = stream.of(Dtmf)
    assert isinstance(key, Dtmf)
    assert key.digit == "#"


async def says_stop_when_the_caller_hangs_up(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await gateway.hang_up()
    await eventually(lambda: stream.closed)
    assert isinstance(stream.messages[-1], Stop)
    assert stream.messages[-1].reason


async def hangs_up_when_the_agent_has_said_its_last_word(
    gateway: GatewayUnderTest, agent: FakeAgent
) -> None:
    stream = await connected(gateway, agent)
    await stream.say(constant(900, 25))
    await stream.send(Stop("done"))
    for _ in range(200):
        if not gateway.line_up():
            break
        await gateway.pass_time(20)
    assert not gateway.line_up()
    assert np.count_nonzero(np.frombuffer(gateway.heard(), "<i2")) == 8_000


async def answers_a_transfer_it_cannot_make(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.send(Transfer(target="sip:+19005550100@premium.example"))
    await eventually(lambda: stream.of(Transfer))
    (reply,) = stream.of(Transfer)
    assert isinstance(reply, Transfer)
    assert reply.state == "failed"
    assert reply.reason
    assert gateway.line_up()


async def survives_what_it_does_not_know(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.socket.send_str('{"event": "from a later version", "field": [1, 2]}')
    await stream.socket.send_str("text where audio belongs")
    await stream.socket.send_str('{"event": "mark", "name": 7}')
    await stream.socket.send_bytes(b"odd")
    await stream.socket.send_bytes(b"")
    await stream.say(constant(900, 5))
    await stream.send(Mark("still here"))
    while Mark("still here") not in stream.messages:
        await passed(gateway, stream, 20)
    assert np.count_nonzero(np.frombuffer(gateway.heard(), "<i2")) == 1_600


async def keeps_the_caller_when_the_agent_dies(gateway: GatewayUnderTest, agent: FakeAgent) -> None:
    stream = await connected(gateway, agent)
    await stream.say(constant(900, 5))
    await stream.send(Mark("greeted"))
    while Mark("greeted") not in stream.messages:
        await passed(gateway, stream, 20)
    stream.die()
    for _ in range(1_000):
        if len(agent.streams) == 2:
            break
        await gateway.pass_time(20)
    again = await agent.stream(2)
    assert again.start.resumed
    assert again.start.call_id == stream.start.call_id
    assert gateway.line_up()


CHECKS: list[Check] = [
    starts_with_start,
    sends_one_frame_every_20_ms,
    fills_what_the_caller_does_not_send,
    paces_audio_sent_all_at_once,
    reports_what_was_played,
    clears_at_once,
    plays_what_comes_after_a_clear,
    answers_a_clear_of_nothing,
    echoes_marks_in_order,
    passes_on_keys,
    says_stop_when_the_caller_hangs_up,
    hangs_up_when_the_agent_has_said_its_last_word,
    answers_a_transfer_it_cannot_make,
    survives_what_it_does_not_know,
    keeps_the_caller_when_the_agent_dies,
]
