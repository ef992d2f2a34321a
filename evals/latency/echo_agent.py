"""An agent that thinks nothing: sound is answered by a tone, sound during the tone by ``clear``."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from aiohttp import WSMsgType, web

from evals.wire_audio import Samples
from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ, Clear, encode

LOUD_LEVEL = 500
TONE_HZ = 400
TONE_MS = 1_500


@dataclass(slots=True)
class Marks:
    """What the agent noted of one answer, in seconds since 1970; 0: it did not come to that."""

    heard_s: float = 0.0
    """The caller's first loud frame reached the agent, which answered at once."""
    cleared_s: float = 0.0
    """The second burst reached the agent, which sent ``clear`` at once."""


def tone(rate_hz: int, ms: int) -> Samples:
    """A sine of ``TONE_HZ`` at about -12 dBFS."""
    at = np.arange(rate_hz * ms // 1000) / rate_hz
    wave: Samples = np.rint(8_000 * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)
    return wave


def is_loud(frame: bytes) -> bool:
    """Whether a frame of the media stream has sound in it."""
    return int(np.abs(np.frombuffer(frame, "<i2").astype(np.int32)).max()) >= LOUD_LEVEL


class EchoAgent:
    """Listens for media streams on loopback. Each answer goes into ``marks``; set a new one for
    the next."""

    def __init__(self) -> None:
        self.marks = Marks()
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen on a free port; the port."""
        app = web.Application()
        app.router.add_get("/media", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every stream; harmless before ``start``."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(max_msg_size=0)
        await stream.prepare(request)
        answer = tone(SAMPLE_RATE_HZ, TONE_MS).astype("<i2").tobytes()
        was_loud = False
        async for message in stream:
            if message.type is not WSMsgType.BINARY or len(message.data) != FRAME_BYTES:
                continue
            loud = is_loud(message.data)
            if loud and not was_loud:
                if not self.marks.heard_s:
                    self.marks.heard_s = time.time()
                    await stream.send_bytes(answer)
                elif not self.marks.cleared_s:
                    self.marks.cleared_s = time.time()
                    await stream.send_str(encode(Clear()))
            was_loud = loud
        return stream
