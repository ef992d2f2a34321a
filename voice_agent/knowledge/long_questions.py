"""Which documents a long account needs. Pure.

A caller who tells a whole story has several needs in it, and the passages of one document that
suits the story's theme would crowd the others out. So documents are ranked, not passages: each by
its best passage for each part of the story, in meaning and in words, joined by a soft maximum; and
then once more by how near it is to the best of them (pseudo-relevance feedback, Rocchio 1971): what
a procedure leads to is seldom said by the caller, but it is written about like the procedure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voice_agent.knowledge.ranking import TERMS_WEIGHT, Scores, join_parts

_BEST = 10
"""Documents that the others are compared with."""
_BEST_SHARPNESS = 0.05
_LIKENESS_WEIGHT = 0.6


def rank_documents(
    meaning: Scores,
    terms: Scores,
    vectors: npt.NDArray[np.float32],
    document: npt.NDArray[np.int32],
) -> Scores:
    """What the passages are ranked by.

    Args:
        meaning: cosine similarities, ``(parts, passages)``; lower than any for what is left out.
        terms: BM25 of the same shape, not negative.
        vectors: of the passages, ``(passages, dimensions)``.
        document: which document each passage is of, as any numbers.

    Returns:
        One number a passage. The best passage of a document has the document's, its others have
        their own, which is lower.
    """
    if not len(document):
        return np.zeros(0, dtype=np.float32)
    most = terms.max(axis=1, keepdims=True)
    matched = meaning + terms * (TERMS_WEIGHT / np.where(most > 0, most, 1)).astype(np.float32)
    order = np.argsort(document, kind="stable")
    starts = np.flatnonzero(np.diff(document[order], prepend=document[order[0]] - 1))
    ends = np.append(starts[1:], len(order))
    of_document = join_parts(np.maximum.reduceat(matched[:, order], starts, axis=1))
    best = np.argsort(-of_document, kind="stable")[:_BEST]
    weights = np.exp((of_document[best] - of_document[best[0]]) / _BEST_SHARPNESS)
    middle = np.zeros(vectors.shape[1], dtype=np.float32)
    for weight, at in zip(weights / weights.sum(), best, strict=True):
        middle += weight * vectors[order[starts[at] : ends[at]]].mean(axis=0)
    likeness = np.vecdot(vectors, middle / max(float(np.linalg.norm(middle)), 1e-6))
    ranked = of_document + _LIKENESS_WEIGHT * np.add.reduceat(likeness[order], starts) / (
        ends - starts
    )
    total = join_parts(matched)
    for at, start in enumerate(starts):
        own = order[start : ends[at]]
        total[own[np.argmax(total[own])]] = ranked[at]
    return total
