"""Vectors of the latest texts, so that stages that ask about the same words pay for them once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors

KEPT_TEXTS = 512
LONGEST_KEPT = 2_000
"""Characters; longer texts are rare and not asked for twice."""


class TextEmbedder(Protocol):
    """Texts to vectors of length one."""

    identity: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 array (number of texts, 384)."""


class RememberedVectors:
    """An embedder that keeps the vectors of the latest texts. For every thread of a process."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self.identity = embedder.identity

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder does; only texts that are not kept are embedded."""
        found: dict[str, Vectors] = {}
        with self._lock:
            for text in texts:
                if (vector := self._kept.get(text)) is not None:
                    self._kept.move_to_end(text)
                    found[text] = vector
        wanted = [text for text in dict.fromkeys(texts) if text not in found]
        if wanted:
            found.update(zip(wanted, self._embedder.embed(wanted), strict=True))
            self._keep([text for text in wanted if len(text) <= LONGEST_KEPT], found)
        if not texts:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        return np.stack([found[text] for text in texts])

    def _keep(self, texts: Sequence[str], vectors: dict[str, Vectors]) -> None:
        with self._lock:
            for text in texts:
                self._kept[text] = vectors[text].copy()
            while len(self._kept) > KEPT_TEXTS:
                self._kept.popitem(last=False)
