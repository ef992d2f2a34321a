"""One embedding model on several cores, for builds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.pipeline import PassageEmbedder

_TEXTS_AT_ONCE = 16  # fewer are padded less, and fit the processor's cache; see `passages_per_s`


class ParallelEmbedder:
    """Instances of the same model, each used by one thread; use it in a ``with`` statement."""

    def __init__(self, embedders: Sequence[PassageEmbedder]) -> None:
        self._embedders = embedders
        self._threads = ThreadPoolExecutor(len(embedders), thread_name_prefix="embedding")
        self.identity = embedders[0].identity

    @classmethod
    def load(
        cls, settings: KnowledgeSettings, models_folder: Path, threads: int
    ) -> ParallelEmbedder:
        """Load the configured model so many times (30 MB each).

        Raises:
            EmbedderUnusable: it is not there or does not load.
        """
        return cls([load_embedder(settings, models_folder) for _ in range(threads)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384), rows of length one."""
        vectors: Vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        batches = [
            by_length[start : start + _TEXTS_AT_ONCE]
            for start in range(0, len(by_length), _TEXTS_AT_ONCE)
        ]
        number = len(self._embedders)

        def work(which: int) -> None:
            for rows in batches[which::number]:
                vectors[rows] = self._embedders[which].embed([texts[row] for row in rows])

        for done in [self._threads.submit(work, which) for which in range(number)]:
            done.result()
        return vectors

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's tokens."""
        return self._embedders[0].count_tokens(text)
