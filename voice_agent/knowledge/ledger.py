"""What became of every document: each state is committed before the next is begun.

An *item* is what a source gives at one address; parsed, it is one *document* or many. An item is
``fetched``, then ``parsed``, or ``failed``; its documents are ``parsed``, ``checked`` (usable, cut
into passages), ``embedded``, ``indexed`` (in a version), or ``refused``. A run that is killed
leaves them where they were, and the next goes on from there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_agent.knowledge.ledger_items import Items
from voice_agent.knowledge.ledger_schema import INCLUDED, connect, step
from voice_agent.knowledge.ledger_views import dead_letters, states
from voice_agent.knowledge.version_writer import IndexedDocument

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document in the ledger, without its text. `named` is the source that people are shown."""

    source: str
    uri: str
    position: int
    state: str
    document_id: str
    title: str
    named: str
    digest: str
    words_hash: str
    likeness: bytes
    passages: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from every other one."""
        return self.source, self.uri, self.position


class Ledger:
    """One file of states, used by one build at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create it.

        Raises:
            IndexUnusable: it cannot be written.
        """
        self.database = connect(path)
        self.items = Items(self.database)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def step(self) -> AbstractContextManager[None]:
        """All of what is written in the block, or nothing of it."""
        return step(self.database)

    def fact(self, name: str) -> str:
        """A kept value; empty when there is none."""
        row = self.database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row["value"]) if row else ""

    def note_fact(self, name: str, value: str) -> None:
        """Keep a value."""
        self.database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @property
    def changed(self) -> bool:
        """Whether the next version may be another than the last one that was complete."""
        return self.fact("changed") != ""

    def mark_changed(self) -> None:
        """Noted before anything is changed, so that a killed run leaves no change unnoticed."""
        if not self.changed:
            self.note_fact("changed", "yes")

    # --- documents ---------------------------------------------------------------------------

    def begin_again_from_parsed(self) -> None:
        """Another chunker or embedder: every document is cut and embedded anew."""
        with self.step():
            self.database.execute("DELETE FROM cuts")
            self.database.execute(
                "UPDATE documents SET state = 'parsed', passages = 0, reason = '', words_hash = ''"
                " WHERE digest != ''"
            )

    def in_state(self, state: str) -> Iterator[DocumentRow]:
        """Documents in one state, in the order of the index; they may change it meanwhile."""
        return self._documents("state = ?", (state,))

    def included(self) -> Iterator[DocumentRow]:
        """Documents that the next version is made of, in its order."""
        return self._documents(INCLUDED, ())

    def included_in_state(self, state: str) -> Iterator[DocumentRow]:
        """Those of them in one state."""
        return self._documents(f"{INCLUDED} AND state = ?", (state,))

    def usable(self) -> Iterator[DocumentRow]:
        """Documents that are in order by themselves, duplicates among them."""
        return self._documents("state IN ('checked', 'embedded', 'indexed')", ())

    def _documents(self, where: str, values: tuple[str, ...]) -> Iterator[DocumentRow]:
        after = "source = ? AND (uri, position) > (?, ?)"
        query = f"SELECT * FROM documents WHERE {after} AND {where} ORDER BY uri, position LIMIT ?"  # noqa: S608
        for name in self.items.sources():
            last: tuple[str, int] = ("", -1)
            while True:
                rows = self.database.execute(query, (name, *last, *values, _PAGE)).fetchall()
                for row in rows:
                    yield _document_row(row)
                if len(rows) < _PAGE:
                    break
                last = (rows[-1]["uri"], rows[-1]["position"])

    def note_checked(self, document: DocumentRow, passages: int, words: str, like: bytes) -> None:
        """A document can be used; it is cut into so many passages."""
        self.database.execute(
            "UPDATE documents SET state = 'checked', reason = '', passages = ?, words_hash = ?,"
            " likeness = ? WHERE source = ? AND uri = ? AND position = ?",
            (passages, words, like, *document.key),
        )

    def note_refused(self, document: DocumentRow, reason: str) -> None:
        """A document cannot be used."""
        self.database.execute(
            "UPDATE documents SET state = 'refused', reason = ?"
            " WHERE source = ? AND uri = ? AND position = ?",
            (reason, *document.key),
        )

    def note_duplicate(self, document: DocumentRow, duplicate: str, note: str) -> None:
        """Which document it repeats (it is left out then), or nearly repeats (only a note)."""
        self.database.execute(
            "UPDATE documents SET duplicate = ?, note = ? WHERE source = ? AND uri = ?"
            " AND position = ? AND (duplicate != ? OR note != ?)",
            (duplicate, note, *document.key, duplicate, note),
        )

    def note_embedded(self, documents: list[DocumentRow]) -> None:
        """The vectors of these documents' passages are kept."""
        self.database.executemany(
            "UPDATE documents SET state = 'embedded'"
            " WHERE source = ? AND uri = ? AND position = ? AND state = 'checked'",
            [document.key for document in documents],
        )

    def note_indexed(self, version: str, at: float) -> float:
        """All that is included is in this version, which is complete.

        Returns:
            The longest time, in seconds, from a document's change to now; 0 when none is new.
        """
        row = self.database.execute(
            f"SELECT min(changed_at) FROM documents WHERE {INCLUDED} AND state != 'indexed'"  # noqa: S608
            " AND indexed_at IS NULL"
        ).fetchone()
        self.database.execute(
            f"UPDATE documents SET state = 'indexed', indexed_at = coalesce(indexed_at, ?)"  # noqa: S608
            f" WHERE {INCLUDED} AND state != 'indexed'",
            (at,),
        )
        self.note_fact("indexed", version)
        self.note_fact("changed", "")
        return max(0.0, at - row[0]) if row[0] is not None else 0.0

    def listed(self) -> Iterator[IndexedDocument]:
        """The documents of the next version as it lists them."""
        for row in self.included():
            yield IndexedDocument(row.document_id, row.title, row.named, row.digest, row.passages)

    def counts(self) -> dict[str, int]:
        """How many documents are in each state; ``duplicate`` and ``failed`` (items) among them."""
        return states(self.database)

    def size_of_next(self) -> tuple[int, int]:
        """Documents and passages of the next version."""
        row = self.database.execute(
            f"SELECT count(*), coalesce(sum(passages), 0) FROM documents WHERE {INCLUDED}"  # noqa: S608
        ).fetchone()
        return int(row[0]), int(row[1])

    def passages_to_embed(self) -> int:
        """Passages of the next version whose vectors may be missing."""
        row = self.database.execute(
            f"SELECT coalesce(sum(passages), 0) FROM documents WHERE {INCLUDED}"  # noqa: S608
            " AND state = 'checked'"
        ).fetchone()
        return int(row[0])

    # --- what went wrong, and runs -------------------------------------------------------------

    def retry(self, names: list[str]) -> int:
        """Have what failed or was refused fetched and parsed anew by the next run.

        Args:
            names: addresses or names of documents; none: all of them.

        Returns:
            How many items that are.
        """
        chosen = {
            (letter.source, letter.uri)
            for letter in dead_letters(self.database)
            if not names or {letter.uri, letter.document} & set(names)
        }
        with self.step():
            for source, uri in chosen:
                self.database.execute(
                    "UPDATE items SET digest = '', etag = '', last_modified = '', mtime_ns = 0,"
                    " attempts = 0 WHERE source = ? AND uri = ?",
                    (source, uri),
                )
        return len(chosen)

    def note_run(self, started_at: float, seconds: float, report: Mapping[str, Any]) -> None:
        """Keep what a run did; the oldest of more than a thousand are forgotten."""
        self.database.execute(
            "INSERT INTO runs (started_at, seconds, report) VALUES (?, ?, ?)",
            (started_at, seconds, json.dumps(report, ensure_ascii=False)),
        )
        self.database.execute("DELETE FROM runs WHERE run <= (SELECT max(run) FROM runs) - 1000")


def _document_row(row: sqlite3.Row) -> DocumentRow:
    return DocumentRow(
        source=row["source"],
        uri=row["uri"],
        position=row["position"],
        state=row["state"],
        document_id=row["document_id"],
        title=row["title"],
        named=row["named"],
        digest=row["digest"],
        words_hash=row["words_hash"],
        likeness=row["likeness"],
        passages=row["passages"],
    )
