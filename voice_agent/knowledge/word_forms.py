"""Words that sound or look like a word: what a recogniser made of a name. Pure.

Two words are compared by their pairs and triples of letters (Dice, 1945); an index from these to
words finds the similar ones among tens of thousands without comparing each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

LEAST_SIMILAR = 0.45
"""Below this, words share letters by chance: "hotel" and "total" are 0.4 alike."""
_REMEMBERED_WORDS = 4096


class WordForms:
    """A vocabulary that is searched by likeness."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(sorted(set(words)))
        having: dict[str, list[int]] = defaultdict(list)
        sizes = np.zeros(len(self.words), dtype=np.float32)
        for number, word in enumerate(self.words):
            pieces = _pieces(word)
            sizes[number] = len(pieces)
            for piece in pieces:
                having[piece].append(number)
        self._having = {piece: np.array(held, dtype=np.int32) for piece, held in having.items()}
        self._sizes = sizes
        self._known: dict[str, tuple[tuple[int, float], ...]] = {}

    def similar(self, word: str) -> tuple[tuple[int, float], ...]:
        """Words of the vocabulary like this one, as (number, likeness from 0.45 to 1)."""
        known = self._known.get(word)
        if known is None:
            if len(self._known) >= _REMEMBERED_WORDS:
                self._known.clear()
            known = self._known[word] = self._compare(word)
        return known

    def _compare(self, word: str) -> tuple[tuple[int, float], ...]:
        pieces = _pieces(word)
        held = [self._having[piece] for piece in pieces if piece in self._having]
        if not held:
            return ()
        numbers, shared = np.unique(np.concatenate(held), return_counts=True)
        likeness = 2 * shared / (self._sizes[numbers] + len(pieces))
        alike = likeness >= LEAST_SIMILAR
        return tuple(zip(numbers[alike].tolist(), likeness[alike].tolist(), strict=True))


def _pieces(word: str) -> frozenset[str]:
    if word.isdigit():
        return frozenset({f"#{word}"})  # 415 is not nearly 451
    ended = f"^{word}$"
    return frozenset(
        ended[start : start + length]
        for length in (2, 3)
        for start in range(len(ended) - length + 1)
    )


def rarity(words_of_each: Iterable[Iterable[str]]) -> dict[str, float]:
    """How much each word tells its text apart: the inverse document frequency of BM25, in nats."""
    holding: Counter[str] = Counter()
    total = 0
    for words in words_of_each:
        holding.update(set(words))
        total += 1
    counts = np.array(list(holding.values()), dtype=np.float64)
    weights = np.log(1 + (total - counts + 0.5) / (counts + 0.5))
    return dict(zip(holding, weights.tolist(), strict=True))
