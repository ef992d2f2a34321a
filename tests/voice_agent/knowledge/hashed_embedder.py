"""A stand-in for the embedding model: texts that share words are near, nothing is loaded."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.terms import terms_of


class HashedEmbedder:
    """Counts words into 384 places; `before_embed` lets a test block or fail it."""

    def __init__(
        self, identity: str = "hashed", before_embed: Callable[[], None] | None = None
    ) -> None:
        self.identity = identity
        self.embedded: list[str] = []
        self._before_embed = before_embed

    def embed(self, texts: list[str]) -> Vectors:
        if self._before_embed is not None:
            self._before_embed()
        self.embedded.extend(texts)
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        vectors[:, 0] = 0.01  # a text without words has a direction too
        for row, text in enumerate(texts):
            for term in terms_of(text):
                vectors[row, 1 + zlib.crc32(term.encode()) % (DIMENSIONS - 1)] += 1
        normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return normalised

    def count_tokens(self, text: str) -> int:
        return len(text.split())
