"""Passages in Qdrant: dense and sparse vectors, joined by its own rank fusion.

The same calls serve the embedded engine (in memory, filled from a version's files) and a Qdrant
server (filled once by `knowledge build`). Each version is a collection; an alias names the one
that answers, and moving the alias is the promotion.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import structlog
from qdrant_client import QdrantClient
from qdrant_client import models as qdrant
from qdrant_client.http.exceptions import ApiException

from voice_agent.knowledge.embedder import DIMENSIONS
from voice_agent.knowledge.errors import IndexMissing, IndexUnreachable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.terms import weigh_passage, weigh_query
from voice_agent.knowledge.versions import Version

ALIAS = "knowledge"
_PREFIX = "knowledge-"
_DENSE = "meaning"
_SPARSE = "terms"
MOST_EMBEDDED_WITH_TERMS = 1_500
"""Local mode compares terms in Python, about 60 us a passage: beyond this it would miss every
deadline, and searches by meaning alone. A Qdrant server has no such limit."""

log = structlog.get_logger(__name__)

_CANDIDATES = 20  # of each kind, before fusion
_BATCH_POINTS = 256
_SERVER_TIMEOUT_S = 5
_NAMESPACE = uuid.UUID("5b0b4b7e-6d5c-4d0c-9f5e-0d2f6b1f3a77")

Progress = Callable[[int, int], None]


class PassageStore:
    """One Qdrant, embedded or a server. Blocking; used from one thread at a time."""

    def __init__(self, client: QdrantClient, most_with_terms: int | None = None) -> None:
        self._client = client
        self._most_with_terms = most_with_terms
        self._by_meaning_alone: set[str] = set()

    @classmethod
    def embedded(cls) -> PassageStore:
        """Qdrant's local mode, in memory."""
        return cls(QdrantClient(":memory:"), MOST_EMBEDDED_WITH_TERMS)

    @classmethod
    def at_server(cls, url: str) -> PassageStore:
        """A Qdrant server; nothing is sent yet."""
        return cls(QdrantClient(url=url, timeout=_SERVER_TIMEOUT_S, check_compatibility=False))

    def fill(self, version: Version, progress: Progress | None = None) -> None:
        """Put a version's passages into a collection of its own; safe to repeat.

        Raises:
            IndexUnreachable: the server does not answer or refuses.
        """
        collection = _PREFIX + version.version
        if self._most_with_terms is not None and len(version.passages) > self._most_with_terms:
            self._by_meaning_alone.add(version.version)
            log.warning("terms_not_searched", passages=len(version.passages), serve="use a server")
        with _as_unreachable():
            if self._client.collection_exists(collection):
                if self._client.count(collection).count == len(version.passages):
                    return
                self._client.delete_collection(collection)
            self._client.create_collection(
                collection,
                vectors_config={
                    _DENSE: qdrant.VectorParams(size=DIMENSIONS, distance=qdrant.Distance.COSINE)
                },
                sparse_vectors_config={
                    _SPARSE: qdrant.SparseVectorParams(modifier=qdrant.Modifier.IDF)
                },
                metadata={"embedder": version.embedder},
            )
            for start in range(0, len(version.passages), _BATCH_POINTS):
                end = min(start + _BATCH_POINTS, len(version.passages))
                self._client.upsert(
                    collection,
                    [_point(version, row) for row in range(start, end)],
                    wait=True,
                )
                if progress is not None:
                    progress(end, len(version.passages))

    def promote(self, version: str) -> None:
        """Let a filled collection answer from now on, in one atomic step.

        Raises:
            IndexUnreachable: the server does not answer or refuses.
        """
        actions: list[qdrant.AliasOperations] = [
            qdrant.CreateAliasOperation(
                create_alias=qdrant.CreateAlias(collection_name=_PREFIX + version, alias_name=ALIAS)
            )
        ]
        with _as_unreachable():
            if self._current() is not None:
                delete = qdrant.DeleteAlias(alias_name=ALIAS)
                actions.insert(0, qdrant.DeleteAliasOperation(delete_alias=delete))
            self._client.update_collection_aliases(actions)

    def current(self) -> str:
        """The version that answers.

        Raises:
            IndexMissing: none has been promoted.
            IndexUnreachable: the server does not answer.
        """
        with _as_unreachable():
            version = self._current()
        if version is None:
            raise IndexMissing("Qdrant has no knowledge; run `voice-agent knowledge build`")
        return version

    def embedder_of(self, version: str) -> str:
        """Identity of the embedding model a version was made with; empty when unknown.

        Raises:
            IndexUnreachable: the server does not answer, or has lost the version.
        """
        with _as_unreachable():
            described = self._client.get_collection(_PREFIX + version).config.metadata or {}
        return str(described.get("embedder", ""))

    def _current(self) -> str | None:
        for alias in self._client.get_aliases().aliases:
            if alias.alias_name == ALIAS:
                return alias.collection_name.removeprefix(_PREFIX)
        return None

    def search(self, version: str, query: str, vector: np.ndarray, limit: int) -> list[Passage]:
        """The passages nearest to a query, best first.

        Ranks by meaning and by terms are joined with reciprocal rank fusion (Cormack et al.,
        2009). `score` is the cosine similarity, which says how near the passage is; a fused
        rank would not.

        Raises:
            IndexUnreachable: the server does not answer, or has lost the version.
        """
        terms = weigh_query(query)
        nearest = [
            qdrant.Prefetch(query=vector.tolist(), using=_DENSE, limit=max(limit, _CANDIDATES))
        ]
        if terms.indices and version not in self._by_meaning_alone:
            sparse = qdrant.SparseVector(indices=terms.indices, values=terms.values)
            nearest.append(
                qdrant.Prefetch(query=sparse, using=_SPARSE, limit=max(limit, _CANDIDATES))
            )
        with _as_unreachable():
            found = self._client.query_points(
                _PREFIX + version,
                prefetch=nearest,
                query=qdrant.FusionQuery(fusion=qdrant.Fusion.RRF),
                limit=limit,
                with_payload=True,
                with_vectors=[_DENSE],
            ).points
        return [_passage(point, vector) for point in found]

    def close(self) -> None:
        """Free the collections, or the connection."""
        self._client.close()


@contextmanager
def _as_unreachable() -> Iterator[None]:
    """Qdrant's exceptions as one line of our own; its local mode raises ValueError."""
    try:
        yield
    except (ApiException, OSError, ValueError) as error:
        cause = getattr(error, "source", error)
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise IndexUnreachable(f"Qdrant cannot be used: {reason}") from error


def _point(version: Version, row: int) -> qdrant.PointStruct:
    passage = version.passages[row]
    terms = weigh_passage(passage.embedded_text)
    payload = asdict(passage)
    del payload["score"]
    return qdrant.PointStruct(
        id=str(uuid.uuid5(_NAMESPACE, passage.passage_id)),
        vector={
            _DENSE: version.vectors[row].tolist(),
            _SPARSE: qdrant.SparseVector(indices=terms.indices, values=terms.values),
        },
        payload=payload,
    )


def _passage(point: qdrant.ScoredPoint, query: np.ndarray) -> Passage:
    vectors = point.vector if isinstance(point.vector, dict) else {}
    stored = np.asarray(vectors.get(_DENSE, np.zeros(DIMENSIONS)), dtype=np.float32)
    return Passage(**(point.payload or {}), score=round(float(stored @ query), 4))
