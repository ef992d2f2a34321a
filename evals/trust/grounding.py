"""Unsupported claims spoken, with the gate and without, over two hundred questions.

The model answers each question from the passages a call would find. Its raw answer is what is
spoken without the gate; with it, clauses go through ``GroundedAnswer`` exactly as on a call.

What is supported is not decided by the gate: a sentence is, when a document says it word for word,
or when it was read beside the documents (by a language model so far) and noted so in
``labels.yaml``. One that was never read is, when every word and value of it stands in one sentence
of a document that denies nothing else; any other counts as unsupported.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from evals.trust.model_answers import model_answers
from evals.trust.part import Part, Row, Table, Tell, confusion, counted, percentile, share
from evals.trust.questions import (
    KINDS,
    Question,
    find_passages,
    read_questions,
    sample_knowledge,
)
from voice_agent.answering.grounded_answer import GroundedAnswer, Step
from voice_agent.answering.prompt import DECLINE_WORDS
from voice_agent.config import Settings
from voice_agent.engines import load_prompt
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.versions import VersionStore
from voice_agent.safety.claims import claim_of, sentences
from voice_agent.safety.evidence import as_compared, evidence_of
from voice_agent.safety.quantities import plain
from voice_agent.safety.semantic import Nearness
from voice_agent.speech.clauses import ClauseSplitter

PATIENCE_S = 10.0
"""Decisions are measured as on a machine that is not busy; what they take is told apart."""
LABELS = Path(__file__).with_name("labels.yaml")
_SHOWN = 12
_OPENING = re.compile(
    r"^(?:yes|no|based on the facts(?: provided)?|according to the facts)\W+", re.IGNORECASE
)
_COURTESY = re.compile(r"^(?:i'm sorry|sorry|please let me know|would you like)\b", re.IGNORECASE)


@dataclass(slots=True)
class Spoken:
    """What one way of answering said to a question."""

    question: Question
    sentences: list[str] = field(default_factory=list)
    declined: bool = False
    added_ms: float = 0.0
    reason: str = ""

    @property
    def right(self) -> bool:
        """Whether all that a right answer says is there."""
        if self.declined or not self.question.says:
            return False
        text = _compared(" ".join(self.sentences))
        return all(any(_compared(way) in text for way in ways) for ways in self.question.says)


@dataclass(slots=True)
class Truth:
    """Which sentences are supported: those of the documents, and those noted as read."""

    written: tuple[str, ...]
    labels: dict[tuple[str, str], bool]
    unread: list[tuple[str, str]] = field(default_factory=list)

    def supports(self, question: str, sentence: str) -> bool:
        """Whether a sentence is supported; one that nobody has read is not, and is noted."""
        said = as_compared(sentence)
        if _COURTESY.match(sentence) or said in {as_compared(each) for each in self.written}:
            return True
        known = self.labels.get((question, said))
        if known is None:
            self.unread.append((question, sentence))
            return any(_stands_in(sentence, each) for each in self.written)
        return known


def run(data: Path, settings: Settings, tell: Tell) -> Part:  # noqa: ARG001 - needs no material
    """Measure; the model is asked what it has not been asked before."""
    questions = read_questions()
    passages = find_passages(settings, questions)
    prompt = load_prompt(settings.answering.prompt, settings.answering.company)
    asked = {q.ask: prompt.messages(q.ask, passages[q.ask]) for q in questions}
    answers = model_answers(settings, asked, tell)
    meanings = Nearness(load_embedder(settings.knowledge, settings.models.folder))
    truth = Truth(_written(settings), read_labels())
    try:
        gated, quoted = asyncio.run(_answer_all(questions, passages, answers, meanings))
    finally:
        meanings.close()
    plain_answers = [_as_written(q, answers[q.ask]) for q in questions]
    part = Part("grounding")
    for name, spoken in (("on", gated), ("off", plain_answers), ("without_model", quoted)):
        _add_figures(part, name, spoken, truth)
    part.figures["answerable_answered"] = part.figures.pop("answerable_answered_gate_on")
    part.figures["gate_added_ms_p95"] = percentile([each.added_ms for each in gated], 95)
    part.figures["gate_added_ms_p50"] = percentile([each.added_ms for each in gated], 50)
    part.tables.append(_gate_as_seen(plain_answers, gated, truth))
    part.tables.append(counted("Why not spoken", Counter(s.reason for s in gated if s.reason)))
    _note(part, gated, truth)
    return part


def _stands_in(sentence: str, written: str) -> bool:
    """Whether a document's sentence has every word and value of another."""
    said, source = claim_of(_OPENING.sub("", sentence)), claim_of(written, implied=True)
    return (
        bool(said.words)
        and said.words <= source.words
        and source.head in said.words
        and said.denies == source.denies
        and (said.conditional or not source.conditional)
        and all(any(q.same_as(known) for known in source.quantities) for q in said.quantities)
    )


def read_labels(path: Path = LABELS) -> dict[tuple[str, str], bool]:
    """(question, sentence) to whether the documents support it."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        (question, as_compared(sentence)): supported
        for question, read in (raw or {}).items()
        for key, supported in (("supported", True), ("unsupported", False))
        for sentence in read.get(key, ())
    }


def _written(settings: Settings) -> tuple[str, ...]:
    versions = VersionStore(sample_knowledge(settings).index)
    return tuple(
        sentence
        for passage in versions.read(versions.current()).passages
        for sentence in sentences(passage.text)
    )


async def _answer_all(
    questions: Sequence[Question],
    passages: dict[str, tuple[Passage, ...]],
    answers: dict[str, str],
    meanings: Nearness,
) -> tuple[list[Spoken], list[Spoken]]:
    gated, quoted = [], []
    for question in questions:
        found, written = passages[question.ask], answers[question.ask]
        await meanings.prepare(evidence_of(found, ""))  # on a call: while the caller speaks
        added_ms = await _first_sound_ms(question, found, written, meanings)
        answer = await GroundedAnswer.prepare(
            question.ask, found, meanings=meanings, patience_s=PATIENCE_S
        )
        quote = Spoken(question, declined=answer.quote is None)
        if answer.quote is not None:
            quote.sentences = sentences(answer.quote.text)
        quoted.append(quote)
        spoken = await through_gate(question, written, answer, bool(found))
        spoken.added_ms = added_ms
        gated.append(spoken)
    return gated, quoted


async def _first_sound_ms(
    question: Question, found: Sequence[Passage], written: str, meanings: Nearness
) -> float:
    """What the gate adds before the first clause is synthesised, with a call's own patience.
    What there is to quote is weighed while the model begins, so that it adds nothing."""
    answer = await GroundedAnswer.prepare(question.ask, found, meanings=meanings)
    splitter = ClauseSplitter()
    clauses = [*splitter.feed(written), *splitter.finish()]
    began = time.perf_counter()
    if clauses:
        await answer.take(clauses[0])
    return (time.perf_counter() - began) * 1000


async def through_gate(
    question: Question, written: str, answer: GroundedAnswer, found: bool
) -> Spoken:
    """What a call speaks of an answer."""
    spoken = Spoken(question)
    if not found:
        spoken.declined, spoken.reason = True, "nothing_found"
        return spoken
    splitter = ClauseSplitter()
    said: list[str] = []
    for clause in [*splitter.feed(written), *splitter.finish()]:
        decided = await answer.take(clause)
        if decided.step is Step.SPEAK:
            said.append(clause)
            continue
        spoken.reason = decided.reason
        if decided.step is Step.DECLINE:
            spoken.declined = True
        elif decided.text:
            said.append(decided.text)
        break
    spoken.sentences = _joined(said)
    return spoken


def _joined(clauses: Iterable[str]) -> list[str]:
    """Clauses as the sentences they are parts of."""
    return sentences(" ".join(clauses))


def _as_written(question: Question, written: str) -> Spoken:
    declined = DECLINE_WORDS.lower() in written.lower().replace("’", "'")
    return Spoken(question, [] if declined else sentences(written), declined)


def _compared(text: str) -> str:
    return re.sub(r"[^\w.%$,]+", " ", plain(text)).strip()


def _add_figures(part: Part, name: str, spoken: Sequence[Spoken], truth: Truth) -> None:
    label = f"gate_{name}" if name in ("on", "off") else name
    judged = [
        truth.supports(each.question.ask, sentence)
        for each in spoken
        for sentence in each.sentences
    ]
    part.figures[f"unsupported_sentences_{label}"] = share(judged.count(False), len(judged))
    answerable = [each for each in spoken if each.question.kind == "answerable"]
    part.figures[f"answerable_answered_{label}"] = share(
        sum(each.right for each in answerable), len(answerable)
    )
    for kind in KINDS[1:]:
        asked = [each for each in spoken if each.question.kind == kind]
        part.figures[f"{kind}_declined_{label}"] = share(
            sum(each.declined for each in asked), len(asked)
        )
    pairs = [(each.question.kind, _outcome(each, truth)) for each in spoken]
    order = (*KINDS, "right", "other, supported", "unsupported", "declined")
    part.tables.append(confusion(f"Answers, {label.replace('_', ' ')}", pairs, order))


def _outcome(spoken: Spoken, truth: Truth) -> str:
    if spoken.declined:
        return "declined"
    unread = len(truth.unread)
    supported = all(truth.supports(spoken.question.ask, each) for each in spoken.sentences)
    del truth.unread[unread:]  # counted once already
    if not supported:
        return "unsupported"
    return "right" if spoken.right else "other, supported"


def _gate_as_seen(plain_answers: Sequence[Spoken], gated: Sequence[Spoken], truth: Truth) -> Table:
    """Which of the model's own sentences the gate let through."""
    counts: Counter[tuple[str, str]] = Counter()
    for written, spoken in zip(plain_answers, gated, strict=True):
        heard = {as_compared(each) for each in spoken.sentences}
        for sentence in written.sentences:
            supported = truth.supports(written.question.ask, sentence)
            through = as_compared(sentence) in heard
            counts[
                "supported" if supported else "unsupported", "spoken" if through else "stopped"
            ] += 1
    rows: tuple[Row, ...] = tuple(
        (true, counts[true, "spoken"], counts[true, "stopped"])
        for true in ("supported", "unsupported")
    )
    return Table("The model's sentences at the gate", ("true \\ judged", "spoken", "stopped"), rows)


def _note(part: Part, gated: Sequence[Spoken], truth: Truth) -> None:
    if unread := list(dict.fromkeys(truth.unread)):
        part.notes.append(
            f"{len(unread)} sentences that nobody has read, judged word by word; the first:"
        )
        part.notes += [f"  {question} -> {sentence}" for question, sentence in unread[:_SHOWN]]
    missed = [each for each in gated if each.question.kind == "answerable" and not each.right]
    part.notes.append(f"{len(missed)} answerable questions without a right answer; the first:")
    part.notes += [
        f"  {each.question.ask} -> {'(declined)' if each.declined else ' '.join(each.sentences)}"
        for each in missed[:_SHOWN]
    ]
