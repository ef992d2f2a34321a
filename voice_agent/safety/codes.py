"""Codes that callers name and passages are about: "E18", "E 18", "E-18", "E eighteen". Pure.

One code is as near another in meaning as can be, and its words are the same: what tells them apart
is the code alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.spoken_numbers import read_numbers
from voice_agent.safety.quantities import plain

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_CODE = re.compile(r"([a-z]{1,3})(\d{1,4})")
_LETTER = re.compile(r"[b-hj-z]")
"""Not "a" and "i", which are words: "a twelve month loan"."""

Code = tuple[str, str]
"""Letters and digits."""


def codes_of(text: str) -> frozenset[Code]:
    """The short codes of a text, written or spoken."""
    words = read_numbers(_WORD.findall(plain(text)))
    found: set[Code] = set()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if match := _CODE.fullmatch(word):
            found.add((match[1], match[2]))
        elif _LETTER.fullmatch(word) and following.isdigit() and len(following) <= 4:
            found.add((word, following))
    return frozenset(found)


def of_asked_code(question: str, passages: Sequence[Passage]) -> tuple[Passage, ...] | None:
    """The passages without those that are about another code than the question names.

    Args:
        question: what is asked; without a code in it all passages stay.
        passages: best first.

    Returns:
        ``None`` when no passage has the code and the best one is about another that it may be
        taken for: what is left has been found by other words, and is beside the point.
    """
    asked = codes_of(question)
    if not asked:
        return tuple(passages)
    having = [codes_of(f"{each.title} {each.heading} {each.text}") for each in passages]
    others = [not asked & codes and _mistakable(asked, codes) for codes in having]
    if others[:1] == [True] and not any(asked & codes for codes in having):
        return None
    return tuple(each for each, other in zip(passages, others, strict=True) if not other)


def _mistakable(some: frozenset[Code], others: frozenset[Code]) -> bool:
    """Whether one may be taken for another: only its letters differ, or only its digits, of which
    there is at most one more or less."""
    return any(
        len(one[0]) == len(other[0])
        and (one[1] == other[1] or (one[0] == other[0] and abs(len(one[1]) - len(other[1])) <= 1))
        for one in some
        for other in others
    )
