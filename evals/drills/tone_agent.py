"""An agent that holds a tone without end, in a process of its own, so that it can be hung.

``python -m evals.drills.tone_agent`` prints its port. It answers ``steer`` and obeys ``clear``.
"""

from __future__ import annotations

import asyncio

import numpy as np
from aiohttp import WSMsgType, web

from telephony.media_stream import (
    SAMPLE_RATE_HZ,
    Clear,
    Cleared,
    MediaStreamError,
    Playout,
    Resume,
    Start,
    Transfer,
    encode,
    parse,
)

TONE_HZ = 200
LEVEL = 8_000
LOT_MS = 20_000
"""Far ahead of the caller, as an answer that was synthesised at once is."""


def tone(hz: float, ms: int, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A sine whose end joins its beginning, for whole periods in ``ms``."""
    at = np.arange(rate_hz * ms // 1000) / rate_hz
    samples = np.rint(LEVEL * np.sin(2 * np.pi * hz * at)).astype("<i2")
    return bytes(samples.tobytes())


async def serve_stream(request: web.Request) -> web.WebSocketResponse:
    """One call."""
    stream = web.WebSocketResponse(max_msg_size=0)
    await stream.prepare(request)
    lot, silent = tone(TONE_HZ, LOT_MS), False
    async for message in stream:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            told = parse(message.data)
        except MediaStreamError:
            continue
        match told:
            case Start():
                await stream.send_str(encode(Clear()))
                await stream.send_bytes(lot)
            case Transfer(state="bridged"):
                silent = True
            case Resume():
                silent = False
                await stream.send_bytes(lot)
            case Playout(buffered_ms=left) if left < LOT_MS // 2 and not silent:
                await stream.send_bytes(lot)
            case Cleared():
                pass
    return stream


async def main() -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_get("/media", serve_stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
