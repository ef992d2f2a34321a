"""The tables of the ledger, and opening them safely."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from voice_agent.knowledge.errors import IndexUnusable
from voice_agent.private_database import put_aside

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 1
INCLUDED = "state IN ('checked', 'embedded', 'indexed') AND duplicate = ''"
"""The documents that the next version is made of."""
_LOCK_PATIENCE_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sources (
    name TEXT PRIMARY KEY, rank INTEGER NOT NULL, answered_at REAL NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS items (
    source TEXT NOT NULL, uri TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, retryable INTEGER NOT NULL, failing_since REAL,
    digest TEXT NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, parser TEXT NOT NULL,
    fetched_at REAL NOT NULL, modified_at REAL NOT NULL,
    PRIMARY KEY (source, uri)
) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    source TEXT NOT NULL, uri TEXT NOT NULL, position INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, duplicate TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '', document_id TEXT NOT NULL, title TEXT NOT NULL,
    named TEXT NOT NULL, digest TEXT NOT NULL, words_hash TEXT NOT NULL DEFAULT '',
    likeness BLOB NOT NULL DEFAULT x'', valid_until TEXT NOT NULL DEFAULT '',
    passages INTEGER NOT NULL DEFAULT 0, changed_at REAL NOT NULL, indexed_at REAL,
    PRIMARY KEY (source, uri, position)
) STRICT;
CREATE INDEX IF NOT EXISTS documents_by_state ON documents (state);
CREATE INDEX IF NOT EXISTS documents_by_digest ON documents (digest);
CREATE TABLE IF NOT EXISTS contents (digest TEXT PRIMARY KEY, document BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cuts (digest TEXT PRIMARY KEY, passages BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, started_at REAL NOT NULL, seconds REAL, report TEXT NOT NULL
) STRICT;
"""


@contextmanager
def step(database: sqlite3.Connection) -> Iterator[None]:
    """All of what is written in the block, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the ledger. A damaged one is put aside: it can be made again from the sources.

    Raises:
        IndexUnusable: it cannot be written, or a newer version of the agent wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _prepared(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            log.error("knowledge_ledger_damaged", put_aside=put_aside(path).name)
            return _prepared(path)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise IndexUnusable(f"{path}: cannot be written: {reason}") from error


def connect_read_only(path: Path) -> sqlite3.Connection | None:
    """The ledger for a look while a build may be writing it; None when there is none yet."""
    if not path.exists():
        return None
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        if database.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return database
        database.close()
    except sqlite3.Error:
        pass
    return None


def _prepared(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_LOCK_PATIENCE_S, isolation_level=None)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise IndexUnusable(f"{path}: written by a newer version; choose another folder")
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.row_factory = sqlite3.Row
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.close()
        raise
    return database
