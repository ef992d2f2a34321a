"""The stage that gives clauses a voice, in order, as soon as each is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol

from pipecat.frames.frames import Frame

from voice_agent.frames import ClauseForeseen, ClauseVoiced, ClauseWritten, ReplyDropped
from voice_agent.reply import Clause, Reply
from voice_agent.reply_stage import ReplyStage
from voice_agent.speech.spoken_text import as_spoken


class Mouth(Protocol):
    """Text to speech (see ``speech.synthesiser``)."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """16 kHz PCM of a text as it is spoken."""

    async def remember(self, texts: Iterable[str]) -> int:
        """Make the sound of texts beforehand."""


class Speaker(ReplyStage):
    """One clause of a reply at a time; each waits for the one before."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth
        self._turns: dict[int, asyncio.Lock] = {}
        self._foreseen: tuple[str, asyncio.Task[int]] | None = None

    async def handle(self, frame: Frame) -> bool:
        """Take written clauses."""
        if isinstance(frame, ReplyDropped):
            self._stop_foreseeing()
            return False
        if isinstance(frame, ClauseForeseen):
            self._foresee(frame)
            return True
        if not isinstance(frame, ClauseWritten):
            return False
        # asyncio locks are fair: clauses of a reply get their turn in the order they came.
        turn = self._turns.setdefault(frame.reply.reply_id, asyncio.Lock())
        for old in [key for key in self._turns if key < frame.reply.reply_id - 8]:
            del self._turns[old]
        self.work_on(frame.reply, self._voice(frame.reply, frame.clause, turn))
        return True

    def _foresee(self, frame: ClauseForeseen) -> None:
        self._stop_foreseeing()
        text = as_spoken(frame.text)
        self._foreseen = (text, asyncio.create_task(self._mouth.remember([text])))

    async def cleanup(self) -> None:
        """Stop speaking; the call is over."""
        self._stop_foreseeing()
        await super().cleanup()

    def _stop_foreseeing(self) -> None:
        if self._foreseen is not None:
            self._foreseen[1].cancel()
            self._foreseen = None

    async def _voice(self, reply: Reply, clause: Clause, turn: asyncio.Lock) -> None:
        async with turn:
            if reply.failure and not clause.fixed:
                clause.complete = True
                return
            try:
                text = as_spoken(clause.text)
                if self._foreseen is not None and self._foreseen[0] == text:
                    # On its way already; a second request would only wait behind it.
                    await asyncio.wait({self._foreseen[1]})
                async with aclosing(self._mouth.speak(text)) as pieces:
                    async for piece in pieces:
                        clause.audio += piece
                        reply.mark("first_audio")
                        await self.push_frame(ClauseVoiced(reply, clause))
            except Exception:
                # Not over yet: something will be said instead of this clause.
                reply.written = False
                clause.complete = True
                raise
            clause.complete = True
            await self.push_frame(ClauseVoiced(reply, clause))
