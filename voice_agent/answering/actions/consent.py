"""Did the caller say yes to exactly what was read back to them? Pure.

A yes counts only when nothing else was said with it: "yes, no wait", "yes but twenty" and "yes I
think so" are none. What is not understood is never a yes.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Consent(StrEnum):
    """What a caller's words make of a question that yes would settle."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


_WORD = re.compile(r"[a-z0-9']+")
_YES = frozenset(
    "yes yeah yep yup sure correct right confirm confirmed absolutely definitely exactly".split()
)
_YES_PHRASES = ("go ahead", "do it", "do that", "please do", "that's right", "of course")
_BESIDE_YES = frozenset(
    "please thanks thank you that's that is it i do ok okay fine good great perfect all go ahead "
    "would like to can very much of course it's the for me now well ma'am sir lovely i'd".split()
)
"""What may stand beside a yes without changing it."""
_OF_AN_ORDER = frozenset("my this order".split())
_NO = frozenset(
    "no nope nah not don't dont stop cancel wrong incorrect isn't won't never cannot can't "
    "forget".split()
)
_HOLDS_BACK = frozenset(
    "wait hold hang actually but instead maybe perhaps unless if think guess suppose probably "
    "change different rather first before later hmm um".split()
)


def judge_consent(words: str, statement: str = "") -> Consent:
    """Whether ``words`` are a clear yes, a no, or neither.

    A word of ``statement``, which was read back, is no refusal of it: "yes, cancel it", where
    cancelling is what was offered. It is no yes either.
    """
    said = _words(words)
    if not said:
        return Consent.UNCLEAR
    repeated = {"cancel"}.intersection(_words(statement))
    if any(word in _NO - repeated for word in said):
        return Consent.NO
    if any(word in _HOLDS_BACK for word in said) or "?" in words:
        return Consent.UNCLEAR
    text = " ".join(said)
    agrees = any(word in _YES for word in said) or any(
        re.search(rf"\b{phrase}\b", text) for phrase in _YES_PHRASES
    )
    known = _YES | _BESIDE_YES | {"do"} | (repeated | _OF_AN_ORDER if repeated else frozenset())
    nothing_else = all(word in known for word in said)
    return Consent.YES if agrees and nothing_else else Consent.UNCLEAR


def heard_whole(statement: str, heard: str) -> bool:
    """Whether the caller heard all of ``statement`` in what they heard of a reply."""
    return _plain(statement) in _plain(heard)


def _plain(text: str) -> str:
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))
