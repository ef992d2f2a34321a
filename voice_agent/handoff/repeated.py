"""Does the caller ask the same thing again and again? Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

ALIKE = 0.75
"""Share of content words two questions have in common (Jaccard) from which they are the same."""
TIMES = 3
"""Asked so often, an answer that is given does not help."""
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_EMPTY = frozenset(
    "a an and are as at be but by can could do does for from had has have how i i'd i'm in is "
    "it it's just me my no not of on or please said say so sorry that that's the their them "
    "then there they this to was we were what what's when where which who why will with would "
    "you your yes again already asked told hello okay well um uh listen".split()
)
_LEAST_WORDS = 2


def content_words(text: str) -> frozenset[str]:
    """The words of a question that say what it is about."""
    return frozenset(_WORD.findall(text.lower().replace("’", "'"))) - _EMPTY


def is_repeated(question: str, earlier: Sequence[tuple[str, str]]) -> bool:
    """Whether this was asked ``TIMES`` times, this one included, and answered in between.

    ``earlier`` are turns as (caller, agent heard). A question the agent did not get to answer does
    not count: then it is said again because it was not heard.
    """
    words = content_words(question)
    if len(words) < _LEAST_WORDS:
        return False
    alike = sum(
        1
        for caller, agent in earlier
        if agent and (other := content_words(caller)) and _likeness(words, other) >= ALIKE
    )
    return alike + 1 >= TIMES


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
