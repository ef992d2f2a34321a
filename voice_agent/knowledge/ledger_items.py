"""What sources gave, item by item: when, whether it could be parsed, how to know it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from voice_agent.knowledge.ledger_schema import step
from voice_agent.knowledge.sources.fetched import Fetched, Validators

_PAGE = 1_000


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


class Items:
    """The part of the ledger that is about sources and their items."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def known(self, source: str, parser: str) -> KnownItems:
        """What a source gave before that this parser has read."""
        return KnownItems(self._database, source, parser)

    def sources(self) -> list[str]:
        """The sources of the last run, in their order."""
        rows = self._database.execute("SELECT name FROM sources ORDER BY rank")
        return [row["name"] for row in rows]

    def configure(self, names: list[str]) -> None:
        """Set the order of the sources; forget those that are configured no more."""
        with step(self._database):
            for table in ("items", "documents"):
                marks = ", ".join("?" * len(names))
                self._database.execute(f"DELETE FROM {table} WHERE source NOT IN ({marks})", names)  # noqa: S608
            kept = {
                row["name"]: row["answered_at"]
                for row in self._database.execute("SELECT * FROM sources")
            }
            self._database.execute("DELETE FROM sources")
            for rank, name in enumerate(names):
                self._database.execute(
                    "INSERT INTO sources VALUES (?, ?, ?, '')", (name, rank, kept.get(name, 0.0))
                )

    def answered_at(self, source: str) -> float:
        """When a source last answered, as a Unix time in seconds; 0: never."""
        row = self._database.execute(
            "SELECT answered_at FROM sources WHERE name = ?", (source,)
        ).fetchone()
        return float(row["answered_at"]) if row else 0.0

    def note_answer(self, source: str, at: float | None, reason: str) -> None:
        """A source was asked, and answered at that time; `reason` says what it left out."""
        self._database.execute(
            "UPDATE sources SET reason = ?, answered_at = coalesce(?, answered_at) WHERE name = ?",
            (reason, at, source),
        )

    def note_fetched(self, source: str, item: Fetched) -> None:
        """An item's content is here; without validators, so that it is fetched again if lost."""
        self._database.execute(
            "INSERT INTO items VALUES (?, ?, 'fetched', 0, '', 0, NULL, '', '', '', 0, 0, '', ?, ?)"
            " ON CONFLICT DO UPDATE SET state = 'fetched', digest = '', etag = '',"
            " last_modified = '', fetched_at = excluded.fetched_at,"
            " modified_at = excluded.modified_at",
            (source, item.uri, item.fetched_at, item.modified_at),
        )

    def note_same(self, source: str, uri: str, validators: Validators) -> None:
        """An item is as it was; what the source will recognise it by is new."""
        self._database.execute(
            "UPDATE items SET etag = ?, last_modified = ?, size = ?, mtime_ns = ?"
            " WHERE source = ? AND uri = ?",
            (validators.etag, validators.last_modified, validators.size, validators.mtime_ns,
             source, uri),
        )  # fmt: skip

    def note_answered(self, source: str, uri: str) -> bool:
        """An item that failed before is there again, as it was. Whether it had failed."""
        changed = self._database.execute(
            "UPDATE items SET state = 'parsed', reason = '', attempts = 0, failing_since = NULL"
            " WHERE source = ? AND uri = ? AND state = 'failed' AND digest != ''",
            (source, uri),
        )
        return changed.rowcount > 0

    def note_failed(self, source: str, uri: str, reason: str, retryable: bool, at: float) -> None:
        """An item could not be fetched; what is known of it stays."""
        self._database.execute(
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
            for row in self._database.execute(
                "SELECT * FROM documents WHERE source = ? AND uri = ? AND digest != ''",
                (source, item.uri),
            )
        }
        validators = item.validators
        self._database.execute(
            "UPDATE items SET state = 'parsed', attempts = 0, reason = '', failing_since = NULL,"
            " digest = ?, etag = ?, last_modified = ?, size = ?, mtime_ns = ?, parser = ?"
            " WHERE source = ? AND uri = ?",
            (validators.digest, validators.etag, validators.last_modified, validators.size,
             validators.mtime_ns, parser, source, item.uri),
        )  # fmt: skip
        self._database.execute(
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
            self._database.execute(
                f"INSERT INTO documents ({', '.join(row)}) VALUES ({marks})",  # noqa: S608
                row,
            )

    def note_gone(self, source: str, uri: str) -> None:
        """An item is there no more."""
        for table in ("items", "documents"):
            self._database.execute(
                f"DELETE FROM {table} WHERE source = ? AND uri = ?",  # noqa: S608
                (source, uri),
            )

    def begin_telling(self) -> None:
        """From now on note which items a source tells of."""
        self._database.execute("CREATE TEMP TABLE IF NOT EXISTS told (uri TEXT PRIMARY KEY)")
        self._database.execute("DELETE FROM told")

    def note_told(self, uri: str) -> bool:
        """A source has told of an item; false if it has already in this run."""
        done = self._database.execute("INSERT OR IGNORE INTO told VALUES (?)", (uri,))
        return done.rowcount > 0

    def untold(self, source: str, parser: str, *, with_content: bool) -> list[str]:
        """Items that a killed run, or another parser, left, and that the source has no more.

        Unless `with_content`, only those that never could be fetched: nothing is lost with them.
        """
        lost = "(parser != ? OR digest = '')" if with_content else "(parser = '' AND ? != '')"
        rows = self._database.execute(
            f"SELECT uri FROM items WHERE source = ? AND {lost}"  # noqa: S608
            " AND uri NOT IN (SELECT uri FROM told)",
            (source, parser),
        )
        return [row["uri"] for row in rows]

    def was_parsed(self, source: str, uri: str) -> bool:
        """Whether this item could ever be parsed, or refused."""
        found = self._database.execute(
            "SELECT 1 FROM items WHERE source = ? AND uri = ? AND parser != ''", (source, uri)
        )
        return found.fetchone() is not None

    def digest_of(self, source: str, uri: str, parser: str) -> str:
        """The SHA-256 of what was last parsed there; empty when nothing was."""
        row = self._database.execute(
            "SELECT digest FROM items WHERE source = ? AND uri = ? AND parser = ?"
            " AND state != 'fetched'",
            (source, uri, parser),
        ).fetchone()
        return str(row["digest"]) if row else ""
