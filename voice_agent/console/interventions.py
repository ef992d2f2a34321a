"""What supervisors had the agent say, or agreed with callers: the words behind the audit log.

They stand apart from it: nothing is ever taken out of that, and a caller may have theirs erased.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voice_agent.console.errors import Unavailable
from voice_agent.private_database import create_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS interventions (
    id TEXT PRIMARY KEY, call_id TEXT NOT NULL, action TEXT NOT NULL, text TEXT NOT NULL,
    by TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS interventions_by_call ON interventions (call_id, at);
"""


class Interventions:
    """The file of them. Its calls block for a moment: use them from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            create_database(path, _SCHEMA, folder_mode=0o700)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"{path}: cannot be used for interventions: {error}") from error

    def keep(self, call_id: str, action: str, text: str, by: str) -> str:
        """Keep the words of an act; gives what they are called in the audit log.

        Raises:
            Unavailable: they cannot be written.
        """
        name = uuid.uuid4().hex
        try:
            with self._open() as database:
                database.execute(
                    "INSERT INTO interventions VALUES (?, ?, ?, ?, ?, ?)",
                    (name, call_id, action, text, by, time.time()),
                )
        except sqlite3.Error as error:
            raise Unavailable(f"What was said cannot be kept: {error}") from error
        return name

    def of_call(self, call_id: str) -> list[dict[str, Any]]:
        """Those of a call, oldest first; ``at`` in seconds since 1970."""
        query = "SELECT id, action, text, by, at FROM interventions WHERE call_id = ? ORDER BY at"
        with self._open() as database:
            return [dict(row) for row in database.execute(query, (call_id,))]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=5.0)) as database:
            database.row_factory = sqlite3.Row
            with database:
                yield database
