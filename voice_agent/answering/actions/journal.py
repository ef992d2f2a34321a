"""The writes that were begun, so that each is done once, whatever dies in between.

A write is noted on disk before it is sent, and its end after. What was noted and has no end was cut
off: it is sent again only where the service knows it by its key, else it is left for a person.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voice_agent.answering.actions.errors import ActionsInvalid
from voice_agent.private_database import create_database

State = Literal["sending", "done", "refused", "undone", "unknown"]
"""``undone``: the service was never reached; ``unknown``: a person has to look."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS writes (
    key TEXT PRIMARY KEY, call_id TEXT NOT NULL, action TEXT NOT NULL, arguments TEXT NOT NULL,
    caller TEXT NOT NULL, state TEXT NOT NULL, result TEXT NOT NULL DEFAULT '{}',
    reason TEXT NOT NULL DEFAULT '', told INTEGER NOT NULL DEFAULT 0,
    agreement TEXT NOT NULL, begun_at REAL NOT NULL, ended_at REAL, lease_until REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS writes_by_call ON writes (call_id, begun_at);
CREATE TABLE IF NOT EXISTS identity_failures (subject TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS failures_by_subject ON identity_failures (subject, at);
"""


@dataclass(frozen=True, slots=True)
class Write:
    """One write. ``arguments`` are as the tool takes them, ``told`` whether the caller heard."""

    key: str
    call_id: str
    action: str
    arguments: Mapping[str, Any]
    caller: str = ""
    state: State = "sending"
    result: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    told: bool = False


def key_of(scope: str, action: str, arguments: Mapping[str, Any]) -> str:
    """The name of a write: within a scope, such as a call, the same arguments are the same one."""
    text = json.dumps([scope, action, dict(arguments)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Journal:
    """The file of writes. Its calls block for a disk's flush: use them from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            create_database(path, _SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ActionsInvalid(
                f"{path}: cannot be used as the actions' journal: {error}"
            ) from error

    def begin(self, write: Write, agreement: Mapping[str, str], lease_s: float) -> Write:
        """Note that a write is about to be sent; gives it as it stands.

        Send it only if its state is ``sending`` and it is returned with an empty ``result`` and
        ``reason`` "" by *this* call: one that was begun before is returned with reason
        ``begun_before``. A write that was refused or never reached its service may be begun again.
        """
        now = time.time()
        with contextlib.closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            known = self._find(database, write.key)
            if known is not None and known.state in ("sending", "done", "unknown"):
                return known if known.state != "sending" else _begun_before(known)
            database.execute(
                "INSERT OR REPLACE INTO writes (key, call_id, action, arguments, caller, state, "
                "agreement, begun_at, lease_until) VALUES (?, ?, ?, ?, ?, 'sending', ?, ?, ?)",
                (
                    write.key,
                    write.call_id,
                    write.action,
                    json.dumps(dict(write.arguments)),
                    write.caller,
                    json.dumps(dict(agreement)),
                    now,
                    now + lease_s,
                ),
            )
        return write

    def end(
        self, key: str, state: State, result: Mapping[str, Any] | None = None, reason: str = ""
    ) -> None:
        """Note how a write ended; one that is done stays done."""
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "UPDATE writes SET state = ?, result = ?, reason = ?, ended_at = ? "
                "WHERE key = ? AND state != 'done'",
                (state, json.dumps(dict(result or {}), default=str), reason, time.time(), key),
            )

    def note_told(self, key: str) -> None:
        """The caller has heard how it ended."""
        with contextlib.closing(self._connect()) as database, database:
            database.execute("UPDATE writes SET told = 1 WHERE key = ?", (key,))

    def take_cut_off(self, lease_s: float) -> list[Write]:
        """Writes that whoever sent them can no longer end; they are ours for ``lease_s``."""
        now = time.time()
        with contextlib.closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            rows = database.execute(
                "SELECT * FROM writes WHERE state = 'sending' AND lease_until < ?", (now,)
            ).fetchall()
            database.execute(
                "UPDATE writes SET lease_until = ? WHERE state = 'sending' AND lease_until < ?",
                (now + lease_s, now),
            )
        return [_write(row) for row in rows]

    def of_call(self, call_id: str) -> list[Write]:
        """The writes of a call, oldest first."""
        with contextlib.closing(self._connect()) as database:
            rows = database.execute(
                "SELECT * FROM writes WHERE call_id = ? ORDER BY begun_at", (call_id,)
            ).fetchall()
        return [_write(row) for row in rows]

    def note_attempt(self, subject: str, window_s: float, allowed: int) -> bool:
        """Count an identity check before it is made; false when there were too many.

        ``subject`` is whoever the caller claims to be; it is kept as a hash.
        """
        now = time.time()
        name = _hashed(subject)
        with contextlib.closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM identity_failures WHERE at < ?", (now - window_s,))
            (count,) = database.execute(
                "SELECT count(*) FROM identity_failures WHERE subject = ?", (name,)
            ).fetchone()
            if count >= allowed:
                return False
            database.execute("INSERT INTO identity_failures VALUES (?, ?)", (name, now))
        return True

    def forget_attempts(self, subject: str) -> None:
        """The check went well: earlier failures no longer count."""
        with contextlib.closing(self._connect()) as database, database:
            database.execute("DELETE FROM identity_failures WHERE subject = ?", (_hashed(subject),))

    def forget_last_attempt(self, subject: str) -> None:
        """The check could not be made: it does not count."""
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "DELETE FROM identity_failures WHERE rowid = (SELECT max(rowid) FROM "
                "identity_failures WHERE subject = ?)",
                (_hashed(subject),),
            )

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=5.0)
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA synchronous = FULL")
        return database

    @staticmethod
    def _find(database: sqlite3.Connection, key: str) -> Write | None:
        row = database.execute("SELECT * FROM writes WHERE key = ?", (key,)).fetchone()
        return _write(row) if row else None


def _begun_before(write: Write) -> Write:
    return Write(
        write.key, write.call_id, write.action, write.arguments, write.caller, "sending",
        reason="begun_before",
    )  # fmt: skip


def _write(row: sqlite3.Row) -> Write:
    return Write(
        key=row["key"],
        call_id=row["call_id"],
        action=row["action"],
        arguments=json.loads(row["arguments"]),
        caller=row["caller"],
        state=row["state"],
        result=json.loads(row["result"]),
        reason=row["reason"],
        told=bool(row["told"]),
    )


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.strip().lower().encode()).hexdigest()
