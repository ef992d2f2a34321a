"""One call with legs in memory, a clock turned by hand and an agent behind a real socket."""

from __future__ import annotations

import asyncio
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from telephony.audio import SILENCE
from telephony.call import DigitPressed, HoldChanged, LegEnded, LegState
from telephony.media_stream import (
    FRAME_BYTES,
    SAMPLE_RATE_HZ,
    Caption,
    Clear,
    Cleared,
    Dtmf,
    Mark,
    Playout,
    Start,
    Stop,
)
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import GOODBYE, HOLD, TROUBLE, staged, voice


async def test_the_agent_hears_the_caller_and_the_caller_the_agent() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(voice(7), voice(8))
        await agent.say(voice(1000, 2) + voice(2000)[:100])
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.2)
        await eventually(lambda: len(agent.frames) == 10)
        assert agent.frames[:2] == [voice(7), voice(8)]
        assert caller.heard[:2] == [voice(1000)] * 2
        assert caller.heard[2] == voice(2000)[:100].ljust(FRAME_BYTES, b"\0")
        assert len(caller.heard) == 3
        last = agent.of(Playout)[-1]
        assert isinstance(last, Playout)
        assert (last.played_ms, last.buffered_ms) == (43, 0)


async def test_the_stream_begins_with_who_is_calling() -> None:
    async with staged() as stage:
        leg = FakeLeg(kind="webrtc", remote="web", dialled="support")
        agent = await stage.connect(leg)
        (session,) = stage.gateway.calls.values()
        assert agent.start == Start(
            session.call_id, leg.leg_id, "web", "support", "webrtc", resumed=False
        )
        assert session.call_id


async def test_the_token_from_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "letters")
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        assert agent.authorization == "Bearer letters"


async def test_the_caller_is_answered_only_once_the_agent_is_there() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        stage.ring(caller)
        assert caller.state is LegState.RINGING
        await eventually(lambda: caller.state is LegState.ANSWERED)
        assert stage.agent.attempts == 1


async def test_words_said_before_the_answer_wait_for_it() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        caller.answers = False
        stage.ring(caller)
        agent = await stage.agent.stream()
        await agent.say(voice(5))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(1.0)
        assert agent.frames == []
        caller.answers = True
        await caller.answer()
        await stage.clock.advance(0.1)
        assert caller.heard[0] == voice(5)


async def test_a_leg_that_never_gets_media_is_given_up() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        caller.answers = False
        call = stage.ring(caller)
        await stage.agent.stream()
        await stage.clock.advance(16.0)
        await call
        assert caller.hung_up == ["answer_failed"]


async def test_the_agents_stop_ends_the_call_after_its_last_word() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.say(voice(9, 10))
        await agent.send(Stop("done"))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.2)
        assert stage.gateway.live_calls == 1
        await stage.clock.advance(0.3)
        await stage.calls[0]
        assert caller.hung_up == ["agent_hung_up"]
        assert caller.heard_audio.startswith(voice(9, 10))
        await eventually(lambda: agent.closed)
        assert agent.messages[-1] == Stop("agent_hung_up")


async def test_the_agents_stop_holds_though_it_leaves_before_its_last_word_is_heard() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.say(voice(9, 10))
        await agent.send(Stop())
        await agent.leave()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance(1.0)
        await stage.calls[0]
        assert caller.heard_audio.startswith(voice(9, 10))
        assert len(stage.agent.streams) == 1


async def test_clear_stops_the_sound_in_the_buffer_and_in_the_leg() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.holds_back_ms = 60
        await agent.say(voice(9, 50))
        await agent.send(Mark("end"))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.2)
        await agent.send(Clear())
        await eventually(lambda: agent.of(Cleared))
        assert agent.of(Cleared) == [Cleared(played_ms=140, dropped_ms=860, at_ms=200)]
        assert agent.of(Mark) == [Mark("end")]
        assert caller.flushes == 1
        assert len(caller.heard) == 7
        await stage.clock.advance(0.1)
        assert len(caller.heard) == 7


async def test_a_mark_comes_back_when_its_audio_is_on_the_wire() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.holds_back_ms = 40
        await agent.say(voice(9, 2))
        await agent.send(Mark("first"))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.06)
        assert agent.of(Mark) == []
        caller.holds_back_ms = 0
        await stage.clock.advance(0.02)
        await eventually(lambda: agent.of(Mark))
        assert agent.of(Mark) == [Mark("first")]


async def test_keys_travel_both_ways_and_captions_reach_the_screen() -> None:
    async with staged() as stage:
        caller = FakeLeg(kind="webrtc")
        agent = await stage.connect(caller)
        caller.tell(DigitPressed("5", 120))
        await eventually(lambda: agent.of(Dtmf))
        assert agent.of(Dtmf) == [Dtmf("5", 120)]
        await agent.send(Dtmf("9"))
        await agent.send(Caption("agent", "a1", "Hello", final=False))
        await eventually(lambda: caller.digits and caller.captions)
        assert caller.digits == ["9"]
        assert caller.captions == [("agent", "a1", "Hello", False)]


async def test_on_hold_the_agents_clock_goes_on_and_its_words_wait() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.tell(HoldChanged(True))
        await eventually(lambda: stage.media().caller_held)
        await agent.say(voice(9))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(1.0)
        await eventually(lambda: len(agent.frames) == 50)
        assert voice(9) not in caller.heard
        caller.tell(HoldChanged(False))
        await eventually(lambda: not stage.media().caller_held)
        await stage.clock.advance(0.02)
        assert caller.heard[-1] == voice(9)


async def test_after_a_stall_no_frame_is_owed_and_none_comes_in_a_burst() -> None:
    async with staged() as stage:
        agent = await stage.connect(FakeLeg())
        await stage.clock.advance(0.1)
        stage.clock.jump(0.2)
        await stage.clock.advance(0.02)
        assert stage.media().stream is not None
        await stage.clock.advance(0.2)
        await eventually(lambda: len(agent.frames) == 26)


# --- agents that fail --------------------------------------------------------------------------


async def test_an_agent_that_dies_in_mid_sentence_is_replaced_and_told_so() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.say(voice(9, 3))
        await eventually(lambda: stage.media().agent_spoke)
        agent.die()
        await eventually(lambda: stage.media().stream is None)
        await stage.clock.advance_until(lambda: len(stage.agent.streams) == 2)
        assert caller.heard[:3] == [voice(9)] * 3
        second = await stage.agent.stream(2)
        assert second.start.resumed
        assert second.start.call_id == agent.start.call_id
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
        await agent.say(voice(9))
        await eventually(lambda: stage.media().agent_spoke)
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
        assert headers == {"X-Call-ID": next(iter(stage.gateway.calls))}
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
        await agent.say(voice(1))
        await eventually(lambda: stage.media().agent_spoke)
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
        await agent.say(voice(9))
        await eventually(lambda: stage.media().agent_spoke)
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
        await agent.say(voice(9))
        await eventually(lambda: stage.media().agent_spoke)
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


# --- who is let in, and how a gateway stops ----------------------------------------------------


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


# --- recordings --------------------------------------------------------------------------------


async def test_a_recording_has_the_caller_left_and_what_the_caller_hears_right(
    tmp_path: Path,
) -> None:
    async with staged(recording={"enabled": True, "folder": str(tmp_path)}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(voice(5), voice(5))
        await agent.say(voice(9, 1))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.04)
        recording = stage.media().recording
        assert recording is not None
        recording.paused = True
        caller.speak(voice(6))
        await stage.clock.advance(0.02)
        caller.tell(LegEnded("bye"))
        await stage.calls[0]
        path = tmp_path / f"{agent.start.call_id}.wav"
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, SAMPLE_RATE_HZ)
            both = np.frombuffer(file.readframes(10_000), "<i2").reshape(-1, 2)
        assert both[:320].tolist() == [[5, 9]] * 320
        assert both[320:640].tolist() == [[5, 0]] * 320
        assert not both[640:].any()
        assert len(both) == 960


async def test_a_recording_that_cannot_be_written_does_not_end_the_call(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with staged(recording={"enabled": True, "folder": str(blocked)}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await agent.say(voice(9))
        await eventually(lambda: stage.media().agent_spoke)
        await stage.clock.advance(0.1)
        assert caller.heard[0] == voice(9)
