"""The audio of a SIP leg against a stack made by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from baresip import AudioNotActive, AudioRestarted

from telephony.media_stream import FRAME_BYTES
from telephony.sip_audio import ENOUGH_UNSENT_MS, MAX_BACKLOG_MS, SipAudio

LOUD = b"\x00\x10" * (FRAME_BYTES // 2)
QUIET = bytes(FRAME_BYTES)


@dataclass
class Form:
    tx_ready: bool = True
    rx_ready: bool = True
    tx_sample_rate: int = 8_000
    tx_channels: int = 1
    rx_sample_rate: int = 8_000
    rx_channels: int = 1
    tx_buffered: int = 0


class HandMadeStreams:
    """A stack whose clock only the test turns. ``error`` is raised by the next operation."""

    def __init__(self, form: Form | None = None, room: int = 1 << 20) -> None:
        self.form = form or Form()
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.wire = bytearray()
        self.flush_asked = False
        self.error: Exception | None = None
        self.room = room

    def _trip(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error

    def info(self) -> Form:
        self._trip()
        self.form.tx_buffered = len(self.outgoing)
        return self.form

    def read(self, max_bytes: int) -> bytes:
        self._trip()
        taken = bytes(self.incoming[:max_bytes])
        del self.incoming[:max_bytes]
        return taken

    def write(self, pcm: bytes) -> int:
        self._trip()
        accepted = min(len(pcm), self.room - len(self.outgoing))
        self.outgoing += pcm[:accepted]
        return accepted

    def flush_tx(self) -> None:
        self._trip()
        self.flush_asked = True

    def tick(self) -> None:
        """The stack's next packet: as the real one, a flush takes what was written after it too."""
        if self.flush_asked:
            self.outgoing.clear()
            self.flush_asked = False
        packet = 2 * self.form.tx_sample_rate * self.form.tx_channels // 50
        self.wire += self.outgoing[:packet]
        del self.outgoing[:packet]

    def arrive(self, ms: int) -> None:
        self.incoming += b"\x00\x08" * (
            self.form.rx_sample_rate * self.form.rx_channels * ms // 1000
        )


def test_what_arrives_comes_out_in_frames_of_the_stream() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    streams.arrive(60)
    frames = [audio.receive_frame() for _ in range(4)]
    assert [frame and len(frame) for frame in frames] == [FRAME_BYTES] * 3 + [None]
    assert np.frombuffer(frames[2] or b"", "<i2")[-50:].mean() == pytest.approx(2_048, rel=0.02)


def test_nothing_arrived_gives_none() -> None:
    assert SipAudio(HandMadeStreams()).receive_frame() is None


def test_a_backlog_beyond_the_limit_is_cut_so_live_stays_live() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    streams.arrive(390)
    frames = 0
    while audio.receive_frame():
        frames += 1
    assert frames * 20 <= MAX_BACKLOG_MS
    assert audio.cut_ms >= 180


def test_a_backlog_that_never_runs_dry_is_cut_after_a_second() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    streams.arrive(120)
    for _ in range(120):
        streams.arrive(20)
        assert audio.receive_frame()
    assert 60 <= audio.cut_ms <= 120


@pytest.mark.parametrize("burst_ms", [390, 120])
def test_nothing_clicks_where_a_backlog_is_cut(burst_ms: int) -> None:
    at = np.arange(4 * 8_000) / 8_000
    tone = np.rint(8_000 * np.sin(2 * np.pi * 317 * at)).astype("<i2").tobytes()
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    heard = b""
    sizes = [20] * 20 + [burst_ms] + [20] * 120
    for ms in sizes:
        streams.incoming += tone[: ms * 16]
        tone = tone[ms * 16 :]
        heard += audio.receive_frame() or b""
    assert audio.cut_ms > 0
    settled = np.frombuffer(heard, "<i2").astype(float)[FRAME_BYTES:]
    sharpest = np.abs(np.diff(settled, 2))
    assert sharpest.max() < 3 * sharpest[:2_000].max()


def test_packets_that_come_in_pairs_are_not_cut() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    for _ in range(150):
        streams.arrive(40)
        audio.receive_frame()
        audio.receive_frame()
    assert audio.cut_ms == 0


def test_a_frame_into_a_dry_buffer_is_led_by_a_frame_of_silence() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD)
    assert len(streams.outgoing) == 2 * 320
    assert audio.unsent_ms == 40
    audio.send_frame(LOUD)
    assert audio.unsent_ms == 60


def test_silence_is_not_piled_up() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    for _ in range(20):
        audio.send_frame(QUIET)
    assert audio.unsent_ms <= ENOUGH_UNSENT_MS + 20
    for _ in range(5):
        audio.send_frame(LOUD)
    assert audio.unsent_ms >= 100 + ENOUGH_UNSENT_MS


def test_a_flush_forgets_at_once_and_keeps_what_is_sent_after_it() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    for _ in range(5):
        audio.send_frame(LOUD)
    audio.flush()
    assert audio.unsent_ms == 0
    audio.send_frame(LOUD)
    assert audio.unsent_ms == 20
    streams.tick()
    assert audio.unsent_ms == 40
    assert not streams.wire
    streams.tick()
    streams.tick()
    assert np.frombuffer(bytes(streams.wire), "<i2").max() > 3_000


def test_a_flush_of_nothing_delays_nothing() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.flush()
    audio.send_frame(LOUD)
    assert audio.unsent_ms == 40


def test_a_stack_that_never_flushes_costs_bounded_memory() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD)
    audio.flush()
    for _ in range(1_000):
        audio.send_frame(LOUD)
    assert audio.unsent_ms <= 200


@pytest.mark.parametrize("error", [AudioNotActive("gone"), AudioRestarted("new codec")])
def test_no_operation_raises_when_the_streams_go_away(error: Exception) -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD)
    for operation in (
        audio.receive_frame,
        lambda: audio.send_frame(LOUD),
        audio.flush,
        lambda: audio.unsent_ms,
    ):
        streams.error = error
        operation()
    streams.arrive(20)
    assert audio.receive_frame() is not None


def test_a_new_codec_with_another_rate_is_followed() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    streams.arrive(20)
    audio.receive_frame()
    audio.send_frame(LOUD)
    streams.error = AudioRestarted("re-INVITE")
    audio.receive_frame()
    streams.outgoing.clear()
    streams.form = Form(tx_sample_rate=48_000, tx_channels=2, rx_sample_rate=48_000, rx_channels=2)
    streams.arrive(20)
    assert len(audio.receive_frame() or b"") == FRAME_BYTES
    audio.send_frame(LOUD)
    assert len(streams.outgoing) == 2 * 960 * 2 * 2


def test_audio_the_stack_has_no_room_for_is_counted() -> None:
    audio = SipAudio(HandMadeStreams(room=400))
    audio.send_frame(LOUD)
    assert audio.refused_ms == 20


def test_several_frames_into_a_dry_buffer_lead_themselves() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD * 3)
    assert audio.unsent_ms == 60
    streams.tick()
    assert np.frombuffer(bytes(streams.wire), "<i2").max() > 3_000


def test_after_a_flush_nothing_of_what_was_flushed_is_heard() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD * 3)
    audio.flush()
    streams.tick()
    audio.send_frame(QUIET)
    audio.send_frame(QUIET)
    for _ in range(4):
        streams.tick()
    assert not any(streams.wire)


def test_several_frames_wait_for_a_flush_as_one_does() -> None:
    streams = HandMadeStreams()
    audio = SipAudio(streams)
    audio.send_frame(LOUD)
    audio.flush()
    audio.send_frame(LOUD * 3)
    assert audio.unsent_ms == 60
    streams.tick()
    assert audio.unsent_ms == 60
