"""Sound between a call's clock and a browser: 16 kHz frames on one side, decoded Opus on the other.

Nothing here blocks or raises; both directions are bounded and drop the oldest when full, because
on a telephone old sound is worth less than none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioCodecContext, AudioFrame, CodecContext, Packet

from telephony.audio import SILENCE, Resampler, spliced
from telephony.media_stream import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ

FRAME_S = FRAME_MS / 1000
LIMIT_FRAMES = 200 // FRAME_MS
LEAD_MS = 40
"""Speech that stands ready for the encoder: what the track holds without going faster."""
_SAMPLE = Fraction(1, SAMPLE_RATE_HZ)


class LiveFrames:
    """Frames in order, the newest 200 ms of them. Pure.

    What is left out leaves no click: the next frame is cross-faded with the one whose place it
    takes.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._frames: deque[bytes] = deque()
        self._left_out = b""

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, frame: bytes) -> None:
        self._frames.append(frame)
        if len(self._frames) > LIMIT_FRAMES:
            self.drop_oldest()

    @property
    def oldest(self) -> bytes:
        return self._frames[0]

    def drop_oldest(self) -> None:
        self._left_out = self._left_out or self._frames[0]
        self._frames.popleft()
        self.dropped += 1

    def take(self) -> bytes | None:
        """The oldest; ``None`` when there is none."""
        left_out, self._left_out = self._left_out, b""
        return spliced(left_out, self._frames.popleft()) if self._frames else None

    def clear(self) -> None:
        self._frames.clear()
        self._left_out = b""


class FrameBacklog:
    """What a party has sent and the call's clock has not yet taken. Pure.

    It is its own jitter buffer: a frame that comes late finds the clock has gone on without it,
    so the delay grows by exactly what the network needed; when all of a window shows more waiting
    than needed, the surplus is dropped, in a quiet moment if one comes.
    """

    WINDOW_FRAMES = 100
    NEEDED_FRAMES = 1
    QUIET_PEAK = 400

    def __init__(self) -> None:
        self._partial = bytearray()
        self._frames = LiveFrames()
        self._lowest = LIMIT_FRAMES
        self._seen = 0
        self._surplus = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def dropped_frames(self) -> int:
        return self._frames.dropped

    def put(self, audio: bytes) -> None:
        """Add any number of samples; beyond 200 ms the oldest go."""
        self._partial += audio
        while len(self._partial) >= FRAME_BYTES:
            self._frames.append(bytes(self._partial[:FRAME_BYTES]))
            del self._partial[:FRAME_BYTES]

    def take(self) -> bytes | None:
        """The next frame; ``None`` when it has not come."""
        if self._surplus and len(self._frames) > 1 and _peak(self._frames.oldest) < self.QUIET_PEAK:
            self._frames.drop_oldest()
            self._surplus -= 1
        frame = self._frames.take()
        if frame is None:
            self._lowest = 0
            return None
        self._lowest = min(self._lowest, len(self._frames))
        self._seen += 1
        if self._seen >= self.WINDOW_FRAMES:
            if self._surplus and self._lowest > self.NEEDED_FRAMES:
                self._frames.drop_oldest()  # no quiet moment came for a whole window
            self._surplus = max(0, self._lowest - self.NEEDED_FRAMES)
            self._lowest = LIMIT_FRAMES
            self._seen = 0
        return frame

    def clear(self) -> None:
        """Forget everything that waits."""
        self._frames.clear()
        self._partial.clear()
        self._surplus = 0


class PacketOrder:
    """Hands every packet to the decoder as it comes, in place of aiortc's jitter buffer.

    That one holds audio for 80 ms and, after the first lost packet, for 320 ms to the end of the
    call. Here a packet that comes after a later one is dropped like a lost one: 20 ms to conceal
    cost a caller less than a delay in every answer. Jitter is absorbed by ``FrameBacklog``.
    """

    RESTART_PACKETS = 100
    """A sequence so far behind is a new one (RFC 3550, appendix A.1, MAX_MISORDER)."""

    def __init__(self) -> None:
        self._next: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """The frame to decode now, if any; never asks for a key frame."""
        number = packet.sequence_number
        late = 0 if self._next is None else (self._next - number) % 65_536
        if 0 < late <= self.RESTART_PACKETS:
            return False, None
        self._next = (number + 1) % 65_536
        data: bytes = packet._data  # type: ignore[attr-defined]  # set by aiortc's depayloader
        return False, JitterFrame(data, packet.timestamp)


class SoundDecoder:
    """Decoded frames of any rate and one or two channels, as the media stream's PCM."""

    def __init__(self) -> None:
        self._from_hz = 0
        self._resampler: Resampler | None = None

    def convert(self, frame: AudioFrame) -> bytes:
        """16 kHz mono PCM of one decoded frame of interleaved 16-bit samples."""
        channels = frame.layout.nb_channels
        samples = np.frombuffer(bytes(frame.planes[0]), dtype="<i2", count=frame.samples * channels)
        if channels == 2:
            samples = (samples[0::2] >> 1) + (samples[1::2] >> 1)
        if self._resampler is None or frame.sample_rate != self._from_hz:
            self._from_hz = frame.sample_rate
            self._resampler = Resampler(self._from_hz, SAMPLE_RATE_HZ)
        return self._resampler.feed(samples.tobytes())


class PacedTrack(MediaStreamTrack):
    """What the far end hears: one frame every 20 ms, silence when there is none.

    A frame the call's clock delivers up to 20 ms late is waited for rather than replaced by
    silence; frames left standing by a stall are worked off at a tenth over speed. Encoded here,
    at the media stream's own rate: aiortc's encoder wants 48 kHz stereo and costs three times as
    much. In-band error correction lets the browser mend single lost packets (RFC 6716, 2.1.7).
    """

    kind = "audio"

    _BITS_PER_S = 32_000
    _EXPECTED_LOSS_PERCENT = 5
    _STANDING_FRAMES = 1
    _CATCH_UP = 0.9

    def __init__(self) -> None:
        super().__init__()
        self._frames = LiveFrames()
        self._came = asyncio.Event()
        self._due_s: float | None = None
        self._sent_frames = 0
        self._encoder = self._opus()

    @property
    def dropped_frames(self) -> int:
        return self._frames.dropped

    @property
    def unsent_ms(self) -> int:
        return len(self._frames) * FRAME_MS

    def push(self, frame: bytes) -> None:
        """Queue one frame; beyond 200 ms the oldest go."""
        self._frames.append(frame)
        self._came.set()

    def clear(self) -> None:
        """Forget everything not yet handed to the encoder."""
        self._frames.clear()

    async def recv(self) -> Packet[Any]:
        """The next 20 ms as Opus, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        samples = np.frombuffer(await self.next_frame(), dtype="<i2")
        sound = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate = SAMPLE_RATE_HZ
        sound.pts = self._sent_frames * FRAME_SAMPLES
        sound.time_base = _SAMPLE
        (packet,) = self._encoder.encode(sound)
        # Counted here: the encoder's own count starts before zero.
        packet.pts = sound.pts
        packet.time_base = _SAMPLE
        self._sent_frames += 1
        return packet

    async def next_frame(self) -> bytes:
        """The next 20 ms of PCM, when they are due."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() if self._due_s is None else self._due_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        late = not self._frames and await self._wait_until(due_s + FRAME_S)
        now_s = loop.time()
        frame = self._frames.take() or SILENCE
        pace_s = FRAME_S * (self._CATCH_UP if len(self._frames) > self._STANDING_FRAMES else 1.0)
        self._due_s = now_s + pace_s if late else max(due_s + pace_s, now_s - FRAME_S)
        return frame

    async def _wait_until(self, when_s: float) -> bool:
        """True when a frame came before ``when_s``."""
        self._came.clear()
        try:
            async with asyncio.timeout_at(when_s):
                await self._came.wait()
        except TimeoutError:
            return False
        return True

    @classmethod
    def _opus(cls) -> AudioCodecContext:
        encoder = CodecContext.create("libopus", "w")
        encoder.sample_rate = SAMPLE_RATE_HZ
        encoder.layout = "mono"
        encoder.format = "s16"
        encoder.bit_rate = cls._BITS_PER_S
        encoder.time_base = _SAMPLE
        encoder.options = {
            "application": "voip",
            "fec": "1",
            "packet_loss": str(cls._EXPECTED_LOSS_PERCENT),
        }
        return encoder


def _peak(frame: bytes) -> int:
    return int(np.abs(np.frombuffer(frame, dtype="<i2").astype(np.int32)).max())
