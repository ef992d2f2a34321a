"""The query a turn is searched with: the question, what it refers back to, what was said before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.knowledge.terms import terms_of

MAX_CHARACTERS = 600  # of a question with what it refers back to; more would only cost time
MAX_QUESTION_CHARACTERS = 6000  # of what a caller says at once
_LOOK_BACK_TURNS = 3
_CONTEXT_UTTERANCES = 24  # a subject named before that is seldom what is meant
_CONTEXT_CHARACTERS = 400  # of each utterance, the last ones
_PART_WORDS = 100  # about half of what the embedder sees; more blurs into a theme
_PART_OF_LONG_WORDS = 30
_MOST_PARTS = 64
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")
_SUBJECT_TERMS = 2  # fewer words with a meaning of their own seldom name a subject
GENERIC_TERMS = frozenset(
    terms_of(
        "much many long cost price fee take need want make give tell know happen say work "
        "time amount question charge anything something about there's really still now today "
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


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    `text` is embedded, and its words are looked for. `context` is what either side said before,
    oldest first: the subjects of documents are looked for there as well. `shorter` are readings of
    it with fewer of the earlier questions, shortest first: the words do not tell whether the last
    question needs those, what is found does (see `search.find`).
    """

    text: str
    context: tuple[str, ...] = ()
    shorter: tuple[str, ...] = ()


def make_query(history: Sequence[tuple[str, str]], question: str) -> Query:
    """Complete a question with the caller's earlier ones when it does not stand alone.

    Args:
        history: earlier turns, oldest first, each (what the caller said, what the agent said).
        question: what the caller has just said.

    Returns:
        As text, the question; before it, oldest first, the caller's turns back to one that names
        its subject, together at most 600 characters, the latest ones, or as many as the question
        has; one that refers to nothing and was asked before means what it meant then. As shorter
        readings, those that begin with a turn that may name the subject. As context, the last 24
        utterances of both sides.
    """
    asked = " ".join(question.split())[-MAX_QUESTION_CHARACTERS:]
    first, text = asked, asked
    shorter: list[str] = []
    before = history[: _first_asked(history, asked)]
    for caller, _agent in reversed(before[-_LOOK_BACK_TURNS:]):
        if stands_alone(first):
            break
        earlier = " ".join(caller.split())
        if earlier:
            if may_stand_alone(first):
                shorter.append(text)
            first, text = earlier, f"{earlier} {text}"
    most = max(MAX_CHARACTERS, len(asked))
    said = (" ".join(utterance.split()) for turn in history for utterance in turn)
    context = tuple(utterance[-_CONTEXT_CHARACTERS:] for utterance in said if utterance)
    return Query(
        text[-most:].strip(),
        context[-_CONTEXT_UTTERANCES:],
        tuple(reading[-most:].strip() for reading in shorter),
    )


def _first_asked(history: Sequence[tuple[str, str]], question: str) -> int:
    """The turn in which it was first asked in the same words; the end of the history if in none, or
    if what it means depends on what was said since."""
    if not may_stand_alone(question):
        return len(history)
    lowered = _as_words(question)
    same = (at for at, (caller, _) in enumerate(history) if _as_words(caller) == lowered)
    return next(same, len(history))


def _as_words(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").strip(" .!?").split())


def parts_of(text: str) -> list[str]:
    """What of a query is embedded on its own.

    Returns:
        The text alone, unless it is longer than 100 words: then its sentences, the short ones
        joined to about 30 words, at most the first 64 such parts. A long account has several
        needs in it, and one vector for all of them is near to none.
    """
    if len(text.split()) <= _PART_WORDS:
        return [text]
    parts: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        if parts and len(parts[-1].split()) + len(sentence.split()) <= _PART_OF_LONG_WORDS:
            parts[-1] = f"{parts[-1]} {sentence}"
        elif sentence:
            parts.append(sentence)
    return parts[:_MOST_PARTS]


def texts_of_parts(text: str, parts: int) -> list[str]:
    """The words of each of so many parts: its own, or those of the whole text if it has others."""
    own = parts_of(text)
    return own if len(own) == parts else [text] * parts


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
    return len(own_terms(question)) >= needed


def may_stand_alone(question: str) -> bool:
    """Whether a question has a word of its own and neither refers back nor continues.

    Then it may be a whole one ("How much does delivery cost?") or lean on what was said before
    ("What do I need to bring?"): only what is found tells.
    """
    lowered = question.lower().replace("’", "'")
    leans = _REFERS_BACK.search(lowered) or _CONTINUES.match(lowered)
    return not leans and bool(own_terms(question))


def own_terms(text: str) -> set[str]:
    """The terms of a text that say what it is about."""
    return set(terms_of(text)) - GENERIC_TERMS
