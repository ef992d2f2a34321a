"""What a sentence claims: its quantities, names, denials, conditions and remaining words. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from voice_agent.knowledge.query import GENERIC_TERMS
from voice_agent.knowledge.terms import terms_of
from voice_agent.safety.quantities import MONTHS, ORDINALS, WEEKDAYS, Quantity, plain, quantities

SENTENCE_END = re.compile(r"(?<=[.!?])(?<![ap]\.m\.)[\"')\]]*\s+(?=[A-Z\d\"“$])")
SENTENCE_ENDS = re.compile(r"(?<![ap]\.m)[.!?][\"')\]]*$")
"""Whether a text ends with its sentence."""
STEM = 5
"""Words are compared by their first letters: deliver, delivery, delivered."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_NOT = re.compile(
    r"\b(?:not|no|never|cannot|without|none|nobody|nothing|neither|nor|unable|unavailable|"
    r"excluded?|excludes|[a-z]+n't)\b"
)
_NOT_A_DENIAL = re.compile(
    r"\b(?:no (?:charge|cost|fees?|extra|longer than|more than|later than|problem|need|matter)|"
    r"not only|without (?:charge|a fee|fees?|paying|a receipt)|whether or not)\b"
)
_CONDITION = re.compile(r"\b(?:if|unless|except|provided|only|as long as|when|once|until|while)\b")
_BOUNDS = {
    "at least": re.compile(
        r"\b(?:at least|minimum(?: of)?|no less than|or more|or older|from|over|more than|above|"
        r"exceed\w*)\b"
    ),
    "at most": re.compile(
        r"\b(?:at most|up to|no more than|maximum(?: of)?|under|less than|within|or less|below|"
        r"not exceed\w*)\b"
    ),
    "after": re.compile(r"\bafter\b"),
    "before": re.compile(r"\b(?:before|until|by)\b"),
}
_NAME = re.compile(r"(?<![.!?:\"“\w])(?<=\s)[\"'(]?([A-Z][a-zA-Z]+(?:'s)?)(?!\w)")
_NOT_NAMES = frozenset("i am pm eastern time ok tv id pin us pdf the a an our we you".split()) | {
    *MONTHS,
    *WEEKDAYS,
}
"""Days and months are quantities."""
_NUMBER_WORDS = frozenset(
    terms_of(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
        "eighty ninety hundred thousand dollar dollars cents percent first am pm"
    )
) | frozenset(terms_of(" ".join((*MONTHS, *WEEKDAYS, *ORDINALS))))
_FILLING = frozenset(
    terms_of(
        "also however therefore additionally typically usually generally please sure certainly "
        "provide available option customer able ensure include included including allow allowed "
        "offer require required need use get within up per each every via item items order orders "
        "company service fernhill currently directly simply just which after before order "
        "receive contact policy information specific what where who how when which"
    )
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, taken apart. ``words`` are stems of what it is about, numbers left out."""

    text: str
    words: frozenset[str]
    quantities: tuple[Quantity, ...]
    names: frozenset[str]
    denies: bool
    conditional: bool
    bounds: frozenset[str]
    condition: str
    """Its words from "if", "when" or the like on; empty without one."""
    head: str
    """The stem it begins with, which is mostly what it is about."""


@lru_cache(maxsize=4096)
def claim_of(text: str, *, implied: bool = False) -> Claim:
    """Take a sentence apart; ``implied`` as in ``quantities``."""
    lowered = plain(text)
    return Claim(
        text=text,
        words=stems(text),
        quantities=tuple(quantities(text, implied=implied)),
        names=frozenset(
            name.lower().removesuffix("'s")[:STEM]
            for name in _NAME.findall(text)
            if name.lower() not in _NOT_NAMES
        ),
        denies=bool(_NOT.search(_NOT_A_DENIAL.sub(" ", lowered))),
        conditional=bool(_CONDITION.search(lowered)),
        bounds=frozenset(name for name, said in _BOUNDS.items() if said.search(lowered)),
        condition=lowered[found.start() :] if (found := _CONDITION.search(lowered)) else "",
        head="" if text[:1] in "{[" else next(iter(_stems_in_order(text)), ""),
    )


@lru_cache(maxsize=8192)
def stems(text: str) -> frozenset[str]:
    """The beginnings of the words that carry meaning; numbers are not among them."""
    return frozenset(_stems_in_order(text))


def _stems_in_order(text: str) -> list[str]:
    return [
        term[:STEM]
        for term in terms_of(text)
        if term not in _NUMBER_WORDS and not term.isdigit() and term not in _FILLING
    ]


@lru_cache(maxsize=8192)
def own_stems(text: str) -> frozenset[str]:
    """Of these, what says what a text is about; all of them when all are general."""
    words = stems(text)
    return words - GENERAL or words


def sentences(text: str) -> list[str]:
    """A text in its sentences."""
    return [part.strip() for part in SENTENCE_END.split(" ".join(text.split())) if part.strip()]


GENERAL = frozenset(term[:STEM] for term in GENERIC_TERMS)
