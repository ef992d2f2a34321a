"""An index of as many passages as one likes, without an embedding model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildReport, build_index
from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.sources import Fetched, FetchResult, Unchanged, Validators

_SENTENCES = 12


class ManyDocuments:
    """Documents that are made as they are fetched, each of one passage."""

    name = "many"

    def __init__(self, number: int) -> None:
        self._number = number

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        for number in range(self._number):
            uri = f"{number:06}.md"
            if uri in known:
                yield Unchanged(uri)
                continue
            text = " ".join(f"Line {n} of text {number} is this." for n in range(_SENTENCES))
            content = f"# Text {number}\n\n{text}\n".encode()
            yield Fetched(uri, content, "text/markdown", Validators(), time.time())


class RandomEmbedder:
    """A random direction for each text."""

    identity = "random"

    def embed(self, texts: list[str]) -> Vectors:
        vectors = np.random.default_rng(len(texts)).normal(size=(len(texts), DIMENSIONS))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def count_tokens(self, text: str) -> int:
        return len(text) // 4


def build_many(folder: Path, passages: int) -> BuildReport:
    """Build an index of so many passages below a folder."""
    settings = KnowledgeSettings(documents=folder, index=folder / "index", questions=None)
    source = ManyDocuments(passages)
    return build_index(settings, RandomEmbedder(), lambda *_: None, sources=[source])
