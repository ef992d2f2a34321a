"""What differs between two index versions: documents and passages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from voice_agent.knowledge.passage_lines import line_of
from voice_agent.knowledge.version_writer import IndexedDocument
from voice_agent.knowledge.versions import VersionStore


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of what was added, removed and changed; documents by id, passages by theirs."""

    before: str
    after: str
    documents_added: tuple[str, ...]
    documents_removed: tuple[str, ...]
    documents_changed: tuple[str, ...]
    passages_added: tuple[str, ...]
    passages_removed: tuple[str, ...]
    passages_changed: tuple[str, ...]
    made_otherwise: tuple[str, ...]
    """What else makes other passages of the same documents: parser, chunker, embedder."""


def compare(versions: VersionStore, before: str, after: str) -> Difference:
    """Compare two kept versions by their whole names.

    Raises:
        IndexMissing, IndexUnusable: one of them cannot be read.
    """
    manifests = versions.manifest(before), versions.manifest(after)
    documents = _documents(versions, before), _documents(versions, after)
    passages = _passages(versions, before), _passages(versions, after)
    return Difference(
        before,
        after,
        *_compare(*({i: d.digest for i, d in found.items()} for found in documents)),
        *_compare(*passages),
        made_otherwise=tuple(
            name
            for name in ("parser", "chunker", "max_tokens", "embedder")
            if manifests[0].get(name) != manifests[1].get(name)
        ),
    )


def _documents(versions: VersionStore, version: str) -> dict[str, IndexedDocument]:
    return {document.id: document for document in versions.documents(version)}


def _passages(versions: VersionStore, version: str) -> dict[str, str]:
    """A passage's id, and the first digits of the SHA-256 of its line."""
    return {
        passage.passage_id: hashlib.sha256(line_of(passage)).hexdigest()[:16]
        for passage in versions.read(version).passages
    }


def _compare(
    before: dict[str, str], after: dict[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    added = tuple(sorted(after.keys() - before.keys()))
    removed = tuple(sorted(before.keys() - after.keys()))
    changed = tuple(sorted(name for name in before.keys() & after if before[name] != after[name]))
    return added, removed, changed
