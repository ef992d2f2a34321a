"""SQLite files of what callers and supervisors said and did: only their owner may read them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path


def create_private(path: Path, *, folder_mode: int = 0o777) -> None:
    """An empty file, unless there is one, in a folder that is made where it is missing.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def create_database(path: Path, schema: str, *, folder_mode: int = 0o777) -> None:
    """A database of these tables, in WAL mode; what it holds already stays.

    Raises:
        OSError, sqlite3.Error: it cannot be written, or is none.
    """
    create_private(path, folder_mode=folder_mode)
    with closing(sqlite3.connect(path, timeout=5.0)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(schema)


def put_aside(path: Path) -> Path:
    """Move a damaged database away, never delete it; where it is now.

    Raises:
        OSError: the disk refuses.
    """
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
