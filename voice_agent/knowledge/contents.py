"""Parsed documents, their passages and the passages' vectors, kept by what they were made from.

Whatever is unchanged is taken from here, so a rebuild costs what has changed, and a killed build
goes on where it was. All of it can be made again; it lies in the ledger's file so that a state
and what it stands for are committed together.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.passages import Passage

_LEVEL = 1
_KEYS_AT_ONCE = 500
_SPARE_VECTORS = 2_000


def content_digest(document: Document) -> str:
    """The SHA-256 of all that a document gives to the index."""
    given = {each.name: getattr(document, each.name) for each in fields(document)}
    del given["digest"]  # of the whole file, when that holds many documents
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


class Contents:
    """The content tables of a ledger."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def keep_document(self, digest: str, document: Document) -> None:
        """Keep a parsed document."""
        packed = _packed(asdict(document))
        self._database.execute("INSERT OR REPLACE INTO contents VALUES (?, ?)", (digest, packed))

    def document(self, digest: str) -> Document | None:
        """A kept document."""
        row = self._database.execute(
            "SELECT document FROM contents WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            return None
        given = json.loads(zlib.decompress(row["document"]))
        return Document(**{**given, "questions": tuple(given["questions"])})

    def keep_passages(self, digest: str, passages: Sequence[Passage]) -> None:
        """Keep what a document was cut into."""
        packed = _packed([asdict(passage) for passage in passages])
        self._database.execute("INSERT OR REPLACE INTO cuts VALUES (?, ?)", (digest, packed))

    def passages(self, digest: str) -> list[Passage] | None:
        """What a document was cut into."""
        row = self._database.execute(
            "SELECT passages FROM cuts WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            return None
        return [Passage(**given) for given in json.loads(zlib.decompress(row["passages"]))]

    def vectors(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Those vectors of these keys that are kept."""
        found: dict[bytes, Vectors] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            marks = ", ".join("?" * len(part))
            for row in self._database.execute(
                f"SELECT key, vector FROM vectors WHERE key IN ({marks})",  # noqa: S608
                part,
            ):
                vector = np.frombuffer(row["vector"], dtype="<f4")
                if len(vector) == DIMENSIONS:
                    found[row["key"]] = vector
        return found

    def keep_vectors(self, vectors: Sequence[tuple[bytes, Vectors]]) -> None:
        """Keep vectors by their keys (see `vector_key`)."""
        self._database.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
            [(key, vector.astype("<f4").tobytes()) for key, vector in vectors],
        )

    def begin_use(self) -> None:
        """From now on note which vectors are used."""
        self._database.execute("CREATE TEMP TABLE IF NOT EXISTS used (key BLOB PRIMARY KEY)")
        self._database.execute("DELETE FROM used")

    def note_use(self, keys: Sequence[bytes]) -> None:
        """These vectors are part of the version being written."""
        self._database.executemany("INSERT OR IGNORE INTO used VALUES (?)", [(k,) for k in keys])

    def drop_unused(self) -> None:
        """Forget documents that are no more, and vectors once as many are unused as are used."""
        for table in ("contents", "cuts"):
            self._database.execute(
                f"DELETE FROM {table} WHERE digest NOT IN (SELECT digest FROM documents)"  # noqa: S608
            )
        kept, used = (
            int(self._database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
            for table in ("vectors", "used")
        )
        if kept > 2 * used + _SPARE_VECTORS:
            self._database.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM used)")
        self._database.execute("PRAGMA incremental_vacuum")


def vector_key(embedder: str, text: str) -> bytes:
    """The key of a text's vector: 16 bytes of the SHA-256 of the embedding model and the text."""
    return hashlib.sha256(f"{embedder}\0{text}".encode("utf-8", "replace")).digest()[:16]


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), _LEVEL)
