"""Backlog, pacing and conversion between a call's frames and a browser's sound."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av import AudioFrame, CodecContext

from telephony.audio import SILENCE
from telephony.media_stream import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ
from telephony.webrtc_audio import (
    LIMIT_FRAMES,
    FrameBacklog,
    PacedTrack,
    PacketOrder,
    SoundDecoder,
)
from tests.telephony.webrtc_peer import loudest_hz, tone


def frame(value: int) -> bytes:
    return np.full(FRAME_SAMPLES, value, dtype="<i2").tobytes()


def decoded(pcm: bytes, rate_hz: int, layout: str) -> AudioFrame:
    samples = np.frombuffer(pcm, dtype="<i2")
    if layout == "stereo":
        samples = np.repeat(samples, 2)
    out = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    out.sample_rate = rate_hz
    out.time_base = Fraction(1, rate_hz)
    return out


def test_an_empty_backlog_gives_nothing() -> None:
    assert FrameBacklog().take() is None


def test_frames_come_out_in_order_whatever_sizes_went_in() -> None:
    backlog = FrameBacklog()
    audio = b"".join(frame(n) for n in range(1, 5))
    for start in range(0, len(audio), 222):
        backlog.put(audio[start : start + 222])
    assert [backlog.take() for _ in range(5)] == [frame(1), frame(2), frame(3), frame(4), None]


def test_a_full_backlog_drops_the_oldest() -> None:
    backlog = FrameBacklog()
    for n in range(LIMIT_FRAMES + 3):
        backlog.put(frame(n))
    assert len(backlog) == LIMIT_FRAMES
    assert (backlog.take() or b"")[-320:] == frame(3)[-320:]
    assert backlog.dropped_frames == 3


@pytest.mark.parametrize("level", [0, 5000])
def test_a_standing_backlog_is_worked_off_in_quiet_or_at_last_anyway(level: int) -> None:
    backlog = FrameBacklog()
    for _ in range(6):
        backlog.put(frame(level))
    for _ in range(8 * FrameBacklog.WINDOW_FRAMES):
        assert backlog.take() is not None
        backlog.put(frame(level))
    assert len(backlog) <= FrameBacklog.NEEDED_FRAMES + 1


def hummed(frames: int, hz: float = 317.0) -> list[bytes]:
    """A tone that fits no frame, so that two which do not follow each other never join smoothly."""
    at = np.arange(frames * FRAME_SAMPLES) / SAMPLE_RATE_HZ
    tone = np.rint(8_000 * np.sin(2 * np.pi * hz * at)).astype("<i2")
    return [part.tobytes() for part in tone.reshape(-1, FRAME_SAMPLES)]


def bend(frames: list[bytes]) -> float:
    """How sharply the sound turns at its sharpest."""
    return float(np.abs(np.diff(np.frombuffer(b"".join(frames), "<i2").astype(float), 2)).max())


def test_nothing_clicks_where_a_standing_backlog_is_worked_off() -> None:
    backlog = FrameBacklog()
    coming = hummed(8 * FrameBacklog.WINDOW_FRAMES)
    for each in coming[:6]:
        backlog.put(each)
    heard = []
    for each in coming[6:]:
        heard.append(backlog.take() or b"")
        backlog.put(each)
    assert backlog.dropped_frames > 0
    assert bend(heard) < 3 * bend(coming)


def test_nothing_clicks_where_too_much_came_at_once() -> None:
    backlog = FrameBacklog()
    coming = hummed(3 * LIMIT_FRAMES)
    backlog.put(b"".join(coming[:2]))
    heard = [backlog.take() or b"", backlog.take() or b""]
    backlog.put(b"".join(coming[2:]))
    while (each := backlog.take()) is not None:
        heard.append(each)
    assert len(heard) == 2 + LIMIT_FRAMES
    assert bend(heard) < 3 * bend(coming)


def test_a_backlog_that_jitter_needs_is_kept() -> None:
    backlog = FrameBacklog()
    for _ in range(4 * FrameBacklog.WINDOW_FRAMES):
        backlog.put(frame(0) * 4)
        for _ in range(4):
            assert backlog.take() is not None
    assert backlog.dropped_frames == 0


@pytest.mark.parametrize(
    ("rate_hz", "layout"), [(48_000, "stereo"), (48_000, "mono"), (8_000, "mono")]
)
def test_decoded_sound_keeps_its_pitch_and_length(rate_hz: int, layout: str) -> None:
    decoder = SoundDecoder()
    size = rate_hz // 50
    audio = b"".join(
        decoder.convert(decoded(tone(440, size, rate_hz, n * size), rate_hz, layout))
        for n in range(50)
    )
    assert len(audio) == 2 * SAMPLE_RATE_HZ
    assert abs(loudest_hz(audio[SAMPLE_RATE_HZ // 2 :], SAMPLE_RATE_HZ) - 440) < 5


@pytest.mark.parametrize(
    ("arriving", "decoded_numbers"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 3, 4], [1, 3, 4]),
        ([1, 3, 2, 4], [1, 3, 4]),
        ([1, 1, 2], [1, 2]),
        ([65_534, 65_535, 0, 1], [65_534, 65_535, 0, 1]),
        ([65_535, 0, 65_534, 1], [65_535, 0, 1]),
        ([40_000, 40_001, 7, 8], [40_000, 40_001, 7, 8]),
    ],
    ids=[
        "in order",
        "lost",
        "overtaken",
        "twice",
        "wrapping",
        "overtaken at the wrap",
        "restarted",
    ],
)
def test_packets_are_decoded_as_they_come_and_never_backwards(
    arriving: list[int], decoded_numbers: list[int]
) -> None:
    order = PacketOrder()
    decoded_now: list[int] = []
    for number in arriving:
        packet = RtpPacket(sequence_number=number, timestamp=number)
        packet._data = b"opus"  # type: ignore[attr-defined]
        _, frame = order.add(packet)
        if frame is not None:
            decoded_now.append(frame.timestamp)
    assert decoded_now == decoded_numbers


async def test_queued_frames_go_out_in_order_and_count_as_unsent_until_then() -> None:
    track = PacedTrack()
    track.push(frame(1000))
    track.push(frame(2000))
    assert track.unsent_ms == 40
    assert await track.next_frame() == frame(1000)
    assert track.unsent_ms == 20
    assert await track.next_frame() == frame(2000)
    assert track.unsent_ms == 0


async def test_silence_goes_out_when_nothing_is_queued() -> None:
    assert await PacedTrack().next_frame() == SILENCE


async def test_a_frame_that_is_a_little_late_is_waited_for() -> None:
    track = PacedTrack()
    waiting = asyncio.create_task(track.next_frame())
    await asyncio.sleep(0)
    track.push(frame(1000))
    assert await waiting == frame(1000)


async def test_cleared_frames_are_never_sent() -> None:
    track = PacedTrack()
    for _ in range(5):
        track.push(frame(1000))
    track.clear()
    assert track.unsent_ms == 0
    assert await track.next_frame() == SILENCE


async def test_a_full_queue_drops_the_oldest() -> None:
    track = PacedTrack()
    for n in range(LIMIT_FRAMES + 2):
        track.push(frame(n))
    assert track.unsent_ms == LIMIT_FRAMES * 20
    assert track.dropped_frames == 2
    assert (await track.next_frame())[-320:] == frame(2)[-320:]


async def test_what_goes_out_is_opus_with_a_steady_clock() -> None:
    track = PacedTrack()
    decoder = CodecContext.create("libopus", "r")
    decoder.layout, decoder.format, decoder.sample_rate = "mono", "s16", 48_000
    heard = b""
    for n in range(25):
        track.push(tone(440, FRAME_SAMPLES, SAMPLE_RATE_HZ, n * FRAME_SAMPLES))
        packet = await track.recv()
        assert (packet.pts, Fraction(packet.time_base)) == (n * 320, Fraction(1, 16_000))
        heard += b"".join(sound.to_ndarray().tobytes() for sound in decoder.decode(packet))
    assert abs(loudest_hz(heard[len(heard) // 2 :], 48_000) - 440) < 10


async def test_a_stopped_track_ends() -> None:
    track = PacedTrack()
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


def test_frames_are_the_media_streams() -> None:
    assert len(frame(0)) == FRAME_BYTES
