"""Stand-ins: a clock turned by hand, a leg in memory, an agent behind a real socket."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Literal

from aiohttp import WSMsgType, web

from telephony.audio import in_frames
from telephony.call import Leg, LegAnswered, LegEnded, LegEvent, LegState
from telephony.media_stream import FRAME_BYTES, FRAME_MS, Message, Start, encode, parse

PATIENCE_S = 20.0
"""How long a test waits, in real time, for what must happen; never reached when all is well."""


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - whatever changes it does so in its own task
            await asyncio.sleep(0)


class HandClock:
    """Virtual time: nothing passes but by ``advance``."""

    def __init__(self) -> None:
        self._now_s = 100.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        return self._now_s

    async def sleep_until(self, when_s: float) -> None:
        if when_s <= self._now_s:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_s, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, waking sleepers in order."""
        end_s = self._now_s + seconds + 1e-9
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            when_s, _, woken = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, when_s)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now_s = end_s

    async def advance_until(self, condition: Callable[[], object], limit_s: float = 120.0) -> None:
        """Let time pass frame by frame until the condition holds."""
        end_s = self._now_s + limit_s
        while not condition():
            assert self._now_s < end_s, "did not come about in time"
            await self.advance(FRAME_MS / 1000)

    def jump(self, seconds: float) -> None:
        """Time passes while nothing gets to run: a stall."""
        self._now_s += seconds

    @staticmethod
    async def _settle() -> None:
        for _ in range(8):
            await asyncio.sleep(0)


class FakeLeg:
    """A party in memory. What it says is queued with ``speak``; what it heard is ``heard``."""

    def __init__(
        self,
        *,
        kind: Literal["sip", "webrtc"] = "sip",
        remote: str = "sip:caller@example.invalid",
        dialled: str = "sip:agent@example.invalid",
    ) -> None:
        self.leg_id = "fake"
        self.kind: Literal["sip", "webrtc"] = kind
        self.remote = remote
        self.dialled = dialled
        self.state = LegState.RINGING
        self.says: list[bytes] = []
        self.heard: list[bytes] = []
        self.hung_up: list[str] = []
        self.digits: list[str] = []
        self.captions: list[tuple[str, str, str, bool]] = []
        self.flushes = 0
        self.holds_back_ms = 0
        """How much of what was sent last is not on the wire."""
        self.lead_ms = 0
        self.answers = True
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()

    def speak(self, *frames: bytes) -> None:
        self.says.extend(frames)

    def tell(self, event: LegEvent) -> None:
        """Something happens at the far end."""
        if isinstance(event, LegAnswered):
            self.state = LegState.ANSWERED
        if isinstance(event, LegEnded):
            self.state = LegState.ENDED
        self._events.put_nowait(event)

    @property
    def heard_audio(self) -> bytes:
        return b"".join(self.heard)

    def receive_frame(self) -> bytes | None:
        return self.says.pop(0) if self.says and self.state is LegState.ANSWERED else None

    def send_frame(self, frame: bytes) -> None:
        assert len(frame) % FRAME_BYTES == 0
        if self.state is LegState.ANSWERED:
            self.heard.extend(in_frames(frame))

    def flush(self) -> None:
        self.flushes += 1
        if self.holds_back_ms:
            del self.heard[-(self.holds_back_ms // FRAME_MS) :]
            self.holds_back_ms = 0

    @property
    def unsent_ms(self) -> int:
        return min(self.holds_back_ms, len(self.heard) * FRAME_MS)

    async def next_event(self) -> LegEvent:
        return await self._events.get()

    async def answer(self) -> None:
        if self.answers:
            self.tell(LegAnswered())

    async def hang_up(self, reason: str = "") -> None:
        self.hung_up.append(reason)
        if self.state is not LegState.ENDED:
            self.tell(LegEnded(reason))

    async def send_digits(self, digits: str) -> None:
        self.digits.append(digits)

    async def hold(self, held: bool) -> None:
        return

    def show_caption(
        self, speaker: Literal["caller", "agent"], caption_id: str, text: str, final: bool
    ) -> None:
        self.captions.append((speaker, caption_id, text, final))


class FakeLine:
    """People to ring: ``dial`` hands out legs that ring until the test decides."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, dict[str, str], FakeLeg]] = []
        self.broken = False
        self.free = asyncio.Event()
        """Dialling takes until this is set."""
        self.free.set()

    async def dial(self, uri: str, headers: dict[str, str]) -> Leg:
        if self.broken:
            raise OSError("no route")
        await self.free.wait()
        leg = FakeLeg(remote=uri)
        self.rung.append((uri, headers, leg))
        return leg

    @property
    def leg(self) -> FakeLeg:
        """The leg rung last."""
        return self.rung[-1][2]


class AgentEnd:
    """The agent's end of one stream, as a test drives it."""

    def __init__(self, socket: web.WebSocketResponse, authorization: str) -> None:
        self.socket = socket
        self.authorization = authorization
        self.items: list[bytes | Message] = []
        self.closed = False
        self.reading = asyncio.Event()
        self.reading.set()

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.items if not isinstance(item, bytes)]

    @property
    def frames(self) -> list[bytes]:
        return [item for item in self.items if isinstance(item, bytes)]

    def of(self, kind: type[Message]) -> list[Message]:
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def start(self) -> Start:
        first = self.items[0]
        assert isinstance(first, Start)
        return first

    async def say(self, audio: bytes) -> None:
        await self.socket.send_bytes(audio)

    async def send(self, message: Message) -> None:
        await self.socket.send_str(encode(message))

    async def leave(self) -> None:
        await self.socket.close()

    def die(self) -> None:
        """The process is gone: no closing handshake."""
        transport = self.socket._req.transport if self.socket._req else None
        if transport is not None:
            transport.abort()


class FakeAgent:
    """A WebSocket server on an ephemeral loopback port. Use as a context manager."""

    def __init__(self) -> None:
        self.streams: list[AgentEnd] = []
        self.attempts = 0
        self.refuse_with: int | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakeAgent:
        app = web.Application()
        app.router.add_get("/media", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"ws://127.0.0.1:{port}/media"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        for stream in self.streams:
            stream.die()
        await self._runner.cleanup()

    async def stream(self, number: int = 1) -> AgentEnd:
        """The number-th stream opened, once its ``start`` is here."""
        await eventually(lambda: len(self.streams) >= number and self.streams[number - 1].items)
        return self.streams[number - 1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        if self.refuse_with is not None:
            return web.Response(status=self.refuse_with)
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        stream = AgentEnd(socket, request.headers.get("Authorization", ""))
        self.streams.append(stream)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                stream.items.append(message.data)
            elif message.type is WSMsgType.TEXT:
                parsed = parse(message.data)
                assert parsed is not None
                stream.items.append(parsed)
            await stream.reading.wait()
        stream.closed = True
        return socket
