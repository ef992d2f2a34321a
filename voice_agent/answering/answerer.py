"""The stage that writes answers: from a question with passages to clauses, as they are made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing

import structlog
from pipecat.frames.frames import Frame, StartFrame

from voice_agent.answering import phrases
from voice_agent.answering.chat_protocol import (
    Finished,
    Message,
    Token,
)
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.extract import Quote
from voice_agent.answering.grounded_answer import CERTAIN_COVERAGE, GroundedAnswer, Step
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.pace import Pace
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.answering.writer import Model, Writer, first_clause_s
from voice_agent.config import AnsweringSettings
from voice_agent.errors import as_logged
from voice_agent.frames import (
    ClauseForeseen,
    ClauseWritten,
    PassagesForeseen,
    ReplyGrounded,
    ReplyWritten,
)
from voice_agent.knowledge.passages import Passage
from voice_agent.records import metrics
from voice_agent.reply import Clause, Reply, Road
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.evidence import evidence_of
from voice_agent.safety.grounding_gate import Judge, Meanings
from voice_agent.speech.clauses import ClauseSplitter

log = structlog.get_logger(__name__)

DOUBT_EXTRA_S, NOTHING_EXTRA_S = 0.25, 0.4
"""With a passage that has fewer of them, or none to quote, the model has so much more time."""
HEAD_START_S = 0.2
"""What the model has before the caller's turn is over: it is asked in their first silence."""
WAIT_FOR_WARMING_S = 1.5
"""A prompt that is being read is waited for: a second request would read it all again."""


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
        meanings: Meanings | None = None,
        judge: Judge | None = None,
        larger: Writer | None = None,
    ) -> None:
        super().__init__()
        self._small = Writer(model, settings.model.model, pace)
        self._larger = larger
        self._meanings = meanings
        self._judge = judge
        self._pace = pace
        self._model = model
        self._quote_after_s = settings.quote_after_ms / 1000
        self._prompt = prompt
        self._conversation = conversation
        self._warming: asyncio.Task[None] | None = None
        self._warming_passages: tuple[Passage, ...] = ()
        self._weighing: asyncio.Task[None] | None = None

    async def handle(self, frame: Frame) -> bool:
        """Take grounded questions and what can be read beforehand."""
        match frame:
            case StartFrame():
                self._warm("", (), ())
                return False
            case PassagesForeseen():
                self._foresee(frame)
                return True
            case ReplyGrounded(reply=reply):
                self.work_on(reply, self._answer(reply, frame.history))
                return True
            case _:
                return False

    async def cleanup(self) -> None:
        """Stop reading; the call is over."""
        self._stop_warming()
        if self._weighing is not None:
            self._weighing.cancel()
        await super().cleanup()

    def _messages(
        self, question: str, passages: Sequence[Passage], history: Sequence[tuple[str, str]]
    ) -> list[Message]:
        return self._prompt.messages(question, passages, history, self._conversation.background)

    def _foresee(self, frame: PassagesForeseen) -> None:
        """Let the model read the passages, and make the sound of what may be quoted of them."""
        if frame.fresh:
            self._warm(frame.text, frame.passages, frame.history)
        if self._weighing is not None:
            self._weighing.cancel()
        self._weighing = asyncio.create_task(self._weigh(frame))

    async def _weigh(self, frame: PassagesForeseen) -> None:
        """Take the passages apart beforehand; the answer itself has only moments for it."""
        try:
            if self._meanings is not None:
                await self._meanings.prepare(evidence_of(frame.passages, ""))
            answer = await GroundedAnswer.prepare(
                frame.text, frame.passages, meanings=self._meanings
            )
        except Exception as error:  # preparing is optional; the answer itself reports a fault
            log.warning("weighing_failed", **as_logged(error))
            return
        await self._foresee_quote(answer.quote)

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

    def _measure(self, writer: Writer, reply: Reply, history: tuple[tuple[str, str], ...]) -> None:
        """See whether a model that was too slow still is, while the caller hears the answer."""
        self._stop_warming()
        self._warming_passages = ()
        before = self._messages("", reply.read, history)
        self._warming = asyncio.create_task(
            self._time(writer, before, self._messages(reply.question, reply.read, history))
        )

    @staticmethod
    async def _time(writer: Writer, before: Sequence[Message], asked: Sequence[Message]) -> None:
        try:
            await writer.model.warm(before)  # as it is for a caller whose passages were foreseen
            writer.pace.note_measured(await first_clause_s(writer.model, asked))
        except LanguageModelError as error:  # it stays as slow as it was
            log.info("model_not_measured", code=error.code)

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
            await self._decline(reply, phrases.DECLINED)
            return
        weighing = self._start_weighing(reply, passages, history)
        pace = self._writer(reply).pace
        if pace.hopeless(HEAD_START_S + self._quote_after_s):
            answer = await weighing  # perhaps the model is not asked at all
            if pace.hopeless(HEAD_START_S + self._patience_s(answer.quote)):
                await self._foresee_quote(answer.quote)
                metrics.repairs.labels(reason="hopeless").inc()
                await self._do_without_model(reply, answer)
                if pace.note_not_asked():
                    self._measure(self._writer(reply), reply, history)
                return
        begun = asyncio.Event()
        writing = asyncio.create_task(self._generate(reply, history, weighing, begun))
        try:
            answer = await weighing
            await self._foresee_quote(answer.quote)
            patience_s = self._patience_s(answer.quote)
            if await _begins(writing, begun, reply.turn_over, patience_s):
                await self._keep_what_was_written(reply, answer, writing)
            else:
                writing.cancel()
                await asyncio.wait({writing})
                metrics.repairs.labels(reason="late").inc()
                await self._do_without_model(reply, answer)
        finally:
            weighing.cancel()
            writing.cancel()
        self._warm("", (), (*history, (reply.question, reply.text)))

    def _writer(self, reply: Reply) -> Writer:
        """The model for this reply: the larger one, if there is one, for what is hard."""
        return self._larger if self._larger and reply.hard else self._small

    def _start_weighing(
        self,
        reply: Reply,
        passages: Sequence[Passage],
        history: tuple[tuple[str, str], ...],
    ) -> asyncio.Task[GroundedAnswer]:
        """Weigh what there is to say while the model begins; that takes longer."""
        return asyncio.create_task(
            GroundedAnswer.prepare(
                reply.question,
                passages,
                asked=reply.retrieval.query if reply.retrieval else "",
                heard=[caller for caller, _ in history],
                read=reply.read,
                meanings=self._meanings,
                model=self._judge,
            )
        )

    async def _foresee_quote(self, quote: Quote | None) -> None:
        if quote is not None:
            await self.push_frame(ClauseForeseen(clauses_of(quote.text)[0]))

    def _patience_s(self, quote: Quote | None) -> float:
        """How long after the caller's turn the model may take over its first clause when there is
        this to say instead."""
        if quote is None:
            return self._quote_after_s + NOTHING_EXTRA_S
        certain = quote.coverage >= CERTAIN_COVERAGE
        return self._quote_after_s + (0.0 if certain else DOUBT_EXTRA_S)

    async def _keep_what_was_written(
        self, reply: Reply, answer: GroundedAnswer, writing: asyncio.Task[None]
    ) -> None:
        try:
            await writing
        except (LanguageModelError, EmptyAnswer) as error:
            if reply.clauses:
                raise
            log.warning("model_done_without", code=error.code, turn_id=reply.turn_id)
            metrics.errors.labels(code=error.code).inc()
            await self._do_without_model(reply, answer)

    async def _do_without_model(self, reply: Reply, answer: GroundedAnswer) -> None:
        """The company's own words are as good an answer; none of them fit: say so."""
        reply.model = ""
        if answer.quote is None:
            await self._decline(reply, _declining(answer))
        else:
            await self._quote(reply, answer.quote)

    async def _generate(
        self,
        reply: Reply,
        history: tuple[tuple[str, str], ...],
        weighing: asyncio.Task[GroundedAnswer],
        begun: asyncio.Event,
    ) -> None:
        """Let the model write; ``begun`` is set with its first clause."""
        asked, pace = time.perf_counter(), self._writer(reply).pace
        try:
            await self._write_all(reply, history, weighing, begun)
        finally:
            took_s = time.perf_counter() - asked
            if not begun.is_set():
                pace.note_at_least(took_s)
            elif reply.clauses:
                pace.note(reply.marks["first_clause"] - asked)

    async def _write_all(
        self,
        reply: Reply,
        history: tuple[tuple[str, str], ...],
        weighing: asyncio.Task[GroundedAnswer],
        begun: asyncio.Event,
    ) -> None:
        writer = self._writer(reply)
        if writer is self._small:  # what another one has read is of no use
            await self._wait_for_warming(reply.read)
        reply.model, reply.prompt_id = writer.name, self._prompt.prompt_id
        splitter = ClauseSplitter()
        messages = self._messages(reply.question, reply.read, history)
        async with aclosing(writer.model.stream(messages)) as items:
            async for item in items:
                if reply.failure:
                    return
                match item:
                    case Token(text=text):
                        reply.mark("first_token")
                        for clause in splitter.feed(text):
                            if not await self._write(reply, clause, await weighing, begun):
                                return
                    case Finished():
                        _note_cost(reply, item)
                    case _:
                        log.warning("tool_call_ignored", turn_id=reply.turn_id)
        for clause in splitter.finish():
            if not await self._write(reply, clause, await weighing, begun):
                return
        if not reply.clauses:
            raise EmptyAnswer("the model wrote nothing")
        await self._finish(reply)

    async def _write(
        self, reply: Reply, text: str, answer: GroundedAnswer, begun: asyncio.Event
    ) -> bool:
        """Send one clause on, or what is said instead; false when the answer ends here."""
        begun.set()
        decided = await answer.take(text)
        if decided.step is Step.SPEAK:
            await self._say(reply, decided.text, decided.source_ids, decided.reason)
            return True
        metrics.repairs.labels(reason=_kind_of(decided.reason)).inc()
        match decided.step:
            case Step.QUOTE if answer.quote is not None:
                await self._quote(reply, answer.quote, f"instead: {decided.reason}")
            case Step.DECLINE:
                await self._decline(reply, _declining(answer))
            case Step.REPAIR:
                for clause in clauses_of(decided.text):
                    await self._say(reply, clause, decided.source_ids, f"instead: {decided.reason}")
                await self._finish(reply)
            case _:
                await self._finish(reply)
        return False

    async def _say(
        self, reply: Reply, text: str, source_ids: tuple[str, ...], because: str
    ) -> None:
        clause = Clause(text, source_ids, because=because)
        reply.clauses.append(clause)
        reply.mark("first_clause")
        await self.push_frame(ClauseWritten(reply, clause))

    async def _quote(self, reply: Reply, quote: Quote, because: str = "quoted") -> None:
        """Answer with a passage's own words instead of the model's."""
        reply.road, reply.model = Road.QUOTE, ""
        reply.mark("first_token")
        for text in clauses_of(quote.text):
            await self._say(reply, text, (quote.passage.passage_id,), because)
        await self._finish(reply)

    async def _decline(self, reply: Reply, words: str) -> None:
        reply.road = Road.DECLINE
        clause = Clause(words, fixed=True)
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


def _declining(answer: GroundedAnswer) -> str:
    """What is said where nothing answers."""
    return phrases.CODE_UNKNOWN if answer.code_unknown else phrases.DECLINED


def _kind_of(reason: str) -> str:
    """A reason as metrics count it: few different ones."""
    return "declined" if reason == "declined" else "unsupported"


def clauses_of(text: str) -> list[str]:
    """A finished text in the pieces it is spoken in."""
    splitter = ClauseSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def _note_cost(reply: Reply, finished: Finished) -> None:
    reply.prompt_tokens = finished.prompt_tokens or 0
    reply.cached_tokens = finished.cached_tokens or 0
    reply.completion_tokens = finished.completion_tokens or 0
    metrics.count_tokens(finished)
