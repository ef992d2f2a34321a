"""The stage that writes answers: from a question with passages to clauses, as they are made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

import structlog
from pipecat.frames.frames import Frame, StartFrame

from voice_agent.answering import phrases
from voice_agent.answering.chat_protocol import (
    Finished,
    Item,
    Message,
    Token,
)
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.extract import Quote, extract
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.pace import Pace
from voice_agent.answering.prompt import DECLINE_WORDS, AnswerPrompt
from voice_agent.answering.sources import sources_of
from voice_agent.config import AnsweringSettings
from voice_agent.frames import (
    ClauseForeseen,
    ClauseWritten,
    PassagesForeseen,
    ReplyGrounded,
    ReplyWritten,
)
from voice_agent.knowledge.index import Passage
from voice_agent.records import metrics
from voice_agent.reply import Clause, Reply, Road
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.grounding import Verdict, judge_clause
from voice_agent.speech.clauses import ClauseSplitter

log = structlog.get_logger(__name__)

CERTAIN_COVERAGE = 0.6
"""A passage with so much of a question's words is quoted when the model is late or declines."""
DOUBT_EXTRA_S, NOTHING_EXTRA_S = 0.25, 0.4
"""With a passage that has fewer of them, or none to quote, the model has so much more time."""
HEAD_START_S = 0.2
"""What the model has before the caller's turn is over: it is asked in their first silence."""
WAIT_FOR_WARMING_S = 1.5
"""A prompt that is being read is waited for: a second request would read it all again."""


class Model(Protocol):
    """A language model (see ``answering.language_model``)."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, priority: int = 0
    ) -> AsyncGenerator[Item, None]:
        """Tokens of the answer."""

    async def warm(self, messages: Sequence[Message]) -> None:
        """Let the server read a prompt beforehand."""


class EmptyAnswer(Exception):
    """The model wrote nothing that can be spoken."""

    code = "answer_empty"
    retryable = True


class Answerer(ReplyStage):
    """Writes answers with the language model, and lets it read beforehand."""

    def __init__(
        self,
        settings: AnsweringSettings,
        model: Model,
        prompt: AnswerPrompt,
        conversation: Conversation,
        pace: Pace,
    ) -> None:
        super().__init__()
        self._pace = pace
        self._model = model
        self._model_name = settings.model.model
        self._quote_after_s = settings.quote_after_ms / 1000
        self._prompt = prompt
        self._conversation = conversation
        self._warming: asyncio.Task[None] | None = None
        self._warming_passages: tuple[Passage, ...] = ()

    async def handle(self, frame: Frame) -> bool:
        """Take grounded questions and what can be read beforehand."""
        match frame:
            case StartFrame():
                self._warm("", (), ())
                return False
            case PassagesForeseen():
                await self._foresee(frame)
                return True
            case ReplyGrounded(reply=reply):
                self.work_on(reply, self._answer(reply, frame.history))
                return True
            case _:
                return False

    async def cleanup(self) -> None:
        """Stop reading; the call is over."""
        self._stop_warming()
        await super().cleanup()

    def _messages(
        self, question: str, passages: Sequence[Passage], history: Sequence[tuple[str, str]]
    ) -> list[Message]:
        return self._prompt.messages(question, passages, history, self._conversation.summary)

    async def _foresee(self, frame: PassagesForeseen) -> None:
        """Let the model read the passages, and make the sound of what may be quoted of them."""
        if frame.fresh:
            self._warm(frame.text, frame.passages, frame.history)
        if quote := extract(frame.text, frame.passages):
            await self.push_frame(ClauseForeseen(clauses_of(quote.text)[0]))

    def _warm(
        self,
        question: str,
        passages: tuple[Passage, ...],
        history: tuple[tuple[str, str], ...],
    ) -> None:
        self._stop_warming()
        if self._pace.hopeless(HEAD_START_S + self._quote_after_s + NOTHING_EXTRA_S):
            return
        self._warming_passages = passages
        messages = self._messages(question, passages, history)
        self._warming = asyncio.create_task(self._read(messages))

    async def _read(self, messages: Sequence[Message]) -> None:
        try:
            await self._model.warm(messages)
        except LanguageModelError as error:  # the answer itself reports a fault
            log.info("warming_failed", code=error.code)

    def _stop_warming(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None

    async def _wait_for_warming(self, passages: Sequence[Passage]) -> None:
        if self._warming is None or self._warming.done():
            return
        if tuple(passages) != self._warming_passages:
            self._stop_warming()
            return
        await asyncio.wait({self._warming}, timeout=WAIT_FOR_WARMING_S)

    async def _answer(self, reply: Reply, history: tuple[tuple[str, str], ...]) -> None:
        passages = reply.retrieval.passages if reply.retrieval else ()
        if not passages:
            await self._decline(reply)
            return
        quote = extract(reply.question, passages)
        if quote is not None:
            await self.push_frame(ClauseForeseen(clauses_of(quote.text)[0]))
        patience_s = self._patience_s(quote)
        if self._pace.hopeless(HEAD_START_S + patience_s):
            self._pace.note_not_asked()
            metrics.repairs.labels(reason="hopeless").inc()
            await self._do_without_model(reply, quote)
            return
        begun = asyncio.Event()
        writing = asyncio.create_task(self._generate(reply, history, begun))
        try:
            if await _begins(writing, begun, reply.turn_over, patience_s):
                await self._keep_what_was_written(reply, quote, writing)
            else:
                writing.cancel()
                await asyncio.wait({writing})
                metrics.repairs.labels(reason="late").inc()
                await self._do_without_model(reply, quote)
        finally:
            writing.cancel()
        self._warm("", (), (*history, (reply.question, reply.text)))

    def _patience_s(self, quote: Quote | None) -> float:
        """How long after the caller's turn the model may take over its first clause when there is
        this to say instead."""
        if quote is None:
            return self._quote_after_s + NOTHING_EXTRA_S
        certain = quote.coverage >= CERTAIN_COVERAGE
        return self._quote_after_s + (0.0 if certain else DOUBT_EXTRA_S)

    async def _keep_what_was_written(
        self, reply: Reply, quote: Quote | None, writing: asyncio.Task[None]
    ) -> None:
        try:
            await writing
        except (LanguageModelError, EmptyAnswer) as error:
            if reply.clauses:
                raise
            log.warning("model_done_without", code=error.code, turn_id=reply.turn_id)
            metrics.errors.labels(code=error.code).inc()
            await self._do_without_model(reply, quote)

    async def _do_without_model(self, reply: Reply, quote: Quote | None) -> None:
        """The company's own words are as good an answer; none of them fit: say so."""
        reply.model = ""
        if quote is None:
            await self._decline(reply)
        else:
            await self._quote(reply, quote)

    async def _generate(
        self,
        reply: Reply,
        history: tuple[tuple[str, str], ...],
        begun: asyncio.Event,
    ) -> None:
        """Let the model write; ``begun`` is set with its first clause."""
        asked = time.perf_counter()
        try:
            await self._write_all(reply, history, begun)
        finally:
            took_s = time.perf_counter() - asked
            if not begun.is_set():
                self._pace.note_at_least(took_s)
            elif reply.clauses:
                self._pace.note(reply.marks["first_clause"] - asked)

    async def _write_all(
        self, reply: Reply, history: tuple[tuple[str, str], ...], begun: asyncio.Event
    ) -> None:
        await self._wait_for_warming(reply.read)
        reply.model, reply.prompt_id = self._model_name, self._prompt.prompt_id
        splitter = ClauseSplitter()
        messages = self._messages(reply.question, reply.read, history)
        async with aclosing(self._model.stream(messages)) as items:
            async for item in items:
                if reply.failure:
                    return
                match item:
                    case Token(text=text):
                        reply.mark("first_token")
                        for clause in splitter.feed(text):
                            if not await self._write(reply, clause, begun):
                                return
                    case Finished():
                        _note_cost(reply, item)
                    case _:
                        log.warning("tool_call_ignored", turn_id=reply.turn_id)
        for clause in splitter.finish():
            if not await self._write(reply, clause, begun):
                return
        if not reply.clauses:
            raise EmptyAnswer("the model wrote nothing")
        await self._finish(reply)

    async def _write(self, reply: Reply, text: str, begun: asyncio.Event) -> bool:
        """Send one clause on; false when the answer ends here, with or without it."""
        begun.set()
        found = reply.retrieval.passages if reply.retrieval else ()
        passages = (*reply.read, *found)
        first = not reply.clauses
        declines = DECLINE_WORDS.lower() in text.lower().replace("’", "'")
        verdict = judge_clause(text, passages, reply.question, first=first)
        if declines or verdict is Verdict.REPAIR:
            metrics.repairs.labels(reason="declined" if declines else "unsupported").inc()
            quote = extract(reply.question, found)
            if not first:
                await self._finish(reply)
            elif quote is None or (declines and quote.coverage < CERTAIN_COVERAGE):
                await self._decline(reply)
            else:
                await self._quote(reply, quote)
            return False
        clause = Clause(text, sources_of(text, passages))
        reply.clauses.append(clause)
        reply.mark("first_clause")
        await self.push_frame(ClauseWritten(reply, clause))
        return True

    async def _quote(self, reply: Reply, quote: Quote) -> None:
        """Answer with a passage's own words instead of the model's."""
        reply.road, reply.model = Road.QUOTE, ""
        reply.mark("first_token")
        for text in clauses_of(quote.text):
            clause = Clause(text, (quote.passage.passage_id,))
            reply.clauses.append(clause)
            reply.mark("first_clause")
            await self.push_frame(ClauseWritten(reply, clause))
        await self._finish(reply)

    async def _decline(self, reply: Reply) -> None:
        reply.road = Road.DECLINE
        clause = Clause(phrases.DECLINED, fixed=True)
        reply.clauses.append(clause)
        reply.mark("first_token")
        reply.mark("first_clause")
        await self.push_frame(ClauseWritten(reply, clause))
        await self._finish(reply)

    async def _finish(self, reply: Reply) -> None:
        reply.written = True
        await self.push_frame(ReplyWritten(reply))


async def _begins(
    writing: asyncio.Task[None],
    begun: asyncio.Event,
    turn_over: asyncio.Event,
    patience_s: float,
) -> bool:
    """Whether the model begins (or ends) before the turn has been over for so long."""
    beginning = asyncio.create_task(begun.wait())
    over = asyncio.create_task(turn_over.wait())
    try:
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({writing, beginning, over}, return_when=first)
        if not writing.done() and not begun.is_set():
            await asyncio.wait({writing, beginning}, timeout=patience_s, return_when=first)
        return writing.done() or begun.is_set()
    finally:
        beginning.cancel()
        over.cancel()


def clauses_of(text: str) -> list[str]:
    """A finished text in the pieces it is spoken in."""
    splitter = ClauseSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def _note_cost(reply: Reply, finished: Finished) -> None:
    reply.prompt_tokens = finished.prompt_tokens or 0
    reply.cached_tokens = finished.cached_tokens or 0
    reply.completion_tokens = finished.completion_tokens or 0
    metrics.count_tokens(finished)
