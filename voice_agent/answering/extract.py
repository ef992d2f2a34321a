"""An answer without a model: the sentences of a passage that fit a question best. Pure.

The documents are written to be spoken, so when the language model is slow, gone, or says what no
passage says, the caller still hears what the company says, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.knowledge.index import Passage
from voice_agent.knowledge.query import GENERIC_TERMS
from voice_agent.knowledge.terms import terms_of

_SENTENCE_END = re.compile(r"(?<=[.!?])(?<![ap]\.m\.)\s+(?=[A-Z\"“])")
_BEGINNING = 6
_HEADING_WEIGHT = 0.5
_RANK_WEIGHT = 0.4
"""One place further down the list of passages costs as much as two fifths of the question."""
MINIMUM_COVERAGE = 0.3
"""A passage with less of the question's words is about something else."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One or two sentences of a passage, and the share of the question's words it has."""

    text: str
    passage: Passage
    coverage: float


def extract(question: str, passages: Sequence[Passage]) -> Quote | None:
    """The best sentence with the one after it; ``None`` when no passage is about the question.

    ``passages`` come best first. On the sample questions (``configs/knowledge_questions.yaml``)
    five of six quotes hold the whole answer.
    """
    asked = _own_words(question)
    best: tuple[float, Quote] | None = None
    for rank, passage in enumerate(passages):
        about = f"{passage.title} {passage.heading}"
        coverage = _share(asked, f"{about} {passage.text}")
        if coverage < MINIMUM_COVERAGE:
            continue
        base = _HEADING_WEIGHT * _share(asked, about) - _RANK_WEIGHT * rank
        sentences = _SENTENCE_END.split(" ".join(passage.text.split()))
        for number, sentence in enumerate(sentences):
            score = base + _share(asked, sentence)
            if best is None or score > best[0]:
                text = " ".join(sentences[number : number + 2])
                best = (score, Quote(text, passage, coverage))
    return None if best is None else best[1]


def _own_words(question: str) -> frozenset[str]:
    """The words that say what a question is about; all of them when all are general."""
    words = _words(question)
    return words - _GENERAL or words


def _share(asked: frozenset[str], text: str) -> float:
    """How much of a question's words a text has, 0 to 1."""
    return len(asked & _words(text)) / len(asked) if asked else 0.0


def _words(text: str) -> frozenset[str]:
    """Beginnings of words, so that "install" is found in "installing"."""
    return frozenset(term[:_BEGINNING] for term in terms_of(text))


_GENERAL = frozenset(term[:_BEGINNING] for term in GENERIC_TERMS)
