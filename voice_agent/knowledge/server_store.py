"""Versions on a Qdrant server: a collection each, and an alias that names the one that answers.

Candidates come from the server by meaning, by words and, for the subjects that were named, from
their own passages; they are ranked here as the embedded engine ranks all (see `ranking`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient
from qdrant_client import models as qdrant
from qdrant_client.http.exceptions import ApiException

from voice_agent.knowledge.embedder import DIMENSIONS
from voice_agent.knowledge.errors import IndexMissing, IndexUnreachable
from voice_agent.knowledge.long_questions import rank_documents
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import texts_of_parts
from voice_agent.knowledge.ranking import (
    SPARE,
    answering,
    best_rows,
    join_parts,
    relevance,
    without_repeats,
)
from voice_agent.knowledge.store import PassageStore, Progress
from voice_agent.knowledge.subjects import Subjects
from voice_agent.knowledge.terms import weigh_passage, weigh_query
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.wanted import ALWAYS, Wanted, day_number

ALIAS = "knowledge"
_PREFIX = "knowledge-"
_DENSE = "meaning"
_SPARSE = "terms"
_ROW, _FROM, _UNTIL = "row", "from_day", "until_day"
_OWN_FIELDS = (_ROW, _FROM, _UNTIL)
_CANDIDATES = 60  # of each kind, before they are ranked together
_SUBJECTS = 8  # named subjects whose own passages are candidates
_BATCH_POINTS = 256
_PAGE_POINTS = 5000
_TIMEOUT_S = 5
_NAMESPACE = uuid.UUID("5b0b4b7e-6d5c-4d0c-9f5e-0d2f6b1f3a77")


@dataclass
class _Candidates:
    """Points by their row in the version, and how well each part's words match them."""

    terms: list[dict[int, float]]
    points: dict[int, qdrant.ScoredPoint] = field(default_factory=dict)

    def add(self, found: list[qdrant.ScoredPoint]) -> None:
        for point in found:
            self.points.setdefault(_row(point), point)


class ServerStore(PassageStore):
    """One Qdrant server, or anything its client speaks to."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self._subjects: dict[str, Subjects] = {}

    @classmethod
    def at(cls, url: str) -> ServerStore:
        """A server by its address; nothing is sent yet."""
        return cls(QdrantClient(url=url, timeout=_TIMEOUT_S, check_compatibility=False))

    def fill(self, version: Version, progress: Progress | None = None) -> None:
        """Put a version's passages into a collection of its own."""
        collection = _PREFIX + version.version
        total = len(version.passages)
        with _as_unreachable():
            if self._client.collection_exists(collection):
                if self._client.count(collection).count == total:
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
            for name, kind in (
                ("title", qdrant.PayloadSchemaType.KEYWORD),
                ("language", qdrant.PayloadSchemaType.KEYWORD),
                (_FROM, qdrant.PayloadSchemaType.INTEGER),
                (_UNTIL, qdrant.PayloadSchemaType.INTEGER),
            ):
                self._client.create_payload_index(collection, name, kind)
            for start in range(0, total, _BATCH_POINTS):
                end = min(start + _BATCH_POINTS, total)
                points = [_point(version, row) for row in range(start, end)]
                self._client.upsert(collection, points, wait=True)
                if progress is not None:
                    progress(end, total)

    def promote(self, version: str) -> None:
        """Move the alias."""
        actions: list[qdrant.AliasOperations] = [
            qdrant.CreateAliasOperation(
                create_alias=qdrant.CreateAlias(collection_name=_PREFIX + version, alias_name=ALIAS)
            )
        ]
        with _as_unreachable():
            if self._aliased() is not None:
                delete = qdrant.DeleteAlias(alias_name=ALIAS)
                actions.insert(0, qdrant.DeleteAliasOperation(delete_alias=delete))
            self._client.update_collection_aliases(actions)

    def drop(self, version: str) -> None:
        """Delete a version's collection, unless the alias names it."""
        with _as_unreachable():
            if self._aliased() != version:
                self._client.delete_collection(_PREFIX + version)
        self._subjects.pop(version, None)

    def current(self) -> str:
        """The version the alias names."""
        with _as_unreachable():
            version = self._aliased()
        if version is None:
            raise IndexMissing("Qdrant has no knowledge; run `voice-agent knowledge build`")
        return version

    def embedder_of(self, version: str) -> str:
        """Identity of the embedding model a version was made with; empty when unknown."""
        with _as_unreachable():
            described = self._client.get_collection(_PREFIX + version).config.metadata or {}
        return str(described.get("embedder", ""))

    def _aliased(self) -> str | None:
        for alias in self._client.get_aliases().aliases:
            if alias.alias_name == ALIAS:
                return alias.collection_name.removeprefix(_PREFIX)
        return None

    def find(
        self,
        version: str,
        wanted: Wanted,
        meaning: npt.NDArray[np.float32] | None,
        limit: int,
    ) -> list[Passage]:
        """The passages that a query is about; none without a meaning, which a server waits for."""
        if meaning is None:
            return []
        parts = np.atleast_2d(meaning)
        with _as_unreachable():
            named = self._subjects_of(version).named_in((*wanted.context, wanted.question))
            candidates = self._candidates(version, wanted, parts, named, limit)
        rows = sorted(candidates.points)
        if not rows:
            return []
        vectors = np.stack([_vector_of(candidates.points[row]) for row in rows])
        titles = [str((candidates.points[row].payload or {})["title"]) for row in rows]
        subject = np.array([named.get(title, 0.0) for title in titles], dtype=np.float32)
        terms = np.array(
            [[of_part.get(row, 0.0) for row in rows] for of_part in candidates.terms],
            dtype=np.float32,
        )
        meanings = np.stack([vectors @ part for part in parts])
        near = join_parts(meanings)
        if len(parts) == 1:
            scored = relevance(near, terms[0], subject)
        else:
            scored = rank_documents(meanings, terms, vectors, _numbered(candidates, rows))
        fitting = answering(meanings.max(axis=0), subject, wanted.least)
        total = np.where(fitting, scored, -np.inf)
        best = best_rows(total.astype(np.float32), limit * SPARE)
        found = (
            _passage(candidates.points[rows[at]].payload or {}, float(near[at])) for at in best
        )
        return without_repeats(found, limit)

    def _candidates(
        self,
        version: str,
        wanted: Wanted,
        parts: npt.NDArray[np.float32],
        named: dict[str, float],
        limit: int,
    ) -> _Candidates:
        allowed = _filter(wanted)
        most = max(_CANDIDATES, limit * SPARE)

        def request(
            query: list[float] | qdrant.SparseVector, using: str, only: qdrant.Filter
        ) -> qdrant.QueryRequest:
            return qdrant.QueryRequest(
                query=query,
                using=using,
                filter=only,
                limit=most,
                with_payload=True,
                with_vector=[_DENSE],
            )

        words = [weigh_query(each) for each in texts_of_parts(wanted.question, len(parts))]
        requests = [request(part.tolist(), _DENSE, allowed) for part in parts]
        if named:
            nearest = sorted(named, key=lambda title: (-named[title], title))[:_SUBJECTS]
            titled = qdrant.FieldCondition(key="title", match=qdrant.MatchAny(any=nearest))
            about = qdrant.Filter(must=[*_conditions(allowed), titled])
            requests += [request(part.tolist(), _DENSE, about) for part in parts]
        by_meaning = len(requests)
        asked = [at for at, each in enumerate(words) if each.indices]
        for at in asked:
            sparse = qdrant.SparseVector(indices=words[at].indices, values=words[at].values)
            requests.append(request(sparse, _SPARSE, allowed))
        answers = self._client.query_batch_points(_PREFIX + version, requests)
        candidates = _Candidates(terms=[{} for _ in words])
        for answer in answers:
            candidates.add(answer.points)
        for at, answer in zip(asked, answers[by_meaning:], strict=True):
            candidates.terms[at] = {_row(point): point.score for point in answer.points}
        return candidates

    def _subjects_of(self, version: str) -> Subjects:
        known = self._subjects.get(version)
        if known is None:
            self._subjects.clear()  # of the version before
            known = self._subjects[version] = Subjects.learn(self._titled(version))
        return known

    def _titled(self, version: str) -> Iterator[tuple[str, list[int]]]:
        after: qdrant.ExtendedPointId | None = None
        while True:
            page, after = self._client.scroll(
                _PREFIX + version, limit=_PAGE_POINTS, offset=after, with_payload=True
            )
            for point in page:
                passage = _passage(point.payload or {}, 0.0)
                yield passage.title, weigh_passage(passage.embedded_text).indices
            if after is None:
                return

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _filter(wanted: Wanted) -> qdrant.Filter:
    must: list[qdrant.Condition] = []
    if wanted.day:
        day = day_number(wanted.day)
        must.append(qdrant.FieldCondition(key=_FROM, range=qdrant.Range(lte=day)))
        must.append(qdrant.FieldCondition(key=_UNTIL, range=qdrant.Range(gte=day)))
    if wanted.language:
        spoken = qdrant.MatchAny(any=["", wanted.language])
        must.append(qdrant.FieldCondition(key="language", match=spoken))
    return qdrant.Filter(must=must)


def _conditions(only: qdrant.Filter) -> list[qdrant.Condition]:
    return only.must if isinstance(only.must, list) else []


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
    payload |= {
        _ROW: row,
        _FROM: day_number(passage.valid_from),
        _UNTIL: day_number(passage.valid_until, ALWAYS),
    }
    return qdrant.PointStruct(
        id=str(uuid.uuid5(_NAMESPACE, passage.passage_id)),
        vector={
            _DENSE: version.vectors[row].tolist(),
            _SPARSE: qdrant.SparseVector(indices=terms.indices, values=terms.values),
        },
        payload=payload,
    )


def _row(point: qdrant.ScoredPoint) -> int:
    return int((point.payload or {})[_ROW])


def _numbered(candidates: _Candidates, rows: list[int]) -> npt.NDArray[np.int32]:
    """A number for the document of each candidate."""
    ids = [str((candidates.points[row].payload or {})["document_id"]) for row in rows]
    return np.unique(ids, return_inverse=True)[1].astype(np.int32)


def _vector_of(point: qdrant.ScoredPoint) -> npt.NDArray[np.float32]:
    vectors = point.vector if isinstance(point.vector, dict) else {}
    return np.asarray(vectors.get(_DENSE, np.zeros(DIMENSIONS)), dtype=np.float32)


def _passage(payload: dict[str, Any], score: float) -> Passage:
    kept = {name: value for name, value in payload.items() if name not in _OWN_FIELDS}
    return Passage(**kept, score=round(score, 4))
