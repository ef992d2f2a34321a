"""The tables of the record file, and how a file of an earlier version becomes one of this."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

SCHEMA_VERSION = 6
LOCK_PATIENCE_S = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, leg_id TEXT NOT NULL, line TEXT NOT NULL, caller TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, end_reason TEXT NOT NULL, outcome TEXT NOT NULL,
    configuration_hash TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS calls_by_start ON calls (started_at);
CREATE TABLE IF NOT EXISTS turns (
    turn_id TEXT PRIMARY KEY, call_id TEXT NOT NULL, "index" INTEGER NOT NULL,
    began_at REAL NOT NULL, heard TEXT NOT NULL, interims INTEGER NOT NULL,
    passages TEXT NOT NULL, sources TEXT NOT NULL,
    knowledge_version TEXT NOT NULL, query TEXT NOT NULL, prompt_id TEXT NOT NULL,
    model TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, stages_ms TEXT NOT NULL, answer TEXT NOT NULL,
    spoken TEXT NOT NULL, heard_by_caller TEXT NOT NULL, end_reason TEXT NOT NULL,
    speculations INTEGER NOT NULL, speculations_dropped INTEGER NOT NULL,
    prepared_passages INTEGER, filler TEXT NOT NULL DEFAULT '',
    speech_ended_at REAL, transcribed_after_ms REAL, voice_to_voice_ms REAL,
    waterfall_ms TEXT NOT NULL DEFAULT '{}', retrieval TEXT NOT NULL DEFAULT '{}',
    road TEXT NOT NULL DEFAULT '', confidence REAL, runner_up TEXT NOT NULL DEFAULT '',
    choice TEXT NOT NULL DEFAULT '{}', outcome TEXT NOT NULL DEFAULT '',
    claims TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX IF NOT EXISTS turns_by_call ON turns (call_id, "index");
CREATE TABLE IF NOT EXISTS handoffs (
    handoff_id TEXT PRIMARY KEY, call_id TEXT NOT NULL, asked_at REAL NOT NULL,
    reason TEXT NOT NULL, queue TEXT NOT NULL, spoken TEXT NOT NULL, brief TEXT NOT NULL,
    link TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT NOT NULL, steps TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS handoffs_by_call ON handoffs (call_id, asked_at);
"""
_ADDED = (
    ("calls", "leg_id", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "sources", "TEXT NOT NULL DEFAULT '[]'"),
    ("turns", "prepared_passages", "INTEGER"),
    ("turns", "filler", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "speech_ended_at", "REAL"),
    ("turns", "transcribed_after_ms", "REAL"),
    ("turns", "voice_to_voice_ms", "REAL"),
    ("turns", "waterfall_ms", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "retrieval", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "road", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "confidence", "REAL"),
    ("turns", "runner_up", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "choice", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "outcome", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "claims", "TEXT NOT NULL DEFAULT '[]'"),
)
"""Columns that earlier versions did not have, with what their rows get."""


class RecordsUnusable(Exception):
    """The file cannot be opened or belongs to a newer version; the message is one line."""

    code = "records_unusable"
    retryable = False


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, and is safe against a crash of this process."""
    database = sqlite3.connect(path, timeout=LOCK_PATIENCE_S)
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def prepare(path: Path) -> None:
    """Give the file, which exists, the tables and columns of this version.

    Raises:
        RecordsUnusable: a newer version of the agent wrote it.
        sqlite3.Error: it cannot be read or written; a damaged one is no ``OperationalError``.
    """
    with contextlib.closing(connect(path)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise RecordsUnusable(
                f"{path}: written by a newer version (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); choose another records.path or upgrade"
            )
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with database:
            for table, column, kind in _ADDED:
                known = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
                if column not in known:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
