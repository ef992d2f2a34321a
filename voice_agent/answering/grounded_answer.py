"""What of a model's answer is spoken, and what instead. Decides; the answerer speaks.

Live replies and ``evals.trust`` go through the same object, so that what is measured is what
callers hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice_agent.answering.answerable import answerability
from voice_agent.answering.extract import Quote, extract
from voice_agent.answering.prompt import DECLINE_WORDS
from voice_agent.knowledge.passages import Passage
from voice_agent.safety.claims import SENTENCE_ENDS, stems
from voice_agent.safety.codes import codes_of, of_asked_code
from voice_agent.safety.evidence import evidence_of
from voice_agent.safety.grounding import Judgement
from voice_agent.safety.grounding_gate import (
    PATIENCE_S,
    GroundingGate,
    Judge,
    Meanings,
    measured_in_time,
)

CERTAIN_COVERAGE = 0.6
"""A passage with so much of a question's words is quoted as soon as the model is late."""
CERTAIN_ANSWER = 0.55
"""Passages that answer so well are quoted even where the model says that it does not know."""
LEAST_REPAIRED = 0.4
"""A statement with less of a refused sentence's words says something else: nothing is repaired."""


class Step(StrEnum):
    """What follows a clause of the model's."""

    SPEAK = "speak"
    REPAIR = "repair"
    """Say the supported sentence instead, and end there."""
    QUOTE = "quote"
    """Say the passage instead of the answer."""
    DECLINE = "decline"
    """Say that it is not known, and offer a person."""
    END = "end"
    """What has been said is all."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A step, the words to say for it, the sources behind them, and why."""

    step: Step
    text: str = ""
    source_ids: tuple[str, ...] = ()
    reason: str = ""


class GroundedAnswer:
    """One answer on its way. Make it with ``prepare``."""

    def __init__(
        self,
        quote: Quote | None,
        answers: float,
        gate: GroundingGate,
        *,
        code_unknown: bool = False,
    ) -> None:
        self.quote = quote
        """What the company says to the question; ``None`` when the passages do not answer it."""
        self.code_unknown = code_unknown
        """The question names a code, and the passages are about others: nothing answers it."""
        self._gate = gate
        self._answers = answers
        self._said: list[str] = []

    @classmethod
    async def prepare(
        cls,
        question: str,
        passages: Sequence[Passage],
        *,
        asked: str = "",
        heard: Sequence[str] = (),
        read: Sequence[Passage] = (),
        meanings: Meanings | None = None,
        model: Judge | None = None,
        patience_s: float = PATIENCE_S,
    ) -> GroundedAnswer:
        """Weigh what there is to say.

        Args:
            question: the caller's last words.
            passages: what was found for them, best first.
            asked: the question with what it refers back to; absent: the question.
            heard: what the caller said before.
            read: other passages the model is given.
            meanings: compares meanings; absent, or too late: words alone decide.
            model: a model that may take back what the rules let through.
            patience_s: what each comparison of meanings may take.
        """
        whole = asked or question
        coded = question if codes_of(question) else whole
        about = of_asked_code(coded, passages)
        passages, code_unknown = about or (), about is None
        read = of_asked_code(coded, read) or ()
        evidence = evidence_of((*passages, *read), " ".join((*heard, question)))
        found = evidence_of(passages, "")
        near = await measured_in_time(meanings, whole, found, patience_s)
        answers = answerability(whole, found, near)
        quote = extract(question, passages, near) if answers.answered else None
        gate = GroundingGate(evidence, question, meanings, model, patience_s)
        return cls(quote, answers.score, gate, code_unknown=code_unknown)

    async def take(self, clause: str) -> Decision:
        """Decide about the model's next clause."""
        if self.code_unknown:
            return Decision(Step.DECLINE, reason="code_unknown")
        if DECLINE_WORDS.lower() in clause.lower().replace("’", "'"):
            return self._instead("declined", certain=True)
        found = await self._gate.check(clause)
        if found.supported:
            self._said.append(clause)
            sources = (found.source_id,) if found.source_id else ()
            return Decision(Step.SPEAK, clause, sources, found.reason)
        if self._said:
            return self._repaired(clause, found)
        return self._instead(found.reason, certain=False)

    def _instead(self, reason: str, *, certain: bool) -> Decision:
        """The passage instead of the answer, if one fits (when the model declines: surely)."""
        if self._said:
            return Decision(Step.END, reason=reason)
        quote = self.quote
        fits = self._answers >= CERTAIN_ANSWER if certain else True
        if quote is None or not fits:
            return Decision(Step.DECLINE, reason=reason)
        return Decision(Step.QUOTE, quote.text, (quote.passage.passage_id,), reason)

    def _repaired(self, clause: str, found: Judgement) -> Decision:
        """The source's sentence for one of the model's; only a beginning was said: the quote."""
        if self.quote is not None and not any(SENTENCE_ENDS.search(said) for said in self._said):
            source = (self.quote.passage.passage_id,)
            return Decision(Step.REPAIR, self.quote.text, source, found.reason)
        statement = found.statement
        if statement is None:
            return Decision(Step.END, reason=found.reason)
        words, text = stems(clause), statement.claim.text
        fits = words and len(words & statement.words) >= LEAST_REPAIRED * len(words)
        if not fits or any(said in text or text in said for said in self._said):
            return Decision(Step.END, reason=found.reason)
        return Decision(Step.REPAIR, text, (statement.source_id,), found.reason)
