from __future__ import annotations

import numpy as np

from voice_agent.knowledge.long_questions import rank_documents

NO_WORDS = np.zeros((2, 4), dtype=np.float32)
APART = np.eye(4, dtype=np.float32)


def ranked(meaning: list[list[float]], terms: np.ndarray = NO_WORDS, vectors: np.ndarray = APART,
           document: tuple[int, ...] = (0, 0, 1, 2)) -> list[int]:  # fmt: skip
    scores = rank_documents(
        np.array(meaning, dtype=np.float32), terms, vectors, np.array(document, dtype=np.int32)
    )
    return np.argsort(-scores, kind="stable").tolist()


def test_a_documents_passages_answer_different_parts_together() -> None:
    first = ranked([[0.8, 0.1, 0.6, 0.1], [0.1, 0.8, 0.6, 0.1]])[0]
    assert first in (0, 1)


def test_one_document_does_not_crowd_the_others_out() -> None:
    alike = np.ones((4, 4), dtype=np.float32) / 2
    order = ranked([[0.9, 0.88, 0.7, 0.6], [0.9, 0.88, 0.7, 0.6]], vectors=alike)
    assert order == [0, 2, 3, 1]


def test_the_words_of_a_part_count_for_that_part() -> None:
    terms = np.zeros((2, 4), dtype=np.float32)
    terms[1, 3] = 5.0
    flat = [[0.5] * 4] * 2
    assert ranked(flat, terms)[0] == 3


def test_what_is_written_like_the_best_document_comes_before_what_is_not() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0.1]], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = ranked([[0.9, 0.9, 0.5, 0.5], [0.9, 0.9, 0.5, 0.5]], vectors=vectors)
    assert order.index(3) < order.index(2)


def test_documents_need_not_lie_together() -> None:
    order = ranked([[0.9, 0.1, 0.5, 0.8], [0.9, 0.1, 0.5, 0.8]], document=(7, 3, 5, 7))
    assert order == [0, 3, 2, 1]


def test_nothing_gives_nothing() -> None:
    empty = np.zeros((2, 0), dtype=np.float32)
    vectors = np.zeros((0, 4), dtype=np.float32)
    assert len(rank_documents(empty, empty, vectors, np.zeros(0, dtype=np.int32))) == 0
