"""What the SIP tests share: a line in this process, a far end in another, a clock between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from evals.wire_line import free_port
from telephony.call import Leg, LegAnswered, LegEnded, LegEvent, LegState
from telephony.media_stream import FRAME_SAMPLES, SAMPLE_RATE_HZ
from telephony.settings import SipSettings
from telephony.sip import SipLine

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0


class PeerProcess:
    """The far end: ``tests.telephony.sip_peer``."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.seen: list[dict[str, Any]] = []

    @property
    def uri(self) -> str:
        return f"sip:peer@127.0.0.1:{self.port}"

    async def do(self, what: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps({"do": what, **fields}) + "\n").encode())
        await self.process.stdin.drain()

    async def until(self, *events: str) -> dict[str, Any]:
        """The next of these events; others are passed over."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                self.seen.append(event)
                if event["event"] in events:
                    return event
        raise AssertionError(f"the far end ended; it said {self.seen}")


async def _ready_peer(options: dict[str, Any], tries: int = 3) -> PeerProcess:
    """A telephone on a port of its own; on another one if somebody took that meanwhile."""
    port = options.get("port") or free_port("127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.telephony.sip_peer",
        json.dumps({**options, "port": port}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    peer = PeerProcess(process, port)
    try:
        await peer.until("ready")
    except BaseException as error:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if not isinstance(error, AssertionError) or "port" in options or tries == 1:
            raise
        return await _ready_peer(options, tries - 1)
    return peer


@contextlib.asynccontextmanager
async def far_end(**options: Any) -> AsyncIterator[PeerProcess]:
    peer = await _ready_peer(options)
    process = peer.process
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Arrivals:
    """Legs that came in; each is kept until the test is over."""

    def __init__(self) -> None:
        self.legs: asyncio.Queue[Leg] = asyncio.Queue()
        self._over = asyncio.Event()

    async def take(self, leg: Leg) -> None:
        self.legs.put_nowait(leg)
        await self._over.wait()

    async def next(self) -> Leg:
        async with asyncio.timeout(PATIENCE_S):
            return await self.legs.get()

    def release(self) -> None:
        self._over.set()


def sip_settings(**options: Any) -> SipSettings:
    defaults: dict[str, Any] = {"port": free_port("127.0.0.1"), "rtp_ports": (30_000, 39_998)}
    return SipSettings(**{**defaults, **options})


@contextlib.asynccontextmanager
async def open_line(
    max_legs: int = 8, **options: Any
) -> AsyncIterator[tuple[SipLine, Arrivals, str]]:
    """A line, the legs that come in, and its address."""
    settings = sip_settings(**options)
    line, arrivals = SipLine(settings, max_legs), Arrivals()
    await line.start(arrivals.take)
    try:
        yield line, arrivals, f"sip:agent@127.0.0.1:{settings.port}"
    finally:
        arrivals.release()
        await line.stop()


async def event_of(leg: Leg, kind: type[LegEvent]) -> Any:
    """The leg's next event of a kind; an end that was not asked for is a failure."""
    async with asyncio.timeout(PATIENCE_S):
        while not isinstance(event := await leg.next_event(), kind):
            assert not isinstance(event, LegEnded), event
    return event


@contextlib.asynccontextmanager
async def answered_call(
    max_legs: int = 8, **options: Any
) -> AsyncIterator[tuple[Leg, PeerProcess, SipLine]]:
    """A call the far end made and the line answered."""
    async with far_end() as peer, open_line(max_legs, **options) as (line, arrivals, uri):
        await peer.do("dial", uri=uri)
        leg = await arrivals.next()
        await leg.answer()
        await event_of(leg, LegAnswered)
        await peer.until("answered")
        yield leg, peer, line


@contextlib.asynccontextmanager
async def clocked(leg: Leg, hz: float = 0.0) -> AsyncIterator[list[bytes]]:
    """Pull and push a frame every 20 ms, a tone or silence; what was received."""
    received: list[bytes] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        while leg.state is not LegState.ENDED:
            if (frame := leg.receive_frame()) is not None:
                received.append(frame)
            leg.send_frame(tone_frame(hz, number))
            number += 1
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    task = asyncio.create_task(run())
    try:
        yield received
    finally:
        task.cancel()
        await asyncio.wait({task})


def tone_frame(hz: float, number: int) -> bytes:
    at = (np.arange(FRAME_SAMPLES) + number * FRAME_SAMPLES) / SAMPLE_RATE_HZ
    return np.rint(8_000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


async def loud_frames(received: list[bytes], count: int) -> np.ndarray[Any, Any]:
    """Wait for so many frames with sound in them; their samples."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            loud = [frame for frame in received if np.abs(np.frombuffer(frame, "<i2")).max() > 500]
            if len(loud) >= count:
                return np.frombuffer(b"".join(loud), dtype="<i2")
            await asyncio.sleep(0.02)
