"""May this clause be spoken? Checked against the passages of its turn, before synthesis. Pure.

Only what is dangerous and cheap to see is checked: numbers, codes and amounts that no passage has,
and the bare "yes" and "no" with which a small model answers whatever it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from voice_agent.knowledge.index import Passage
from voice_agent.knowledge.terms import terms_of

_ONES = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000}
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+", re.IGNORECASE)
_POLAR = re.compile(r"^\W*(yes|no|yeah|nope)\b", re.IGNORECASE)


class Verdict(StrEnum):
    """What to do with a clause."""

    SPEAK = "speak"
    REPAIR = "repair"
    """Say what the passage says instead."""


def judge_clause(
    clause: str, passages: Sequence[Passage], question: str, *, first: bool
) -> Verdict:
    """Whether a clause of an answer may be spoken.

    ``first`` says that nothing of the answer has been spoken: only then can a "yes" or "no" be
    replaced by the rule it was made from.
    """
    if first and (_POLAR.match(clause) or not terms_of(clause)):
        return Verdict.REPAIR
    known = _numbers(" ".join(f"{p.title} {p.heading} {p.text}" for p in passages))
    if not _numbers(clause) <= known | _numbers(question):
        return Verdict.REPAIR
    return Verdict.SPEAK


def _numbers(text: str) -> frozenset[str]:
    """The values of the numbers in a text, in digits or in words: "$4.95" and "three" give
    "4.95" and "3". A lone "one" is no number: it is too often a pronoun."""
    values: set[str] = set()
    run: list[str] = []
    for token in [*_TOKEN.findall(text.lower()), ""]:
        if token in _ONES or token in _TENS or (run and token in _SCALES):
            run.append(token)
            continue
        if run and run != ["one"]:
            values.update(_values_of(run))
        run = []
        if token[:1].isdigit():
            values.add(f"{float(token.replace(',', '')):g}")
    return frozenset(values)


def _values_of(words: Sequence[str]) -> list[str]:
    """Number words as values; "nineteen ninety" are two, "ninety nine" is one."""
    values: list[int] = []
    fresh = True
    for word in words:
        if word in _SCALES:
            values[-1] *= _SCALES[word]
            fresh = False
            continue
        value = _ONES.get(word, _TENS.get(word, 0))
        last = values[-1] if values else 0
        after_scale = not fresh and last % 100 == 0
        after_tens = last % 100 >= 20 and last % 10 == 0 and value < 10
        if after_scale or after_tens:
            values[-1] += value
        else:
            values.append(value)
        fresh = True
    return [f"{value:g}" for value in values]
