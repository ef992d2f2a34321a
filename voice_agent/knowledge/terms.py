"""Words and codes of a text as a sparse vector, for what embeddings blur: names, codes, numbers.

Weights follow BM25 (Robertson and Zaragoza, 2009): the term-frequency part is computed here,
the inverse document frequency by Qdrant (`Modifier.IDF`), so an index can grow without
re-weighting what is in it. Words are reduced by the S-stemmer (Harman, 1991).
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from voice_agent.knowledge.spoken_numbers import number_terms

_K1 = 1.2
_B = 0.75
_REMEMBERED_WORDS = 1 << 16
_AVERAGE_TERMS = 30.0  # of our passages; a constant keeps a passage's weights its own
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_LETTER_THEN_NUMBER = re.compile(r"\b([a-z]) (\d+)\b")
_NUMBER_COMMA = re.compile(r"(?<=\d),(?=\d{3})")
_CONTRACTION = re.compile(r"'(?:s|m|re|ve|ll|d|t)$")

STOP_WORDS = frozenset(
    _WORD.findall(
        "a an and any are as at be been but by can could did do does for from get go had has "
        "have hello hi how i if in is it its just let like me my no not of oh okay on or our "
        "please s should so some tell than thank thanks that the their them then there these "
        "they this those to uh um up us was we well were what when where which who why will "
        "with would yes you your i'm don't it's i'd i've isn't doesn't can't"
    )
)


@dataclass(frozen=True, slots=True)
class TermWeights:
    """A sparse vector: term numbers in ascending order, and their weights."""

    indices: list[int]
    values: list[float]


def terms_of(text: str) -> list[str]:
    """Stemmed words and codes of a text, in order, without stop words."""
    return [_term(word) for word in _words_of(text) if word not in STOP_WORDS]


def _words_of(text: str) -> list[str]:
    plain = _NUMBER_COMMA.sub("", text.lower().replace("’", "'"))
    return _WORD.findall(_LETTER_THEN_NUMBER.sub(r"\1\2", plain))


def _with_numbers(text: str) -> list[str]:
    """The terms of a text, and what its spoken numbers are in digits: "oh seven four" is 074."""
    return [*terms_of(text), *number_terms(_words_of(text))]


@lru_cache(maxsize=_REMEMBERED_WORDS)
def _term(word: str) -> str:
    return _stem(_CONTRACTION.sub("", word))


@lru_cache(maxsize=_REMEMBERED_WORDS)
def _number(term: str) -> int:
    return zlib.crc32(term.encode())


def _stem(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us")):
        return word[:-1]
    return word


def weigh_passage(text: str) -> TermWeights:
    """Saturated, length-normalised term frequencies of a passage."""
    counts = Counter(_with_numbers(text))
    length = sum(counts.values())
    norm = _K1 * (1 - _B + _B * length / _AVERAGE_TERMS)
    return _sorted({t: n * (_K1 + 1) / (n + norm) for t, n in counts.items()})


def weigh_query(text: str) -> TermWeights:
    """Each different term of a query once, and neighbours as one word: "well come 10"."""
    terms = terms_of(text)
    pairs = [a + b for a, b in itertools.pairwise(terms) if a != b]
    return _sorted(dict.fromkeys([*_with_numbers(text), *pairs], 1.0))


def weigh_name(name: str) -> TermWeights:
    """Each different term of a name once."""
    return _sorted(dict.fromkeys(terms_of(name), 1.0))


def _sorted(weights: dict[str, float]) -> TermWeights:
    numbered = {_number(term): weight for term, weight in weights.items()}
    return TermWeights(sorted(numbered), [numbered[index] for index in sorted(numbered)])
