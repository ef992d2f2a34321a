"""Do the passages answer the question at all? Decided before anything is said. Pure.

A passage can be near a question and still say nothing of what is asked: a model then invents, and
a quotation of it is beside the point. What is asked must be in the passages word for word, or come
near in meaning; the more of the one, the less of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice_agent.safety.claims import own_stems
from voice_agent.safety.evidence import Evidence

LEAST = 0.5
"""The score from which on passages answer."""
_COVERED_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Answerability:
    """How well passages answer a question, 0 to 1."""

    score: float

    @property
    def answered(self) -> bool:
        """Whether they do."""
        return self.score >= LEAST


def answerability(
    question: str, evidence: Evidence, nearness: tuple[float, ...] | None = None
) -> Answerability:
    """How well the evidence answers a question.

    Args:
        question: with what it refers back to (``knowledge.query.make_query``).
        nearness: cosine similarity of the question to each statement; absent: words alone.
    """
    asked = own_stems(question)
    if not evidence.statements:
        return Answerability(0.0)
    covered = len(asked & evidence.words) / len(asked) if asked else 0.0
    near = max(nearness, default=0.0) if nearness is not None else covered
    score = _COVERED_WEIGHT * covered + (1 - _COVERED_WEIGHT) * max(0.0, near)
    return Answerability(score)
