"""From a folder of documents to the index version that answers calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.documents import read_documents
from voice_agent.knowledge.embedder import BATCH_TEXTS, DIMENSIONS, Vectors
from voice_agent.knowledge.errors import DocumentRefused, IndexUnusable, NothingToIndex
from voice_agent.knowledge.passages import CHUNKER, MAX_TOKENS, Passage, cut_into_passages
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore, version_id

_BATCH = BATCH_TEXTS * 4

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""


class PassageEmbedder(Protocol):
    """What a build needs of the embedding model."""

    identity: str

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384), rows of length one."""

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's tokens."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. `reused` says that this version had been built before."""

    version: str
    documents: int
    passages: int
    refused: tuple[DocumentRefused, ...]
    reused: bool
    embed_s: float
    seconds: float


def build_index(
    settings: KnowledgeSettings,
    embedder: PassageEmbedder,
    progress: Progress,
    server: PassageStore | None = None,
) -> BuildReport:
    """Read, cut, embed, keep and promote; calls go on with the old version until the last step.

    Documents that cannot be used are refused, with the reason, and do not stop the build.

    Args:
        settings: where documents and index are.
        embedder: the embedding model.
        progress: called as work goes on.
        server: the Qdrant server to fill and promote as well, if there is one.

    Raises:
        NothingToIndex: no document can be used; the old version stays.
        BuildRunning, IndexUnusable, IndexUnreachable: the index cannot be written.
    """
    started = time.perf_counter()
    versions = VersionStore(settings.index)
    with versions.building():
        documents, refused = read_documents(settings.documents)
        passages: list[Passage] = []
        counts: dict[str, int] = {}
        for done, document in enumerate(documents, 1):
            cut = cut_into_passages(document, embedder.count_tokens)
            if not cut:
                refused.append(DocumentRefused(document.source, "headings without any text"))
            counts[document.document_id] = len(cut)
            passages.extend(cut)
            progress("reading", done, len(documents))
        refused.sort(key=lambda refusal: refusal.document)
        if not passages:
            reasons = "; ".join(str(refusal) for refusal in refused[:3]) or "the folder is empty"
            raise NothingToIndex(f"{settings.documents}: no document can be used: {reasons}")
        listed = [
            {"id": d.document_id, "title": d.title, "source": d.source, "digest": d.digest}
            for d in documents
            if counts[d.document_id]
        ]
        parts = {
            "chunker": CHUNKER,
            "max_tokens": MAX_TOKENS,
            "embedder": embedder.identity,
            "documents": listed,
        }
        version = version_id(parts)
        embed_started = time.perf_counter()
        reused = _intact(versions, version)
        if not reused:
            vectors = _embed(passages, embedder, progress)
            described = {
                **parts,
                "passages": len(passages),
                "refused": [{"document": r.document, "reason": r.reason} for r in refused],
            }
            versions.write(version, passages, vectors, described)
        embed_s = time.perf_counter() - embed_started
        if server is not None:
            server.fill(versions.read(version), lambda n, of: progress("uploading", n, of))
            server.promote(version)
        versions.promote(version)
    return BuildReport(
        version=version,
        documents=len(listed),
        passages=len(passages),
        refused=tuple(refused),
        reused=reused,
        embed_s=round(embed_s, 2),
        seconds=round(time.perf_counter() - started, 2),
    )


def _intact(versions: VersionStore, version: str) -> bool:
    if not versions.holds(version):
        return False
    try:
        versions.read(version)
    except IndexUnusable:
        return False
    return True


def _embed(passages: list[Passage], embedder: PassageEmbedder, progress: Progress) -> Vectors:
    vectors = np.zeros((len(passages), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(passages), _BATCH):
        batch = passages[start : start + _BATCH]
        vectors[start : start + len(batch)] = embedder.embed([p.embedded_text for p in batch])
        progress("embedding", start + len(batch), len(passages))
    return vectors
