"""What a turn may be answered from, taken apart beforehand: passages and the caller. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from voice_agent.knowledge.passages import Passage
from voice_agent.safety.claims import Claim, claim_of, sentences, stems
from voice_agent.safety.quantities import Quantity

_PARTS = re.compile(r",\s+(?:and\s+|or\s+)?|;\s+|\s+and\s+|\s+but\s+")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a source; ``about`` are the stems of the headings it stands under."""

    claim: Claim
    source_id: str
    about: frozenset[str]
    parts: tuple[Claim, ...] = ()
    """Its pieces, when it lists several values: "$119 for this, $139 for that"."""

    @property
    def words(self) -> frozenset[str]:
        """Stems of the sentence and of its headings."""
        return self.claim.words | self.about


@dataclass(frozen=True)
class Evidence:
    """Statements in their order, and what the caller has said."""

    statements: tuple[Statement, ...]
    caller: Claim
    text: str
    """All of the sources as one lower-case text, to find names in."""

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every quantity of the sources."""
        found = (q for statement in self.statements for q in statement.claim.quantities)
        return tuple(dict.fromkeys(found))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every stem of the sources."""
        return frozenset().union(*(statement.words for statement in self.statements))

    def rarity(self, words: frozenset[str]) -> dict[str, float]:
        """How much each word tells one statement from the others, 0 to 1; a word that none has
        is left out."""
        counts = {word: sum(word in each.words for each in self.statements) for word in words}
        return {word: 1 / count for word, count in counts.items() if count}

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Each statement as it is embedded."""
        return tuple(statement.claim.text for statement in self.statements)


def evidence_of(passages: Iterable[Passage], caller: str) -> Evidence:
    """The evidence of a turn.

    Args:
        passages: what was found for it; each once, whatever its number.
        caller: what the caller has said on this call.
    """
    given = {passage.passage_id: passage for passage in passages}
    statements: list[Statement] = []
    for each in given.values():
        statements += _statements(each.passage_id, f"{each.title}. {each.heading}", each.text)
    return Evidence(
        statements=tuple(statements),
        caller=claim_of(caller, implied=True),
        text=" ".join(as_compared(each.text) for each in given.values()),
    )


@lru_cache(maxsize=1024)
def _statements(source_id: str, about: str, text: str) -> tuple[Statement, ...]:
    named = stems(about)
    return tuple(
        Statement(claim_of(each, implied=True), source_id, named, _parts(each))
        for each in sentences(text)
    )


def _parts(sentence: str) -> tuple[Claim, ...]:
    """The pieces of a sentence with a quantity each; none when it has fewer than two."""
    pieces: list[str] = []
    for piece in _PARTS.split(sentence):
        if pieces and not claim_of(pieces[-1], implied=True).quantities:
            pieces[-1] = f"{pieces[-1]}, {piece}"
        else:
            pieces.append(piece)
    if len(pieces) > 1 and not claim_of(pieces[-1], implied=True).quantities:
        last = pieces.pop()
        pieces[-1] = f"{pieces[-1]}, {last}"
    return tuple(claim_of(piece, implied=True) for piece in pieces) if len(pieces) > 1 else ()


def as_compared(text: str) -> str:
    """A text without case, punctuation at its end and differences of white space."""
    return " ".join(text.lower().replace("’", "'").split()).rstrip(" .,;:!")
