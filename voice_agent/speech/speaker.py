"""The stage that gives clauses a voice, in order, as soon as each is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from pipecat.frames.frames import Frame

from voice_agent.frames import ClauseForeseen, ClauseVoiced, ClauseWritten, ReplyDelayed
from voice_agent.reply import Clause, Reply
from voice_agent.reply_stage import ReplyStage
from voice_agent.speech.fillers import Fillers
from voice_agent.speech.spoken_text import as_spoken


class Mouth(Protocol):
    """Text to speech (see ``speech.synthesiser``)."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """16 kHz PCM of a text as it is spoken."""

    async def foresee(self, text: str) -> None:
        """Make the sound of a text beforehand; cancelled when it is not needed."""


class Speaker(ReplyStage):
    """One clause of a reply at a time; each waits for the one before."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__()
        self._mouth = mouth
        self._fillers = Fillers()
        self._turns: dict[int, asyncio.Lock] = {}
        self._foreseen: tuple[str, asyncio.Task[None]] | None = None

    async def handle(self, frame: Frame) -> bool:
        """Take written clauses."""
        match frame:
            case ClauseForeseen(text=text):
                self._foresee(as_spoken(text))
                return True
            case ReplyDelayed(reply=reply):
                self.work_on(reply, self._fill(reply))
                return True
            case ClauseWritten(reply=reply, clause=clause):
                self._take(reply, clause)
                return True
            case _:
                return False

    def _take(self, reply: Reply, clause: Clause) -> None:
        # asyncio locks are fair: clauses of a reply get their turn in the order they came.
        turn = self._turns.setdefault(reply.reply_id, asyncio.Lock())
        for old in [key for key in self._turns if key < reply.reply_id - 8]:
            del self._turns[old]
        self.work_on(reply, self._voice(reply, clause, turn))

    def _foresee(self, text: str) -> None:
        """Make the sound of words that may be needed; what was foreseen before gives way."""
        if self._foreseen is None or self._foreseen[0] != text:
            self._stop_foreseeing()
            self._foreseen = (text, asyncio.create_task(self._mouth.foresee(text)))

    async def _fill(self, reply: Reply) -> None:
        text = self._fillers.next(reply.reply_id)
        if text is None:
            return
        async with aclosing(self._mouth.speak(as_spoken(text))) as pieces:
            audio = b"".join([piece async for piece in pieces])
        if reply.filler is None and not any(clause.audio for clause in reply.clauses):
            reply.filler = Clause(text, audio=audio, fixed=True, complete=True)
            await self.push_frame(ClauseVoiced(reply, reply.filler))

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
                async with aclosing(self._mouth.speak(text)) as pieces:
                    async for piece in pieces:
                        if self._foreseen is not None and self._foreseen[0] == text:
                            self._stop_foreseeing()
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
