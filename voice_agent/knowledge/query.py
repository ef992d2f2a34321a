"""The query a turn is searched with: the question, and what it refers back to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from voice_agent.knowledge.terms import terms_of

MAX_CHARACTERS = 600  # the embedder sees 256 tokens; more would only cost time
_LOOK_BACK_TURNS = 3
_SUBJECT_TERMS = 2  # fewer words with a meaning of their own seldom name a subject
GENERIC_TERMS = frozenset(
    terms_of(
        "much many long cost price take need want make give tell know happen say work time "
        "amount question charge anything something about there's really still now today "
        "different new big high highest low kind sort way thing"
    )
)
_REFERS_BACK = re.compile(
    r"\b(?:its|that|they|them|their|this|these|those|one|ones|same|instead)\b"
    r"|\bit\b(?! (?:to|costs? to|takes? to)\b)"  # not "what does it cost to ..."
    r"|\bthere\b(?! (?:is|are|was|were|a)\b)"  # not "there is a screw missing"
)
_CONTINUES = re.compile(
    r"^\W*(?:(?:yes|yeah|yep|no|nope|ok|okay|right|well|so|um|uh|ah|oh|thanks|thank you)\W+)*"
    r"(?:and|but|or|also|what about|how about|what if|is (?:it|that) the same)\b"
)
_NEW_SUBJECT = re.compile(
    r"\b(?:another (?:question|thing)|something else|different (?:question|thing)|"
    r"one more (?:question|thing))\b"
)


def make_query(history: Sequence[tuple[str, str]], question: str) -> str:
    """Complete a question with the caller's earlier ones when it does not stand alone.

    Args:
        history: earlier turns, oldest first, each (what the caller said, what the agent said).
        question: what the caller has just said.

    Returns:
        The question; before it, oldest first, the caller's turns back to one that names its
        subject. At most 600 characters, the latest ones.
    """
    parts = [" ".join(question.split())]
    for caller, _agent in reversed(history[-_LOOK_BACK_TURNS:]):
        if stands_alone(parts[0]):
            break
        earlier = " ".join(caller.split())
        if earlier:
            parts.insert(0, earlier)
    return " ".join(parts)[-MAX_CHARACTERS:].strip()


def stands_alone(question: str) -> bool:
    """Whether a question names its own subject, so that earlier turns would only blur it.

    It does with two words of its own, three when it also refers back ("it", "those"), and four
    when it continues ("and ...", "what about ...").
    """
    lowered = question.lower().replace("’", "'")
    if _NEW_SUBJECT.search(lowered):
        return True
    needed = _SUBJECT_TERMS
    if _CONTINUES.match(lowered):
        needed += 2
    elif _REFERS_BACK.search(lowered):
        needed += 1
    return len(set(terms_of(question)) - GENERIC_TERMS) >= needed
