"""Vectors that are kept: the same as the embedder's, and paid for once."""

from __future__ import annotations

import numpy as np

from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.knowledge import remembered
from voice_agent.knowledge.remembered import RememberedVectors


def test_vectors_are_the_embedders_in_the_order_asked_for() -> None:
    kept = RememberedVectors(HashedEmbedder())
    kept.embed(["sofa"])
    asked = ["table", "sofa", "table", "chair"]
    assert np.array_equal(kept.embed(asked), HashedEmbedder().embed(asked))
    assert kept.embed([]).shape == (0, 384)


def test_a_text_is_embedded_once() -> None:
    embedder = HashedEmbedder()
    kept = RememberedVectors(embedder)
    for _ in range(3):
        kept.embed(["sofa", "sofa", "table"])
    assert embedder.embedded == ["sofa", "table"]
    assert kept.identity == embedder.identity


def test_the_oldest_texts_are_forgotten() -> None:
    embedder = HashedEmbedder()
    kept = RememberedVectors(embedder)
    kept.embed(["first", "used"])
    for number in range(remembered.KEPT_TEXTS - 1):
        kept.embed([f"text {number}"])
        kept.embed(["used"])
    embedder.embedded.clear()
    kept.embed(["used", "first"])
    assert embedder.embedded == ["first"]


def test_what_a_caller_of_it_changes_is_not_kept() -> None:
    kept = RememberedVectors(HashedEmbedder())
    kept.embed(["sofa"])[:] = 0
    assert np.linalg.norm(kept.embed(["sofa"])) > 0.9
