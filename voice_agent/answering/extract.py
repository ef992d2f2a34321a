"""An answer without a model: the sentences of a passage that fit a question best. Pure.

The documents are written to be spoken, so when the language model is slow, gone, or says what no
passage says, the caller still hears what the company says, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.knowledge.passages import Passage
from voice_agent.safety.claims import claim_of, own_stems, sentences, stems

_HEADING_WEIGHT = 0.5
_NEARNESS_WEIGHT = 1.0
_RANK_WEIGHT = 0.4
"""One place further down the list of passages costs as much as two fifths of the question."""
_KIND_WEIGHT = 0.4
"""A sentence with an amount is worth so much more to "how much", one with a time to "when"."""
_VALUE_WEIGHT = 0.4
"""So is one with the day or the amount that the caller has named."""
_WANTED = (
    (re.compile(r"\bhow much\b|\bcosts?\b|\bprices?\b|\bfees?\b|\bcharges?\b|\bpay\b"), {"money"}),
    (re.compile(r"\bpercent(?:age)?\b|\brate\b|\binterest\b|\bdiscount\b"), {"percent"}),
    (
        re.compile(
            r"\bhow (?:long|soon|fast|quickly|often)\b|"
            r"\bhow many (?:seconds|minutes|hours|days|nights|weeks|months|years)\b"
        ),
        {"duration"},
    ),
    (re.compile(r"\bwhen\b|\bdeadline\b"), {"duration", "time", "date", "weekday"}),
    (re.compile(r"\bhow (?:many|old)\b"), {""}),
    (re.compile(r"\bwhat time\b|\bhours\b|\bopen\b|\bclose\b"), {"time"}),
)
MINIMUM_COVERAGE = 0.3
"""A passage with less of the question's words is about something else."""
MINIMUM_NEARNESS = 0.5
"""Unless one of its sentences comes so near the question in meaning."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One or two sentences of a passage, and the share of the question's words it has."""

    text: str
    passage: Passage
    coverage: float


def extract(
    question: str, passages: Sequence[Passage], nearness: Sequence[float] | None = None
) -> Quote | None:
    """The best sentence with the one after it; ``None`` when no passage is about the question.

    Args:
        question: what is asked.
        passages: best first.
        nearness: cosine similarity of the question to each sentence of each passage, in order;
            absent: words alone decide.
    """
    asked, wanted = own_stems(question), _wanted(question)
    said_by_caller = claim_of(question).quantities
    best: tuple[float, Quote] | None = None
    at = 0
    for rank, passage in enumerate(passages):
        about = f"{passage.title} {passage.heading}"
        said = sentences(passage.text)
        near = list(nearness[at : at + len(said)]) if nearness is not None else [0.0] * len(said)
        at += len(said)
        coverage = _share(asked, f"{about} {passage.text}")
        if coverage < MINIMUM_COVERAGE and max(near, default=0.0) < MINIMUM_NEARNESS:
            continue
        base = _HEADING_WEIGHT * _share(asked, about) - _RANK_WEIGHT * rank
        for number, sentence in enumerate(said):
            values = claim_of(sentence, implied=True).quantities
            score = (
                base
                + _own_share(asked, sentence, about)
                + _NEARNESS_WEIGHT * near[number]
                + _KIND_WEIGHT * any(value.kind in wanted for value in values)
                + _VALUE_WEIGHT * any(value in values for value in said_by_caller)
            )
            if best is None or score > best[0]:
                text = " ".join(said[number : number + 2])
                best = (score, Quote(text, passage, coverage))
    return None if best is None else best[1]


def _wanted(question: str) -> frozenset[str]:
    """The kinds of quantity that a question asks for."""
    lowered = question.lower()
    return frozenset().union(*(kinds for asks, kinds in _WANTED if asks.search(lowered)))


def _own_share(asked: frozenset[str], sentence: str, about: str) -> float:
    """How much of a question's words a sentence has; what its heading says tells half as much."""
    if not asked:
        return 0.0
    words, headed = stems(sentence), stems(about)
    return sum(0.5 if word in headed else 1.0 for word in asked & words) / len(asked)


def _share(asked: frozenset[str], text: str) -> float:
    """How much of a question's words a text has, 0 to 1."""
    return len(asked & stems(text)) / len(asked) if asked else 0.0
