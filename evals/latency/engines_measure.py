"""What one language-model server does with prompts of the product's shape, timed by its client."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import yaml

from evals.latency.engines_serving import EnginesError, Served
from voice_agent.answering.chat_protocol import Message
from voice_agent.answering.language_model import Finished, LanguageModel, Token
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import Settings
from voice_agent.knowledge.passages import Passage, cut_into_passages
from voice_agent.knowledge.sources.reading import read_documents
from voice_agent.speech.clauses import ClauseSplitter

QUESTIONS = "configs/knowledge_questions.yaml"
ANSWER_TOKENS = 40
AT_ONCE = 4
PROMPT_WORDS = 120
"""Words of facts, so that a prompt has about 300 tokens."""
LONG_WORDS = 900
LEAVES_AFTER_S = 0.3
POLL_S = 0.02
IDLE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Facts, a first question on them and another."""

    passages: tuple[Passage, ...]
    questions: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, timed from the call of the client, in ms; ``None``: it did not come to that."""

    first_token_ms: float | None
    first_clause_ms: float | None
    total_ms: float
    prompt_tokens: int
    cached_tokens: int
    tokens: int


@dataclass(slots=True)
class Samples:
    """Everything measured of one engine, one number a repeat."""

    cold_ms: list[float] = field(default_factory=list)
    warm_ms: list[float] = field(default_factory=list)
    warm_clause_ms: list[float] = field(default_factory=list)
    prefill_tokens_s: list[float] = field(default_factory=list)
    decode_tokens_s: list[float] = field(default_factory=list)
    freed_reading_ms: list[float] = field(default_factory=list)
    freed_writing_ms: list[float] = field(default_factory=list)
    four_first_ms: list[float] = field(default_factory=list)
    four_tokens_s: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """The figures; those without a sample are left out."""
        figures = {
            name: round(statistics.median(values), 1)
            for name, values in asdict(self).items()
            if values
        }
        if self.four_first_ms:
            figures["four_first_p50_ms"] = figures.pop("four_first_ms")
            figures["four_first_p95_ms"] = round(float(np.percentile(self.four_first_ms, 95)), 1)
        return figures


def cases(settings: Settings, questions_file: str = QUESTIONS) -> list[Asked]:
    """Prompts of the product's shape from its documents and the questions about them.

    Raises:
        EnginesError: there are no documents or no questions (exit code 2).
    """
    documents, _ = read_documents(settings.knowledge.documents)
    passages = [
        passage
        for document in documents
        for passage in cut_into_passages(document, _words_as_tokens)
    ]
    if not passages:
        raise EnginesError(f"{settings.knowledge.documents}: no documents", exit_code=2)
    try:
        entries = yaml.safe_load(Path(questions_file).read_text(encoding="utf-8"))
        questions = [(str(entry["question"]), str(entry["document"])) for entry in entries]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise EnginesError(f"{questions_file}: holds no questions", exit_code=2) from error
    ids = [passage.document_id for passage in passages]
    asked = []
    for number, (question, document) in enumerate(questions):
        start = ids.index(document) if document in ids else number % len(ids)
        facts = tuple(_enough([*passages[start:], *passages[:start]], PROMPT_WORDS))
        asked.append(Asked(facts, (questions[number - 1][0], question)))
    if not asked:
        raise EnginesError(f"{questions_file}: holds no questions", exit_code=2)
    return asked


def _words_as_tokens(text: str) -> int:
    return len(text) // 4 + 1


def _enough(passages: Iterable[Passage], words: int) -> Iterator[Passage]:
    so_far = 0
    for passage in passages:
        if so_far >= words:
            return
        so_far += len(passage.text.split())
        yield passage


class Prompts:
    """Prompts nobody has read before: each has a company of its own at its very beginning."""

    def __init__(self, settings: Settings, asked: Sequence[Asked]) -> None:
        self._template = settings.answering.prompt.read_text(encoding="utf-8")
        self._company = settings.answering.company
        self._asked = asked
        self._made = 0

    def fresh(self) -> tuple[list[Message], list[Message]]:
        """A prompt never seen and the same one with another last question."""
        case = self._asked[self._made % len(self._asked)]
        prompt = self._prompt()
        first, second = (prompt.messages(question, case.passages) for question in case.questions)
        return first, second

    def long(self) -> list[Message]:
        """A prompt that takes long to read."""
        facts = list(_enough((one for case in self._asked for one in case.passages), LONG_WORDS))
        return self._prompt().messages(self._asked[0].questions[0], facts)

    def _prompt(self) -> AnswerPrompt:
        self._made += 1
        # Never the same bytes, in this run or another: the first block differs already.
        return AnswerPrompt(self._template, f"{time.time_ns() % 10**9} {self._company}")


async def answered(
    model: LanguageModel, messages: Sequence[Message], tokens: int = ANSWER_TOKENS
) -> Answered:
    """One answer, read to its end.

    Raises:
        LanguageModelError: the server failed.
    """
    began = time.perf_counter()
    first: float | None = None
    clause: float | None = None
    splitter = ClauseSplitter()
    finished = Finished("length")
    async with aclosing(model.stream(messages, max_tokens=tokens)) as items:
        async for item in items:
            if isinstance(item, Token):
                first = first if first is not None else _ms_since(began)
                if clause is None and splitter.feed(item.text):
                    clause = _ms_since(began)
            elif isinstance(item, Finished):
                finished = item
    total = _ms_since(began)
    if clause is None and first is not None:
        clause = total
    return Answered(
        first,
        clause,
        total,
        finished.prompt_tokens or 0,
        finished.cached_tokens or 0,
        finished.completion_tokens or 0,
    )


async def freed_after_ms(
    model: LanguageModel, server: Served, messages: Sequence[Message], *, writing: bool
) -> float | None:
    """How long the server works on after its caller has left, in ms.

    Args:
        writing: leave at the first token; else while it reads the prompt.

    Returns:
        ``None`` when it had finished reading before the caller left.

    Raises:
        LanguageModelError: the server failed.
        EnginesError: it never became free again.
    """
    began = asyncio.Event()

    async def listen() -> None:
        async with aclosing(model.stream(messages, max_tokens=400)) as items:
            async for item in items:
                if isinstance(item, Token):
                    began.set()

    caller = asyncio.create_task(listen())
    if writing:
        waiting = asyncio.create_task(began.wait())
        await asyncio.wait({caller, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    else:
        await asyncio.wait({caller}, timeout=LEAVES_AFTER_S)
    if caller.done():
        caller.result()  # raises what went wrong
    if caller.done() or (began.is_set() and not writing):
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await _until_idle(server)
        return None
    left = time.perf_counter()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await _until_idle(server)
    return _ms_since(left)


async def _until_idle(server: Served) -> None:
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while await asyncio.to_thread(server.busy_with):
        if time.monotonic() > deadline:
            raise EnginesError(f"{server.name}: still busy {IDLE_TIMEOUT_S:.0f} s after its caller")
        await asyncio.sleep(POLL_S)


async def measure(
    server: Served,
    prompts: Prompts,
    repeats: int,
    *,
    only_reading_and_writing: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Samples:
    """Everything there is to know of one server.

    Args:
        server: up and idle.
        prompts: what to ask.
        repeats: how often.
        only_reading_and_writing: leave out cancellation and several calls at once.
        tell: told what is being measured.

    Raises:
        LanguageModelError, EnginesError: the server failed.
    """
    model = LanguageModel(server.settings)
    samples = Samples()
    try:
        for messages in prompts.fresh():  # the first answers pay for memory touched first
            await answered(model, messages, 8)
        for _ in range(repeats):
            tell("one call")
            await _one_call(model, prompts, samples)
        if only_reading_and_writing:
            return samples
        for _ in range(repeats):
            tell("callers who leave")
            for writing in (False, True):
                messages = prompts.fresh()[0] if writing else prompts.long()
                freed = await freed_after_ms(model, server, messages, writing=writing)
                if freed is not None:
                    into = samples.freed_writing_ms if writing else samples.freed_reading_ms
                    into.append(freed)
        for _ in range(max(1, repeats // 2)):
            tell("four calls at once")
            await _four_calls(model, prompts, samples)
    finally:
        await model.close()
    return samples


async def _one_call(model: LanguageModel, prompts: Prompts, samples: Samples) -> None:
    cold, warm = prompts.fresh()
    read = await answered(model, cold, 1)
    if read.first_token_ms is not None:
        samples.cold_ms.append(read.first_token_ms)
        new = read.prompt_tokens - read.cached_tokens
        samples.prefill_tokens_s.append(new * 1000 / read.first_token_ms)
    told = await answered(model, warm)
    if told.first_token_ms is None or told.first_clause_ms is None:
        return
    samples.warm_ms.append(told.first_token_ms)
    samples.warm_clause_ms.append(told.first_clause_ms)
    writing_ms = told.total_ms - told.first_token_ms
    if told.tokens > 1 and writing_ms > 0:
        samples.decode_tokens_s.append((told.tokens - 1) * 1000 / writing_ms)


async def _four_calls(model: LanguageModel, prompts: Prompts, samples: Samples) -> None:
    began = time.perf_counter()
    answers = await asyncio.gather(*(answered(model, prompts.fresh()[0]) for _ in range(AT_ONCE)))
    took_s = time.perf_counter() - began
    firsts = [one.first_token_ms for one in answers if one.first_token_ms is not None]
    samples.four_first_ms += firsts
    samples.four_tokens_s.append(sum(one.tokens for one in answers) / took_s)


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
