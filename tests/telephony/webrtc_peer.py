"""A browser's side of a call, and a gateway that echoes: what the web line is tested with."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import is_rtcp
from av import AudioFrame

from telephony.call import DigitPressed, Leg, LegAnswered, LegEnded, LegState
from telephony.media_stream import FRAME_SAMPLES, SAMPLE_RATE_HZ
from telephony.settings import WebSettings
from telephony.web_server import WebServer
from telephony.webrtc import WebRtcLeg

WIRE_HZ = 48_000


def tone(hz: float, samples: int, rate_hz: int, start: int = 0) -> bytes:
    """A sine at half scale."""
    step = 2 * math.pi * hz / rate_hz
    return struct.pack(
        f"<{samples}h", *(int(16_000 * math.sin(step * (start + n))) for n in range(samples))
    )


def loudest_hz(audio: bytes, rate_hz: int) -> float:
    """The strongest frequency in some PCM."""
    samples = np.frombuffer(audio, dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


class ToneTrack(MediaStreamTrack):
    """A microphone that hums."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._hz = hz
        self._sent = 0
        self._start_s: float | None = None
        self._silent = False

    def fall_silent(self) -> None:
        """Send nothing any more, not even silence, as a machine that lost its network."""
        self._silent = True

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._silent:
            await asyncio.Event().wait()
        now_s = asyncio.get_running_loop().time()
        self._start_s = now_s if self._start_s is None else self._start_s
        await asyncio.sleep(max(0.0, self._start_s + self._sent / WIRE_HZ - now_s))
        frame = AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(tone(self._hz, 960, WIRE_HZ, self._sent))
        frame.sample_rate = WIRE_HZ
        frame.pts = self._sent
        frame.time_base = Fraction(1, WIRE_HZ)
        self._sent += 960
        return frame


class Peer:
    """A page without a browser: offers a tone, collects what it hears and is told."""

    def __init__(self, hz: float = 440.0, *, hides_address: bool = False) -> None:
        self._hides_address = hides_address
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = ToneTrack(hz)
        self.connection.addTrack(self.microphone)
        self.channel = self.connection.createDataChannel("events")
        self.messages: list[dict[str, Any]] = []
        self.heard = bytearray()
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.channel.on("message", self._on_message)
        self.channel.on("open", self._changed.set)
        self.channel.on("close", self._changed.set)
        self.connection.on("track", self._on_track)

    async def offer(self) -> dict[str, str]:
        await self.connection.setLocalDescription()
        local = self.connection.localDescription
        sdp = local.sdp
        if self._hides_address:  # as browsers do before a microphone is allowed
            sdp = re.sub(r"(a=candidate:(?:\S+ ){4})\S+", r"\1a-b-c.local", sdp)
        return {"sdp": sdp, "type": local.type}

    async def ring(self, url: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/offer", json=await self.offer()) as response,
        ):
            answer = await response.json()
            assert response.status == 200, answer
        await self.connection.setRemoteDescription(
            RTCSessionDescription(answer["sdp"], answer["type"])
        )

    def send(self, **message: Any) -> None:
        self.channel.send(json.dumps(message))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                if not condition():
                    await self._changed.wait()

    def lose_every(self, nth: int) -> None:
        """From now on every ``nth`` packet of sound is lost on the way."""
        transport = self.connection.getSenders()[0].transport
        send, count = transport._send_rtp, itertools.count(1)

        async def lossy(packet: bytes) -> None:
            if is_rtcp(packet) or next(count) % nth:
                await send(packet)

        transport._send_rtp = lossy  # type: ignore[method-assign]

    def states(self) -> list[str]:
        return [m["state"] for m in self.messages if m["event"] == "state"]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.connection.close()

    def _on_message(self, message: str) -> None:
        self.messages.append(json.loads(message))
        self._changed.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                self.heard += frame.to_ndarray().reshape(-1, 2)[:, 0].tobytes()
                self._changed.set()
        except MediaStreamError:
            pass


Behaviour = Callable[[WebRtcLeg, "FakeGateway"], Awaitable[None]]


@dataclass
class FakeGateway:
    """Takes every leg: answers it, clocks sound both ways, notes what happens."""

    play_hz: float | None = None
    """A tone for the caller; absent: the caller's own sound comes back."""
    ready: bool = True
    on_answered: Behaviour | None = None
    legs: list[WebRtcLeg] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    digits: str = ""
    ended: list[str] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, leg: Leg) -> None:
        assert isinstance(leg, WebRtcLeg)
        self.legs.append(leg)
        self.taken.set()
        clock = asyncio.create_task(self._clock(leg))
        try:
            await leg.answer()
            while True:
                match await leg.next_event():
                    case LegAnswered():
                        if self.on_answered is not None:
                            await self.on_answered(leg, self)
                    case DigitPressed(digit):
                        self.digits += digit
                    case LegEnded(reason):
                        self.ended.append(reason)
                        return
        finally:
            clock.cancel()
            self.released.set()

    async def _clock(self, leg: WebRtcLeg) -> None:
        loop = asyncio.get_running_loop()
        due_s, sent = loop.time(), 0
        while leg.state is not LegState.ENDED:
            frame = leg.receive_frame()
            if frame is not None:
                self.heard += frame
            if self.play_hz is not None:
                frame = tone(self.play_hz, FRAME_SAMPLES, SAMPLE_RATE_HZ, sent)
                sent += FRAME_SAMPLES
            if frame is not None:
                leg.send_frame(frame)
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - loop.time()))


@asynccontextmanager
async def serving(gateway: FakeGateway, **settings: Any) -> AsyncIterator[WebServer]:
    """A web line on a free port of loopback."""
    server = WebServer(WebSettings.model_construct(**_fields(settings)), gateway)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _fields(settings: dict[str, Any]) -> dict[str, Any]:
    # Port 0 (any free one) is for tests, so the schema does not know it.
    return WebSettings(media_host="127.0.0.1").model_dump() | {"port": 0} | settings
