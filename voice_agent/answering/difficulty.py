"""Is a request hard to answer? For choosing between a small language model and a larger one. Pure.

A small model copies a fact out of a passage well; it fails where facts have to be joined, compared,
or held against a condition.
"""

from __future__ import annotations

import re

LONG_WORDS = 25
"""A request with as many words describes a case."""
ENOUGH_SIGNS = 2

_SIGNS = (
    re.compile(r"\b(?:if|unless|except|although|even though|in case|assuming|what if)\b", re.I),
    re.compile(
        r"\b(?:compare|compared|difference|differ|better|cheaper|cheapest|versus|rather than|"
        r"instead of|or should|which of|worth it|more than|less than)\b",
        re.I,
    ),
    re.compile(r"\b(?:altogether|in total|total|add up|both|each|per|percent|half of)\b", re.I),
    re.compile(r"\?.*\?|\b(?:and (?:also|how|what|when|can)|as well as)\b", re.I | re.S),
    re.compile(r"\b(?:why|explain|how come)\b", re.I),
    re.compile(r"(?:\d|\b\w+ ago\b).*\b(?:still|already|yet|before|after)\b", re.I),
)


def is_hard(question: str) -> bool:
    """Whether a request needs more than one fact looked up: it is long, or has two of the signs
    of conditions, comparisons, sums, several questions, reasons or dates held against a rule."""
    if len(question.split()) >= LONG_WORDS:
        return True
    return sum(bool(sign.search(question)) for sign in _SIGNS) >= ENOUGH_SIGNS
