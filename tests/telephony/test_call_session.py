"""One call with legs in memory, a clock turned by hand and an agent behind a real socket."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

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
from telephony.recorder import KEYS_UNRECORDED_MS
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import staged, voice


async def test_the_agent_hears_the_caller_and_the_caller_the_agent() -> None:
    async with staged() as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(voice(7), voice(8))
        await stage.say(agent, voice(1000, 2) + voice(2000)[:100])
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
        await stage.say(agent, voice(5))
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
        await stage.say(agent, voice(9))
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


# --- recordings --------------------------------------------------------------------------------


async def test_a_recording_has_the_caller_left_and_what_the_caller_hears_right(
    tmp_path: Path,
) -> None:
    async with staged(recording={"enabled": True, "folder": str(tmp_path)}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(voice(5), voice(5))
        await stage.say(agent, voice(9, 1))
        await stage.clock.advance(0.04)
        recorder = stage.media().recorder
        assert recorder is not None
        recorder.pause("supervisor", "asked to")
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


async def test_a_recording_is_silent_around_keys(tmp_path: Path) -> None:
    async with staged(recording={"enabled": True, "folder": str(tmp_path)}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        caller.speak(voice(7))
        await stage.clock.advance(0.02)
        caller.tell(DigitPressed("4", 120))
        await eventually(lambda: agent.of(Dtmf))
        caller.speak(voice(8))
        await stage.clock.advance(KEYS_UNRECORDED_MS / 1000)
        caller.speak(voice(6))
        await stage.clock.advance(0.02)
        caller.tell(LegEnded("bye"))
        await stage.calls[0]
        path = tmp_path / f"{agent.start.call_id}.wav"
        with wave.open(str(path)) as file:
            both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        assert both[::320, 0].tolist() == [0] * (1 + KEYS_UNRECORDED_MS // 20) + [6]


async def test_a_recording_that_cannot_be_written_does_not_end_the_call(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    async with staged(recording={"enabled": True, "folder": str(blocked)}) as stage:
        caller = FakeLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.1)
        assert caller.heard[0] == voice(9)
