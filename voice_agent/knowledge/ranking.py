"""Which passages come first: one number from meaning, words and subject. Pure.

The three are added, not ranked apart: a convex combination keeps how much better one passage is
than the next, which ranks forget (Bruch, Gai and Ingber, "An Analysis of Fusion Functions for
Hybrid Retrieval", 2023).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.passages import Passage

TERMS_WEIGHT = 0.3
"""Of the best match of words in the index, beside cosines of about 0.2 to 0.8."""
SUBJECT_WEIGHT = 0.8
"""Of a subject named just now: it outweighs any likeness to what is said of other subjects."""
LEAST_SHARE = 0.5
"""Of the words of a question, for a passage that is given before its meaning was compared."""
SPARE = 3
"""Passages looked at for each one wanted, in case near-equal ones drop out."""
_VOUCHED = 0.15  # of nearness, by a subject that was surely named
_SOFTNESS = 0.15
_SAME_WORDS = 0.9
_WORD = re.compile(r"\w+")

Scores = npt.NDArray[np.float32]


def relevance(meaning: Scores, terms: Scores, subject: Scores) -> Scores:
    """What passages are ranked by.

    Args:
        meaning: cosine similarities, one a passage, or a row for each part of a long question.
        terms: BM25, one a passage, not negative.
        subject: how surely each passage is about what the conversation names, 0 to 1.
    """
    most = float(terms.max(initial=0.0))
    words = terms * (TERMS_WEIGHT / most) if most else terms
    total: Scores = join_parts(meaning) + words + SUBJECT_WEIGHT * subject
    return total


def answering(near: Scores, subject: Scores, least: float) -> npt.NDArray[np.bool_]:
    """Which passages are near enough, to any part of a question, to answer (see `Wanted`)."""
    enough: npt.NDArray[np.bool_] = near >= least - _VOUCHED * subject
    return enough


def join_parts(meaning: Scores) -> Scores:
    """Parts of one question as one: a soft maximum, so several fair parts count as well."""
    if meaning.ndim == 1:
        return meaning
    if len(meaning) == 1:
        return np.asarray(meaning[0], dtype=np.float32)
    joined: Scores = _SOFTNESS * np.log(np.exp(meaning / _SOFTNESS).mean(axis=0))
    return joined


def best_rows(scores: Scores, most: int) -> npt.NDArray[np.int64]:
    """Rows of the highest scores, best first, the earlier row on a tie; never a row at -inf."""
    if most < len(scores):
        lowest = np.partition(scores, len(scores) - most)[len(scores) - most]
        rows = np.flatnonzero(scores >= lowest)
    else:
        rows = np.arange(len(scores))
    rows = rows[np.isfinite(scores[rows])]
    ordered: npt.NDArray[np.int64] = rows[np.lexsort((rows, -scores[rows]))][:most]
    return ordered


class NearEqual:
    """Drops passages that say again what a better one has said."""

    def __init__(self) -> None:
        self._said: dict[str, list[frozenset[str]]] = {}

    def repeats(self, passage: Passage) -> bool:
        """Whether a passage of the same title had nearly the same words; notes it if not."""
        words = frozenset(_WORD.findall(f"{passage.heading} {passage.text}".lower()))
        said = self._said.setdefault(passage.title.casefold(), [])
        for other in said:
            if len(words & other) >= _SAME_WORDS * max(len(words | other), 1):
                return True
        said.append(words)
        return False


def without_repeats(passages: Iterator[Passage], most: int) -> list[Passage]:
    """The first passages that differ, in their order."""
    kept: list[Passage] = []
    heard = NearEqual()
    for passage in passages:
        if len(kept) == most:
            break
        if not heard.repeats(passage):
            kept.append(passage)
    return kept
