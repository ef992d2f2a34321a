"""Calls whose agent dies, is silent, sends garbage or cannot be had: nobody is left alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from telephony.agent_link import AgentStream
from telephony.audio import SILENCE
from telephony.call import LegEnded, LegState
from telephony.media_stream import (
    Clear,
    Cleared,
    Mark,
    Note,
    Start,
)
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import GOODBYE, HOLD, TROUBLE, staged, voice


async def test_an_agent_that_dies_in_mid_sentence_is_replaced_and_told_so() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 3))
        await agent.send(Note("turn", {"turn_id": "t3", "index": 3}))
        await stage.clock.advance(0.3)
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)
        assert caller.heard[:3] == [voice(9)] * 3
        second = await stage.agent.stream(2)
        assert second.start.resumed
        assert second.start.call_id == agent.start.call_id
        assert (agent.start.turns, agent.start.elapsed_ms) == (0, 0)
        assert second.start.turns == 3
        assert second.start.elapsed_ms >= 200, "as long as the caller has been on the line"
        assert stage.gateway.live_calls == 1


async def test_an_agent_that_dies_before_its_first_word_is_replaced_as_if_new() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)
        assert not (await stage.agent.stream(2)).start.resumed


async def test_while_agents_are_sought_the_caller_hears_the_hold_prompt() -> None:
    async with staged(agent={"url": "ws://127.0.0.1:9/media", "attempts": 3}) as stage:
        caller = FakeLeg()
        stage.ring(caller)
        await eventually(lambda: caller.state is LegState.ANSWERED)
        await stage.clock.advance(0.04)
        assert caller.heard[0] == HOLD


async def test_the_hold_prompt_lasts_until_the_new_agents_first_word() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        stage.agent.refuse_with = 503
        stage.ring(caller)
        await eventually(lambda: caller.state is LegState.ANSWERED)
        stage.agent.refuse_with = None
        await stage.clock.advance_until(lambda: stage.agent.streams)
        agent = await stage.agent.stream()
        await stage.clock.advance(4.0)
        assert any(frame != SILENCE for frame in caller.heard[-150:])
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.04)
        assert caller.heard[-1] == voice(9)


@pytest.mark.parametrize("status", [503, 500, 401, 404])
async def test_without_an_agent_a_person_is_rung_and_bridged(status: int) -> None:
    async with staged() as stage:
        caller = FakeLeg()
        stage.agent.refuse_with = status
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.line.rung)
        assert stage.agent.attempts == (3 if status in (503, 500) else 1)
        uri, headers, person = stage.line.rung[0]
        assert uri == "sip:human@127.0.0.1:5070"
        call_id = next(iter(stage.gateway.calls))
        assert headers == {"X-Call-ID": call_id, "X-Handoff-Reason": "no_agent"}
        await stage.clock.advance(0.1)
        assert TROUBLE in caller.heard
        await person.answer()
        await stage.clock.advance(0.1)
        caller.speak(voice(1))
        person.speak(voice(2))
        await stage.clock.advance(0.02)
        assert (caller.heard[-1], person.heard[-1]) == (voice(2), voice(1))


async def test_when_nobody_is_there_the_caller_hears_goodbye() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        stage.agent.refuse_with = 401
        stage.ring(caller)
        await stage.clock.advance_until(lambda: stage.line.rung)
        stage.line.leg.tell(LegEnded("busy", 486))
        await stage.clock.advance_until(lambda: stage.calls[0].done())
        assert GOODBYE in caller.heard
        assert caller.hung_up == ["nobody_available"]


async def test_an_agent_that_crashes_again_and_again_is_given_up() -> None:
    async with staged() as stage:
        stage.ring(FakeLeg())
        for number in (1, 2, 3):
            await stage.clock.advance_until(lambda n=number: len(stage.agent.streams) == n)
            (await stage.agent.stream(number)).die()
        await stage.clock.advance_until(lambda: stage.line.rung)
        assert len(stage.agent.streams) == 3


async def test_an_agent_that_says_nothing_at_all_is_given_up() -> None:
    async with staged() as stage:
        await stage.connect(FakeLeg())
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)


async def test_an_agent_that_stops_reading_is_given_up() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        await stage.say(agent, voice(1))
        agent.reading.clear()
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2, limit_s=600.0)
        agent.reading.set()


async def test_an_agent_that_accepts_and_never_shakes_hands_is_given_up() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media"
    link = {"url": url, "attempts": 1, "connect_timeout_s": 0.05}
    async with server, staged(agent=link) as stage:
        stage.ring(FakeLeg())
        await eventually(lambda: stage.line.rung)


@pytest.mark.parametrize(
    "garbage",
    [
        "not json",
        "[]",
        '{"event": "mark"}',
        '{"event": "start", "call_id": "x"}',
        '{"event": "dtmf", "digit": "1\r\n2"}',
        b"odd",
    ],
)
async def test_garbage_is_counted_and_in_the_end_closes_the_stream(garbage: str | bytes) -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        for _ in range(4):
            await _send_raw(agent.socket, garbage)
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.02)
        assert caller.heard == [voice(9)]
        await _send_raw(agent.socket, garbage)
        await eventually(lambda: agent.closed)
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)


async def test_a_message_too_large_closes_the_stream_but_not_the_call() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        with suppress(ConnectionError):
            await agent.say(bytes(5 * 1024 * 1024))
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)
        assert stage.gateway.live_calls == 1


async def test_events_of_a_later_version_are_ignored() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        for _ in range(20):
            await agent.socket.send_str('{"event": "telepathy"}')
        await stage.say(agent, voice(9))
        stream = stage.media().stream
        assert stream is not None
        assert stream.breaches == 0


async def test_ten_minutes_of_audio_at_once_are_bounded_and_can_be_cleared() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        minute = voice(3, 60 * 50)
        for _ in range(10):
            await agent.say(minute)
        await agent.send(Mark("all said"))
        await agent.send(Clear())
        await eventually(lambda: agent.of(Cleared))
        assert agent.of(Cleared) == [Cleared(played_ms=0, dropped_ms=120_000, at_ms=0)]
        assert agent.of(Mark) == [Mark("all said")]
        await agent.say(voice(4))
        await eventually(lambda: stage.media().buffered_ms)
        await stage.clock.advance(0.02)
        assert caller.heard == [voice(4)]


async def _send_raw(socket: object, data: str | bytes) -> None:
    if isinstance(data, str):
        await socket.send_str(data)  # type: ignore[attr-defined]
    else:
        await socket.send_bytes(data)  # type: ignore[attr-defined]


async def test_an_agent_that_comes_as_the_call_ends_is_not_left_behind() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        connect = stage.gateway._link.connect

        async def connect_too_late(start: Start) -> AgentStream:
            stream = await connect(start)
            (session,) = stage.gateway.calls.values()
            session.end("caller_hung_up")
            return stream

        stage.gateway._link.connect = connect_too_late  # type: ignore[method-assign]
        await stage.ring(caller)
        await eventually(lambda: stage.agent.streams[0].closed)
