"""Between samples and aiortc's packets: Opus both ways, and the places where aiortc is tapped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket, is_rtcp
from av import AudioCodecContext, AudioFrame, CodecContext, Packet
from av.error import FFmpegError

from evals.latency.impairments import Network
from evals.wire_audio import RATE_HZ, WIDE_HZ, Samples
from evals.wire_call import CallError
from telephony.audio import Resampler

OPUS_HZ = 48_000
"""The rate of Opus's clock, and of what it decodes to (RFC 7587, section 4.1)."""
_BITS_PER_S = 32_000
_SAMPLE = Fraction(1, WIDE_HZ)
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"

OnPacket: TypeAlias = Callable[[RtpPacket], None]


class Microphone(MediaStreamTrack):
    """Hands frames to aiortc as Opus, at the pace of the call's clock."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[Packet[Any] | None] = asyncio.Queue()
        self._encoder = _opus_encoder()

    def send(self, samples: Samples, tick: int) -> None:
        """20 ms at ``WIDE_HZ``; ``tick`` is their place in 20 ms since the call began."""
        sound = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate, sound.time_base = WIDE_HZ, _SAMPLE
        sound.pts = tick * len(samples)
        for packet in self._encoder.encode(sound):
            # Counted here: the encoder's own count starts before zero.
            packet.pts, packet.time_base = sound.pts, _SAMPLE
            self._packets.put_nowait(packet)

    async def recv(self) -> Packet[Any]:
        packet = await self._packets.get() if self.readyState == "live" else None
        if packet is None:
            raise MediaStreamError
        return packet

    def stop(self) -> None:
        super().stop()
        self._packets.put_nowait(None)


class PacketTap:
    """Stands in for the receiver's jitter buffer: sees packets as they come, lets none through to
    aiortc's own decoder."""

    def __init__(self, on_packet: OnPacket) -> None:
        self._on_packet = on_packet

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        self._on_packet(packet)
        return False, None


class OpusDecoder:
    """Opus as samples on the axis, packet by packet."""

    def __init__(self) -> None:
        self._codec = CodecContext.create("libopus", "r")
        self._resampler = Resampler(OPUS_HZ, RATE_HZ)
        self.delay_s = self._resampler.delay_ms / 1000

    def decode(self, payload: bytes) -> Samples | None:
        """20 ms; ``None`` for what is no Opus."""
        try:
            frames = self._codec.decode(Packet(payload)) if payload else []
        except FFmpegError:
            return None
        parts = []
        for frame in frames:
            channels = frame.layout.nb_channels
            samples = frame.to_ndarray().reshape(-1, channels)[:, 0]
            parts.append(np.ascontiguousarray(samples, dtype="<i2").tobytes())
        if not parts:
            return None
        return np.frombuffer(self._resampler.feed(b"".join(parts)), dtype=np.int16)


def _opus_encoder() -> AudioCodecContext:
    """As a browser has it: voice, with in-band error correction (RFC 7587, section 7.1)."""
    encoder = CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = WIDE_HZ, "mono", "s16"
    encoder.bit_rate, encoder.time_base = _BITS_PER_S, _SAMPLE
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": "5"}
    return encoder


def tap(receiver: RTCRtpReceiver, on_packet: OnPacket) -> None:
    """Have every packet of sound told, as it comes, instead of decoded by aiortc.

    Raises:
        CallError: aiortc has another way with packets now.
    """
    if not hasattr(receiver, _JITTER_BUFFER):
        raise CallError("this aiortc has no jitter buffer to stand in for")
    setattr(receiver, _JITTER_BUFFER, PacketTap(on_packet))


def impair(transport: Any, network: Network) -> None:
    """Let packets of sound go through a bad network; aiortc offers no place for that."""
    send = transport._send_rtp
    late: set[asyncio.Task[None]] = set()

    async def send_late(packet: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        with contextlib.suppress(ConnectionError):
            await send(packet)

    async def impaired(packet: bytes) -> None:
        for delay_s in (0.0,) if is_rtcp(packet) else network.fates():
            if not delay_s:
                await send(packet)
                continue
            task = asyncio.create_task(send_late(packet, delay_s))
            late.add(task)
            task.add_done_callback(late.discard)

    transport._send_rtp = impaired
