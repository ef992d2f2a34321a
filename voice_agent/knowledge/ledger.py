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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_agent.knowledge.ledger_schema import INCLUDED, connect
from voice_agent.knowledge.ledger_views import dead_letters, states
from voice_agent.knowledge.sources.fetched import Fetched, Validators
from voice_agent.knowledge.versions import IndexedDocument

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


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as the ledger takes it in; with a `reason`, one that is refused."""

    document_id: str
    title: str
    named: str
    digest: str = ""
    valid_until: str = ""
    reason: str = ""


class KnownItems(Mapping[str, Validators]):
    """The validators of what a source gave before, read one at a time as they are asked for."""

    def __init__(self, database: sqlite3.Connection, source: str, parser: str) -> None:
        self._database = database
        self._of = (source, parser)

    def __getitem__(self, uri: str) -> Validators:
        row = self._database.execute(
            "SELECT digest, etag, last_modified, size, mtime_ns FROM items "
            "WHERE source = ? AND parser = ? AND digest != '' AND uri = ?",
            (*self._of, uri),
        ).fetchone()
        if row is None:
            raise KeyError(uri)
        return Validators(**dict(row))

    def __iter__(self) -> Iterator[str]:
        last = ""
        while True:
            rows = self._database.execute(
                "SELECT uri FROM items WHERE source = ? AND parser = ? AND digest != '' "
                "AND uri > ? ORDER BY uri LIMIT ?",
                (*self._of, last, _PAGE),
            ).fetchall()
            yield from (row["uri"] for row in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1]["uri"]

    def __len__(self) -> int:
        found = self._database.execute(
            "SELECT count(*) FROM items WHERE source = ? AND parser = ? AND digest != ''", self._of
        ).fetchone()
        return int(found[0])


class Ledger:
    """One file of states, used by one build at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create it.

        Raises:
            IndexUnusable: it cannot be written.
        """
        self.database = connect(path)

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    @contextmanager
    def step(self) -> Iterator[None]:
        """All of what is written in the block, or nothing of it."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def fact(self, name: str) -> str:
        """A kept value; empty when there is none."""
        row = self.database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row["value"]) if row else ""

    def note_fact(self, name: str, value: str) -> None:
        """Keep a value."""
        self.database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    # --- items -------------------------------------------------------------------------------

    def known(self, source: str, parser: str) -> KnownItems:
        """What a source gave before that this parser has read."""
        return KnownItems(self.database, source, parser)

    def sources(self) -> list[str]:
        """The sources of the last run, in their order."""
        rows = self.database.execute("SELECT name FROM sources ORDER BY rank")
        return [row["name"] for row in rows]

    def configure(self, names: list[str]) -> None:
        """Set the order of the sources; forget those that are configured no more."""
        with self.step():
            for table in ("items", "documents"):
                marks = ", ".join("?" * len(names))
                self.database.execute(f"DELETE FROM {table} WHERE source NOT IN ({marks})", names)  # noqa: S608
            kept = {
                row["name"]: row["answered_at"]
                for row in self.database.execute("SELECT * FROM sources")
            }
            self.database.execute("DELETE FROM sources")
            for rank, name in enumerate(names):
                self.database.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, '')", (name, rank, kept.get(name, 0.0))
                )

    def answered_at(self, source: str) -> float:
        """When a source last answered, as a Unix time in seconds; 0: never."""
        row = self.database.execute(
            "SELECT answered_at FROM sources WHERE name = ?", (source,)
        ).fetchone()
        return float(row["answered_at"]) if row else 0.0

    def note_answer(self, source: str, at: float | None, reason: str) -> None:
        """A source was asked, and answered at that time; `reason` says what it left out."""
        self.database.execute(
            "UPDATE sources SET reason = ?, answered_at = coalesce(?, answered_at) WHERE name = ?",
            (reason, at, source),
        )

    def note_fetched(self, source: str, item: Fetched) -> None:
        """An item's content is here; without validators, so that it is fetched again if lost."""
        self.database.execute(
            "INSERT INTO items VALUES (?, ?, 'fetched', 0, '', 0, NULL, '', '', '', 0, 0, '', ?, ?)"
            " ON CONFLICT DO UPDATE SET state = 'fetched', digest = '', etag = '',"
            " last_modified = '', fetched_at = excluded.fetched_at,"
            " modified_at = excluded.modified_at",
            (source, item.uri, item.fetched_at, item.modified_at),
        )

    def note_same(self, source: str, uri: str, validators: Validators) -> None:
        """An item is as it was; what the source will recognise it by is new."""
        self.database.execute(
            "UPDATE items SET etag = ?, last_modified = ?, size = ?, mtime_ns = ?"
            " WHERE source = ? AND uri = ?",
            (validators.etag, validators.last_modified, validators.size, validators.mtime_ns,
             source, uri),
        )  # fmt: skip

    def note_answered(self, source: str, uri: str) -> bool:
        """An item that failed before is there again, as it was. Whether it had failed."""
        changed = self.database.execute(
            "UPDATE items SET state = 'parsed', reason = '', attempts = 0, failing_since = NULL"
            " WHERE source = ? AND uri = ? AND state = 'failed' AND digest != ''",
            (source, uri),
        )
        return changed.rowcount > 0

    def note_failed(self, source: str, uri: str, reason: str, retryable: bool, at: float) -> None:
        """An item could not be fetched; what is known of it stays."""
        self.database.execute(
            "INSERT INTO items VALUES (?, ?, 'failed', 1, ?, ?, ?, '', '', '', 0, 0, '', 0, 0)"
            " ON CONFLICT DO UPDATE SET state = 'failed', attempts = attempts + 1,"
            " reason = excluded.reason, retryable = excluded.retryable,"
            " failing_since = coalesce(failing_since, excluded.failing_since)",
            (source, uri, reason, retryable, at),
        )

    def note_parsed(
        self,
        source: str,
        item: Fetched,
        parser: str,
        documents: list[ParsedDocument],
        changed_at: float,
    ) -> None:
        """An item has been parsed into these documents, in their order."""
        before = {
            row["digest"]: row
            for row in self.database.execute(
                "SELECT * FROM documents WHERE source = ? AND uri = ? AND digest != ''",
                (source, item.uri),
            )
        }
        validators = item.validators
        self.database.execute(
            "UPDATE items SET state = 'parsed', attempts = 0, reason = '', failing_since = NULL,"
            " digest = ?, etag = ?, last_modified = ?, size = ?, mtime_ns = ?, parser = ?"
            " WHERE source = ? AND uri = ?",
            (validators.digest, validators.etag, validators.last_modified, validators.size,
             validators.mtime_ns, parser, source, item.uri),
        )  # fmt: skip
        self.database.execute(
            "DELETE FROM documents WHERE source = ? AND uri = ?", (source, item.uri)
        )
        for position, document in enumerate(documents):
            known = None if document.reason else before.pop(document.digest, None)
            kept = dict(known) if known else {}
            row = {
                "source": source, "uri": item.uri, "position": position,
                "state": "refused" if document.reason else kept.get("state", "parsed"),
                "reason": document.reason or kept.get("reason", ""),
                "duplicate": kept.get("duplicate", ""), "note": kept.get("note", ""),
                "document_id": document.document_id, "title": document.title,
                "named": document.named, "digest": document.digest,
                "words_hash": kept.get("words_hash", ""), "likeness": kept.get("likeness", b""),
                "valid_until": document.valid_until, "passages": kept.get("passages", 0),
                "changed_at": kept.get("changed_at", changed_at),
                "indexed_at": kept.get("indexed_at"),
            }  # fmt: skip
            marks = ", ".join(f":{name}" for name in row)
            self.database.execute(
                f"INSERT INTO documents ({', '.join(row)}) VALUES ({marks})",  # noqa: S608
                row,
            )

    def note_gone(self, source: str, uri: str) -> None:
        """An item is there no more."""
        for table in ("items", "documents"):
            self.database.execute(
                f"DELETE FROM {table} WHERE source = ? AND uri = ?",  # noqa: S608
                (source, uri),
            )

    def begin_telling(self) -> None:
        """From now on note which items a source tells of."""
        self.database.execute("CREATE TEMP TABLE IF NOT EXISTS told (uri TEXT PRIMARY KEY)")
        self.database.execute("DELETE FROM told")

    def note_told(self, uri: str) -> bool:
        """A source has told of an item; false if it has already in this run."""
        done = self.database.execute("INSERT OR IGNORE INTO told VALUES (?)", (uri,))
        return done.rowcount > 0

    def untold(self, source: str, parser: str, *, with_content: bool) -> list[str]:
        """Items that a killed run, or another parser, left, and that the source has no more.

        Unless `with_content`, only those that never could be fetched: nothing is lost with them.
        """
        lost = "(parser != ? OR digest = '')" if with_content else "(parser = '' AND ? != '')"
        rows = self.database.execute(
            f"SELECT uri FROM items WHERE source = ? AND {lost}"  # noqa: S608
            " AND uri NOT IN (SELECT uri FROM told)",
            (source, parser),
        )
        return [row["uri"] for row in rows]

    def was_parsed(self, source: str, uri: str) -> bool:
        """Whether this item could ever be parsed, or refused."""
        found = self.database.execute(
            "SELECT 1 FROM items WHERE source = ? AND uri = ? AND parser != ''", (source, uri)
        )
        return found.fetchone() is not None

    def digest_of(self, source: str, uri: str, parser: str) -> str:
        """The SHA-256 of what was last parsed there; empty when nothing was."""
        row = self.database.execute(
            "SELECT digest FROM items WHERE source = ? AND uri = ? AND parser = ?"
            " AND state != 'fetched'",
            (source, uri, parser),
        ).fetchone()
        return str(row["digest"]) if row else ""

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
        for name in self.sources():
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
