"""How much of what callers need is found: recall, measured on the searches that turns do.

Each set of questions is asked of its own documents, in an index made for it in memory with the
embedder, the query maker, the store and the ranking that answer calls (`index.find`).
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.question_set import first_ids
from voice_agent.knowledge.search import TextEmbedder
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.version_reader import Version

DEPTHS = (1, 5, 20)
RANKS = (5, 20, 50)
"""The first so many among which each thing needed is looked for, to see what is nearly found."""
_BATCH = 512
_NAME = "evaluated"


class PassageEmbedder(TextEmbedder, Protocol):
    """The embedding model, with its tokens."""

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's tokens."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks, in one search or several, and the ids of what should be found."""

    name: str
    queries: tuple[Query, ...]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collection:
    """Passages to search. A question's needs are met by what `id_of` says of a passage."""

    passages: tuple[Passage, ...]
    id_of: Callable[[Passage], str]


@dataclass(slots=True)
class Recall:
    """Of what was needed, the share found among the first so many; a mean over the questions.

    `seen` is how many different ids a question was shown at the greatest depth, a mean too.
    `ranks` has for each thing needed, of all questions together, its place in the list that has it
    first, from 1; 0 when none has.
    """

    asked: int
    found: dict[int, float]
    missed: list[str]
    seen: float
    search_ms: list[float] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)

    def within(self, depths: Sequence[int] = RANKS) -> dict[int, float]:
        """The share of all that was needed that some list had among the first so many."""
        ranks = np.array(self.ranks or [0])
        return {depth: float(((ranks > 0) & (ranks <= depth)).mean()) for depth in depths}

    def as_json(self) -> dict[str, Any]:
        """The figures by their names."""
        p50, p95 = np.percentile(self.search_ms or [0.0], [50, 95])
        return {
            "questions": self.asked,
            **{f"recall_at_{depth}": round(share, 4) for depth, share in self.found.items()},
            "seen": round(self.seen, 1),
            "search_ms": {"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
            "missed": self.missed,
        }


class Evaluated:
    """A collection in memory, ready to be asked."""

    def __init__(
        self, collection: Collection, embedder: TextEmbedder, minimum_score: float
    ) -> None:
        self._collection = collection
        self._embedder = embedder
        self._minimum_score = minimum_score
        self._store = PassageStore.embedded()
        vectors = _embed(collection.passages, embedder)
        self._store.fill(Version(_NAME, embedder.identity, collection.passages, vectors))

    def ids(self, query: Query, most: int) -> list[str]:
        """What one search finds, each id once, best first."""
        return first_ids(
            self._store, _NAME, self._embedder, query, most, self._minimum_score,
            self._collection.id_of,
        )  # fmt: skip

    def close(self) -> None:
        """Free the index."""
        self._store.close()


def recall(
    ids: Callable[[Query, int], list[str]],
    questions: Iterable[Question],
    depths: Sequence[int] = DEPTHS,
    deepest: int = 0,
) -> Recall:
    """Ask every question.

    Args:
        ids: a search, as `Evaluated.ids`: the query and how many ids at most, best first.
        questions: what to ask. One with several queries has found what any of them found.
        depths: among how many first ids the needed ones are counted.
        deepest: how far ranks are looked at, if farther than the greatest depth.

    Returns:
        The shares found; `missed` names the questions for which something is missing at the
        middle depth, the one that answers are made from.
    """
    shares: dict[int, list[float]] = {depth: [] for depth in depths}
    missed: list[str] = []
    seen: list[int] = []
    search_ms: list[float] = []
    ranks: list[int] = []
    most, middle = max(depths), sorted(depths)[len(depths) // 2]
    for question in questions:
        lists = []
        for query in question.queries:
            started = time.perf_counter()
            lists.append(ids(query, max(most, deepest)))
            search_ms.append((time.perf_counter() - started) * 1000)
        for depth in depths:
            found = {each for listed in lists for each in listed[:depth]}
            shares[depth].append(len(found & question.needed) / max(len(question.needed), 1))
        seen.append(len({each for listed in lists for each in listed[:most]}))
        for needed in sorted(question.needed):
            places = [listed.index(needed) + 1 for listed in lists if needed in listed]
            ranks.append(min(places, default=0))
        if shares[middle][-1] < 1:
            missed.append(question.name)
    means = {depth: float(np.mean(got)) if got else 0.0 for depth, got in shares.items()}
    return Recall(len(seen), means, missed, float(np.mean(seen)) if seen else 0.0, search_ms, ranks)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def data_file(folder: Path, name: str) -> Path:
    """A file of a data folder.

    Raises:
        FileNotFoundError: it is not there; the message names it.
    """
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there")
    return path


def _embed(passages: Sequence[Passage], embedder: TextEmbedder) -> Vectors:
    vectors = np.zeros((len(passages), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(passages), _BATCH):
        batch = passages[start : start + _BATCH]
        vectors[start : start + len(batch)] = embedder.embed([p.embedded_text for p in batch])
    return vectors
