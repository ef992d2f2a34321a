"""Turns for those who look back over many of them; nothing here can change a record."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voice_agent.records.rows import turn_fields
from voice_agent.records.schema import RecordsUnusable


def turn(path: Path, turn_id: str) -> dict[str, Any] | None:
    """One turn; None if it is not known. The first characters of its id will do, if unique.

    Raises:
        RecordsUnusable: there is no file of records, or it cannot be read.
    """
    escaped = turn_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = "SELECT * FROM turns WHERE turn_id LIKE ? ESCAPE '\\' ORDER BY turn_id = ? DESC LIMIT 2"
    found = list(_rows(path, query, (f"{escaped}%", turn_id)))
    if not found or (len(found) > 1 and found[0]["turn_id"] != turn_id):
        return None
    return found[0]


def turns_since(path: Path, since: float) -> Iterator[dict[str, Any]]:
    """Turns that began after a Unix time in seconds, oldest first, one at a time.

    Raises:
        RecordsUnusable: there is no file of records, or it cannot be read.
    """
    return _rows(path, "SELECT * FROM turns WHERE began_at >= ? ORDER BY began_at", (since,))


def _rows(path: Path, query: str, values: tuple[object, ...]) -> Iterator[dict[str, Any]]:
    if not path.exists():
        raise RecordsUnusable(f"{path}: no records yet: no call has been answered")
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            database.row_factory = sqlite3.Row
            for row in database.execute(query, values):
                yield turn_fields(row)
    except sqlite3.Error as error:
        raise RecordsUnusable(f"{path}: cannot be read: {error}") from error
