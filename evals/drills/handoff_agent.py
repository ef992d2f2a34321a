"""The agent's end of a drilled call: the product's own handoff desk, with a caller who says what
the script has them want."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from evals.drills.handoff_script import Script
from telephony.media_stream import FRAME_BYTES, Message, Resume, Start, Stop, encode, parse
from voice_agent.answering.conversation import Conversation
from voice_agent.config import Settings
from voice_agent.handoff import phrases
from voice_agent.handoff.desk import HandoffDesk
from voice_agent.handoff.reasons import Reasons, default_reasons
from voice_agent.reply import AfterReply, Reply, Road, RoadChoice

SOUND = np.full(FRAME_BYTES // 2 * 10, 3_000, "<i2").tobytes()
VOICE = np.full(FRAME_BYTES // 2 * 50, 6_000, "<i2").tobytes()


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str = "Please ring me about my order."


class _Mouth:
    async def speak(self, _text: str) -> AsyncGenerator[bytes, None]:
        yield SOUND


class _Ears:
    async def transcribe(self, _samples: object) -> _Heard:
        return _Heard()


class _Records:
    def __init__(self) -> None:
        self.latest: Any = None

    def record_handoff(self, record: Any) -> None:
        self.latest = record


@dataclass(slots=True)
class _Engines:
    synthesiser: _Mouth = field(default_factory=_Mouth)
    transcriber: _Ears = field(default_factory=_Ears)
    records: _Records = field(default_factory=_Records)
    reasons: Reasons = field(default_factory=default_reasons)


def with_target(settings: Settings, queue: str) -> Settings:
    """The settings of a company whose callers all come to this queue."""
    handoff = settings.handoff.model_copy(update={"target": queue})
    return settings.model_copy(update={"handoff": handoff})


class DrilledAgent:
    """One stream: asks for a person at once, then does what the desk says and the caller wants."""

    def __init__(
        self,
        settings: Settings,
        socket: web.WebSocketResponse,
        script_of: Callable[[DrilledAgent, Start], Script],
    ) -> None:
        self.engines = _Engines()
        self.said: list[str] = []
        self.unfinished: Reply | None = None
        self.has_caller = False
        """The caller was told how it stands, and the agent goes on with them."""
        self._socket = socket
        self._script_of = script_of
        self._wish = ""
        self._settings = settings
        self._desk = HandoffDesk(settings, self.engines, Conversation(6))
        self._replies = 0
        self.leave_message: Callable[[], None] = lambda: None
        """Has the caller speak after the tone, and press the hash key."""
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def outcome(self) -> str:
        """What the record says became of the latest attempt."""
        return self.engines.records.latest.outcome if self.engines.records.latest else ""

    async def serve(self) -> None:
        """Until the stream ends."""
        async for item in self._socket:
            if item.type is WSMsgType.BINARY:
                self._desk.heard_audio(item.data)
            if item.type is not WSMsgType.TEXT:
                continue
            told = parse(item.data)
            match told:
                case Start():
                    script = self._script_of(self, told)
                    if script.agent == "never_there":
                        await self._socket.close()
                        break
                    self._wish = script.wish
                    self._desk = HandoffDesk(
                        with_target(self._settings, script.queue), self.engines, Conversation(6)
                    )
                    self._desk.open(told, self, None, self._send, self._spawn)
                    await self._socket.send_bytes(SOUND)
                    if told.resumed:
                        self.has_caller = True
                    else:
                        self._spawn(self._ask())
                case Stop():
                    break
                case Resume(reason):
                    await self._desk.resume(reason)
                case None:
                    pass
                case _:
                    await self._desk.take(told)
        await self._desk.close()
        for task in self._tasks:
            task.cancel()

    def kill(self) -> None:
        """Gone without a word."""
        request = self._socket._req
        if request is not None and request.transport is not None:
            request.transport.abort()

    # --- what the desk asks of a turn taker ------------------------------------------------------

    async def say(self, text: str) -> None:
        """Say it; the caller answers."""
        self.said.append(text)
        await self._socket.send_bytes(SOUND)
        self._spawn(self._answer(text))

    async def wait_for_person(self) -> None:
        """Nothing changes for this caller."""

    async def change_line(self, ours: bool) -> None:
        """Nothing is heard from this caller anyway."""

    # --- the caller ------------------------------------------------------------------------------

    async def _ask(self) -> None:
        reply = self._reply("I would like to speak to a person, please.")
        reply.road, reply.choice = Road.PERSON, RoadChoice(Road.PERSON, name="asked")
        reply.after = AfterReply.TRANSFER
        reply.commit()
        await self._desk.begun(reply)
        reply.end_reason = "completed"
        await self._desk.over(reply)

    async def _answer(self, said: str) -> None:
        words = self._words_for(said)
        if not words:
            self.has_caller = "queue" not in said
            return
        reply = self._reply(words)
        self._desk.hear(reply)
        reply.commit()
        self._desk.commit(reply)
        if reply.fixed_text:
            self.said.append(reply.fixed_text)
            await self._socket.send_bytes(SOUND)
        else:
            self.has_caller = True
        reply.heard, reply.end_reason = reply.fixed_text or "An answer.", "completed"
        await self._desk.over(reply)
        if reply.fixed_text == phrases.SPEAK_NOW:
            self.leave_message()
        elif reply.fixed_text not in ("", phrases.ONE_MOMENT):
            await self._answer(reply.fixed_text)

    def _words_for(self, said: str) -> str:
        """What this caller says to that; nothing when nothing is asked of them."""
        if phrases.CALL_BACK_ANY_TIME in said and self._wish == "call_back":
            return "Then please call me back."
        if "call you back at" in said and said.endswith("?") and "Shall" in said:
            return {
                "call_back": "Yes, please.",
                "other_number": "No, on another number.",
            }.get(self._wish, "No, thanks.")
        if phrases.SHALL_WE_CALL in said:
            return "Yes." if self._wish in ("call_back", "other_number") else "No."
        if phrases.WHICH_NUMBER in said:
            return "Oh one six one, four nine six, double zero seven eight."
        if "is that right" in said:
            return "Yes, that's right."
        if phrases.LEAVE_MESSAGE in said:
            if self._wish == "question":
                return "How much is delivery to Ohio then?"
            return "Yes." if self._wish == "message" else "No, thank you."
        return ""

    def _reply(self, words: str) -> Reply:
        self._replies += 1
        return Reply(self._replies, f"turn-{self._replies}", words)

    async def _send(self, message: Message) -> None:
        if not self._socket.closed:
            await self._socket.send_str(encode(message))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
