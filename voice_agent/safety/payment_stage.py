"""The stage that keeps payment data out of the recording, by asking the gateway for a pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from pipecat.frames.frames import Frame

from telephony.media_stream import Message, Pause, Start
from voice_agent.frames import (
    PassagesForeseen,
    QuestionForeseen,
    ReplyAsked,
    ReplyBegun,
    ReplyCommitted,
    ReplyOver,
)
from voice_agent.records import metrics
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.payment import PaymentTalk

UNDERSTANDING_MS = 1_000
"""Before the utterance: what the first sound of it may have been missed by."""


class Utterance(Protocol):
    """What of the turn taker is needed."""

    @property
    def utterance_ms(self) -> int:
        """How long ago the caller's latest utterance began."""


class PaymentWatch(ReplyStage):
    """Sees the caller's words first, while they are still being said, and the agent's as they
    begin to be heard."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], utterance: Utterance) -> None:
        super().__init__()
        self._send = send
        self._utterance = utterance
        self._talk = PaymentTalk()

    def open(self, start: Start) -> None:
        """The call begins, perhaps in a pause that an earlier agent asked for."""
        self._talk.paused = start.paused

    async def handle(self, frame: Frame) -> bool:
        """Look at what the caller says; every frame goes on."""
        match frame:
            case PassagesForeseen():
                pass
            case QuestionForeseen(text=text):
                await self._hear(text)
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                await self._hear(reply.question)
            case ReplyCommitted(reply=reply):
                self._talk.commit(reply.question)
        return False

    async def handle_upstream(self, frame: Frame) -> bool:
        """Look at what the agent says, and at what it has said."""
        match frame:
            case ReplyBegun(reply=reply):
                paused = self._talk.paused
                if self._talk.hear_agent(reply.text):
                    await self._pause(0, begins=not paused)
            case ReplyOver(reply=reply) if reply.committed:
                if self._talk.over(reply.question, reply.text):
                    await self._send(Pause(on=False))
        return False

    async def _hear(self, words: str) -> None:
        paused = self._talk.paused
        if self._talk.hear_caller(words):
            back_ms = self._utterance.utterance_ms + UNDERSTANDING_MS
            await self._pause(back_ms, begins=not paused)

    async def _pause(self, back_ms: int, *, begins: bool) -> None:
        """Asked for anew with all such words: a supervisor may have had the recording go on."""
        if begins:
            metrics.guarded.labels(side="recording", reason="payment").inc()
        await self._send(Pause(on=True, back_ms=back_ms))
