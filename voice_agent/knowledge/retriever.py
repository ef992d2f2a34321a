"""The stage that finds passages: beforehand while the caller speaks, and for the question."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from pipecat.frames.frames import Frame

from voice_agent.errors import as_logged
from voice_agent.frames import PassagesForeseen, QuestionForeseen, ReplyAsked, ReplyGrounded
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query, make_query
from voice_agent.knowledge.search import Retrieval
from voice_agent.reply import Reply
from voice_agent.reply_stage import ReplyStage

log = structlog.get_logger(__name__)


class Library(Protocol):
    """Where passages are found (see ``knowledge.index.Knowledge``)."""

    async def search(self, query: Query, limit: int | None = None) -> Retrieval:
        """Passages for a query, best first."""


class Retriever(ReplyStage):
    """Adds passages to questions.

    Passages foreseen while the caller spoke are kept for the question when the best passage for
    it is among them: the model has read them already, and reading is the cost.
    """

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library
        self._foreseen: tuple[Passage, ...] = ()
        self._foreseeing: asyncio.Task[None] | None = None

    async def handle(self, frame: Frame) -> bool:
        """Take questions, foreseen or asked."""
        match frame:
            case PassagesForeseen():
                return False
            case QuestionForeseen():
                self._stop_foreseeing()
                self._foreseeing = asyncio.create_task(self._foresee(frame))
                return True
            case ReplyGrounded():
                return False
            case ReplyAsked(reply=reply):
                self._stop_foreseeing()
                self.work_on(reply, self._ground(reply, frame.history))
                return True
            case _:
                return False

    async def cleanup(self) -> None:
        """Stop foreseeing; the call is over."""
        self._stop_foreseeing()
        await super().cleanup()

    def _stop_foreseeing(self) -> None:
        if self._foreseeing is not None:
            self._foreseeing.cancel()
            self._foreseeing = None

    async def _foresee(self, question: QuestionForeseen) -> None:
        try:
            found = await self._library.search(make_query(question.history, question.text))
        except Exception as error:  # preparing is optional; the question itself reports a fault
            log.warning("foreseeing_failed", **as_logged(error))
            return
        if not found.passages:
            return
        fresh = not _covered(found.passages, self._foreseen)
        if fresh:
            self._foreseen = found.passages
        await self.push_frame(
            PassagesForeseen(question.text, question.history, found.passages, fresh)
        )

    async def _ground(self, reply: Reply, history: tuple[tuple[str, str], ...]) -> None:
        found = await self._library.search(make_query(history, reply.question))
        reply.retrieval, reply.read = found, found.passages
        if self._foreseen:
            reply.prepared_passages = _covered(found.passages, self._foreseen)
            if reply.prepared_passages:
                reply.read = self._foreseen
            self._foreseen = ()
        reply.mark("retrieved")
        await self.push_frame(ReplyGrounded(reply, history))


def _covered(passages: tuple[Passage, ...], by: tuple[Passage, ...]) -> bool:
    """Whether the best of ``passages`` is among ``by``."""
    return bool(passages) and passages[0].passage_id in {passage.passage_id for passage in by}
