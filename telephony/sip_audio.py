"""The audio of one SIP leg: the stack's streams in, frames of the media stream's format out.

The stack hands over what it decoded and takes what it shall send in its own rate, on its own clock;
the call's clock pulls and pushes a frame every 20 ms. Between the two:

* what was received waits at most ``MAX_BACKLOG_MS``; a backlog that never runs dry for a second is
  delay without use (a clock that runs fast, a stall that is over) and is cut, so live stays live;
* a single frame sent into a dry buffer is led by one frame of silence, so that the stack's clock
  does not overtake ours; several at once lead themselves. Silence is not sent on top of more than
  ``ENOUGH_UNSENT_MS``, and none needs to be sent at all: a dry stack sends its own;
* the stack flushes at its next packet, and would flush what is written until then as well: frames
  sent after a flush wait for it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np
from baresip import AudioNotActive, AudioRestarted

from telephony.audio import SILENCE, Resampler, spliced
from telephony.media_stream import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ

MAX_BACKLOG_MS = 200
ENOUGH_UNSENT_MS = 60
LEAD_MS = 60
"""Speech that stands ready in the stack. It delays nothing, since a flush takes it back, and a turn
of ours may come so late before the caller hears a gap."""
_TRIM_WINDOW_FRAMES = 50
_KEPT_BACKLOG_MS = 10
_MAX_WAITING_FRAMES = 10
_BYTES_PER_MS = SAMPLE_RATE_HZ * 2 // 1000


class StreamFormat(Protocol):
    """What we need of ``baresip.AudioInfo``."""

    tx_ready: bool
    rx_ready: bool
    tx_sample_rate: int
    tx_channels: int
    rx_sample_rate: int
    rx_channels: int
    tx_buffered: int


class PcmStreams(Protocol):
    """What we need of ``baresip.CallAudio``: never blocks, raises when there is no audio."""

    def info(self) -> StreamFormat: ...
    def read(self, max_bytes: int) -> bytes: ...
    def write(self, pcm: bytes) -> int: ...
    def flush_tx(self) -> None: ...


class SipAudio:
    """Frames of one leg, both ways. Never blocks, never raises."""

    def __init__(self, streams: PcmStreams) -> None:
        self._streams = streams
        self._format: StreamFormat | None = None
        self._down = Resampler(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
        self._up = Resampler(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
        self._received = bytearray()
        self._lowest_ms = MAX_BACKLOG_MS
        self._window_frames = 0
        self._flushing = False
        self._waiting: deque[bytes] = deque(maxlen=_MAX_WAITING_FRAMES)
        self.cut_ms = 0
        """Received audio dropped to stay live."""
        self.refused_ms = 0
        """Audio to send that the stack had no room for."""

    def receive_frame(self) -> bytes | None:
        """The next 20 ms from the far end; ``None`` when so much has not arrived."""
        self._fetch()
        self._trim()
        if len(self._received) < FRAME_BYTES:
            self._lowest_ms = 0
            return None
        frame = bytes(self._received[:FRAME_BYTES])
        del self._received[:FRAME_BYTES]
        return frame

    def send_frame(self, frame: bytes) -> None:
        """Queue one or several frames for the far end; dropped while there is no audio."""
        if self._flushing:
            self._waiting.append(frame)
            self._end_flush()
            return
        buffered_ms = self._buffered_ms()
        if buffered_ms is None:
            return
        if buffered_ms > ENOUGH_UNSENT_MS and not any(frame):
            return
        if buffered_ms == 0:
            self._down.forget()
            if len(frame) <= FRAME_BYTES:
                self._write(SILENCE)
        self._write(frame)

    def flush(self) -> None:
        """Forget what is queued and not on the wire."""
        self._waiting.clear()
        if self._buffered_ms():
            try:
                self._streams.flush_tx()
                self._flushing = True
            except (AudioNotActive, AudioRestarted):
                self._renew()

    @property
    def unsent_ms(self) -> int:
        """Audio queued and not on the wire."""
        if self._flushing:
            self._end_flush()
        if self._flushing:
            return sum(len(frames) for frames in self._waiting) // _BYTES_PER_MS
        return self._buffered_ms() or 0

    # --- receiving -----------------------------------------------------------------------------

    def _fetch(self) -> None:
        """Take over everything the stack has decoded."""
        form = self._current()
        if form is None or not form.rx_ready:
            return
        width = 2 * max(1, form.rx_channels)
        room = form.rx_sample_rate * width * MAX_BACKLOG_MS * 2 // 1000
        try:
            pcm = self._streams.read(max(width, room))
        except (AudioNotActive, AudioRestarted):
            self._renew()
            return
        if form.rx_channels > 1:
            pcm = _to_mono(pcm, form.rx_channels)
        self._received += self._up.feed(pcm)

    def _trim(self) -> None:
        """Cut a backlog that is too long, or that has been of no use for a second."""
        backlog_ms = len(self._received) // _BYTES_PER_MS
        self._lowest_ms = min(self._lowest_ms, backlog_ms - FRAME_MS)
        self._window_frames += 1
        surplus_ms = max(0, backlog_ms - MAX_BACKLOG_MS)
        if self._window_frames >= _TRIM_WINDOW_FRAMES:
            surplus_ms = max(surplus_ms, self._lowest_ms - _KEPT_BACKLOG_MS)
            self._window_frames = 0
            self._lowest_ms = MAX_BACKLOG_MS
        if surplus_ms > 0:
            surplus = surplus_ms * _BYTES_PER_MS
            follows = bytes(self._received[surplus : surplus + FRAME_BYTES])
            self._received[: surplus + len(follows)] = spliced(bytes(self._received), follows)
            self.cut_ms += surplus_ms

    # --- sending -------------------------------------------------------------------------------

    def _write(self, frame: bytes) -> None:
        form = self._format
        if form is None or not form.tx_ready:
            return
        pcm = self._down.feed(frame)
        if form.tx_channels > 1:
            pcm = np.repeat(np.frombuffer(pcm, dtype="<i2"), form.tx_channels).tobytes()
        try:
            if self._streams.write(pcm) < len(pcm):
                self.refused_ms += len(frame) // _BYTES_PER_MS
        except (AudioNotActive, AudioRestarted):
            self._renew()

    def _end_flush(self) -> None:
        """Once the stack has flushed, hand over what was sent since."""
        if self._buffered_ms():
            return
        self._flushing = False
        waiting = list(self._waiting)
        self._waiting.clear()
        for frame in waiting:
            self.send_frame(frame)

    def _buffered_ms(self) -> int | None:
        """What the stack holds, rounded up; ``None`` without audio."""
        try:
            info = self._streams.info()
        except (AudioNotActive, AudioRestarted):
            self._renew()
            return None
        if not info.tx_ready:
            return None
        self._adopt(info)
        bytes_per_s = info.tx_sample_rate * 2 * max(1, info.tx_channels)
        return -(-info.tx_buffered * 1000 // bytes_per_s)

    # --- formats -------------------------------------------------------------------------------

    def _current(self) -> StreamFormat | None:
        if self._format is None or not self._format.rx_ready:
            try:
                self._adopt(self._streams.info())
            except (AudioNotActive, AudioRestarted):
                self._renew()
        return self._format

    def _adopt(self, form: StreamFormat) -> None:
        """Follow the codec: a call may be negotiated anew with another rate."""
        old = self._format
        if form.tx_ready and (old is None or old.tx_sample_rate != form.tx_sample_rate):
            self._down = Resampler(SAMPLE_RATE_HZ, form.tx_sample_rate)
        if form.rx_ready and (old is None or old.rx_sample_rate != form.rx_sample_rate):
            self._up = Resampler(form.rx_sample_rate, SAMPLE_RATE_HZ)
        self._format = form

    def _renew(self) -> None:
        """The stack's streams are gone or were replaced; what they held is lost."""
        self._format = None
        self._flushing = False
        self._waiting.clear()


def _to_mono(pcm: bytes, channels: int) -> bytes:
    whole = len(pcm) - len(pcm) % (2 * channels)
    samples = np.frombuffer(pcm[:whole], dtype="<i2").reshape(-1, channels)
    return np.asarray(samples.mean(axis=1), dtype="<i2").tobytes()
