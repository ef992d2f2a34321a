"""An agent with fake engines, and a gateway that rings it, for tests of whole calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from telephony.media_stream import (
    Caption,
    Clear,
    Cleared,
    Message,
    Playout,
    Start,
    encode,
    parse,
)
from tests.voice_agent.fakes import (
    FRAME,
    MS,
    FakeEars,
    FakeJudgement,
    FakeLibrary,
    FakeModel,
    FakeMouth,
    FakeRecords,
    FakeVoiceModel,
    voice,
)
from voice_agent.agent import AgentServer
from voice_agent.answering.actions.systems import CompanySystems
from voice_agent.answering.pace import Pace
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.answering.writer import Writer
from voice_agent.config import Settings
from voice_agent.engines import Engines

GREETING = Settings().answering.greeting


@dataclass
class FakeGateway:
    """A gateway whose clock is as fast as the agent can follow: 20 ms of audio a step."""

    socket: aiohttp.ClientWebSocketResponse
    frames: int = 0
    buffered: bytearray = field(default_factory=bytearray)
    played_ms: int = 0
    received: list[Message] = field(default_factory=list)
    heard_ms: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.buffered += message.data
                continue
            parsed = parse(message.data)
            assert parsed is not None
            self.received.append(parsed)
            if isinstance(parsed, Clear):
                dropped_ms = len(self.buffered) // MS
                self.buffered.clear()
                await self.tell(Cleared(self.played_ms, dropped_ms, self.frames * 20))
        self.closed.set()

    async def tell(self, message: Message) -> None:
        await self.socket.send_str(encode(message))

    async def step(self, audio: bytes = b"") -> None:
        """20 ms of call."""
        self.frames += 1
        await self.socket.send_bytes(audio.ljust(FRAME, b"\0"))
        if self.buffered:
            del self.buffered[:FRAME]
            self.played_ms += 20
            if self.frames % 5 == 0 or not self.buffered:
                buffered_ms = len(self.buffered) // MS
                await self.tell(Playout(self.played_ms, buffered_ms, self.frames * 20))
        # Let the agent work: its engines are fakes that only need the loop (and a thread).
        await asyncio.sleep(0.001)

    async def speak(self, ms: int = 1000) -> None:
        sound = voice(ms)
        for begin in range(0, len(sound), FRAME):
            await self.step(sound[begin : begin + FRAME])

    async def until(self, condition: Callable[[], bool], limit_ms: int = 30_000) -> None:
        """Silence until something is so."""
        for _ in range(limit_ms // 20):
            if condition():
                return
            await self.step()
        raise AssertionError(f"did not happen in {limit_ms} ms; received {self.received[-5:]}")

    async def until_closed(self) -> None:
        """Wait for the agent to close the stream."""
        async with asyncio.timeout(10):
            await self.closed.wait()

    async def until_said(self, text: str) -> None:
        """Silence until the agent has said a sentence to its end."""
        await self.until(lambda: any(text in said for said in self.said()))
        await self.until(lambda: not self.buffered)

    def said(self) -> list[str]:
        """What the agent's captions show, one entry a reply."""
        latest: dict[str, str] = {}
        for message in self.received:
            if isinstance(message, Caption) and message.speaker == "agent":
                latest[message.caption_id] = message.text
        return list(latest.values())

    def got(self, kind: type) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]


@dataclass
class Bench:
    """An agent with fake engines, and calls to it."""

    ears: FakeEars = field(default_factory=FakeEars)
    judgement: FakeJudgement = field(default_factory=FakeJudgement)
    knowledge: FakeLibrary = field(default_factory=FakeLibrary)
    model: FakeModel = field(default_factory=FakeModel)
    mouth: FakeMouth = field(default_factory=FakeMouth)
    records: FakeRecords = field(default_factory=FakeRecords)
    settings: Settings = field(default_factory=Settings)
    actions: CompanySystems | None = None
    roads: Any = None
    larger: FakeModel | None = None
    pace: Pace = field(default_factory=Pace)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[TestClient[Any, Any]]:
        engines = Engines(
            voice=FakeVoiceModel(),  # type: ignore[arg-type]
            completeness=self.judgement,  # type: ignore[arg-type]
            transcriber=self.ears,  # type: ignore[arg-type]
            knowledge=self.knowledge,  # type: ignore[arg-type]
            model=self.model,  # type: ignore[arg-type]
            synthesiser=self.mouth,  # type: ignore[arg-type]
            records=self.records,  # type: ignore[arg-type]
            prompt=AnswerPrompt("Answer for {company}.", "Fernhill Home"),
            actions=self.actions,
            roads=self.roads,
            pace=self.pace,
            larger=Writer(self.larger, "larger") if self.larger else None,
            warm=True,
        )
        async with TestClient(TestServer(AgentServer(self.settings, engines).app)) as client:
            yield client

    @asynccontextmanager
    async def call(self, **start: Any) -> AsyncIterator[FakeGateway]:
        """A call; ``start`` are fields of its first message."""
        async with self.agent() as client:
            socket = await client.ws_connect("/media", max_msg_size=0)
            gateway = FakeGateway(socket)
            listening = asyncio.create_task(gateway.listen())
            await gateway.tell(Start("call-1", "sip:caller@example.com", **start))
            try:
                yield gateway
            finally:
                await socket.close()
                await listening

    @asynccontextmanager
    async def greeted(self) -> AsyncIterator[FakeGateway]:
        async with self.call() as gateway:
            await gateway.until_said(GREETING)
            yield gateway
