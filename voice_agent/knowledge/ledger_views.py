"""What people ask of the ledger: what cannot be used and why, what looks odd, what runs did."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from voice_agent.knowledge.ledger_schema import INCLUDED


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that cannot be used until it, or its source, is put right.

    `state` is what it did not get beyond; `since` a Unix time in seconds.
    """

    source: str
    uri: str
    document: str
    state: str
    reason: str
    attempts: int
    since: float


def dead_letters(database: sqlite3.Connection, most: int = -1) -> list[DeadLetter]:
    """What cannot be used, with the reason, by source and address."""
    rows = database.execute(
        "SELECT source, uri, uri AS document, 'fetched' AS state, reason, attempts,"
        " failing_since AS since FROM items WHERE state = 'failed'"
        " UNION ALL SELECT d.source, d.uri, named, CASE WHEN digest = '' THEN 'parsed'"
        " ELSE 'checked' END, CASE WHEN duplicate != '' THEN duplicate ELSE reason END, 1,"
        " changed_at FROM documents d WHERE state = 'refused' OR duplicate != ''"
        " ORDER BY 1, 2, 3, 5 LIMIT ?",
        (most,),
    )
    return [DeadLetter(**dict(row)) for row in rows]


def notes(database: sqlite3.Connection, most: int = 100) -> list[tuple[str, str]]:
    """Documents that are used but should be looked at, with what is odd about them."""
    rows = database.execute(
        f"SELECT named, note FROM documents WHERE note != '' AND {INCLUDED}"  # noqa: S608
        " ORDER BY named LIMIT ?",
        (most,),
    )
    return [(row["named"], row["note"]) for row in rows]


def runs(database: sqlite3.Connection, most: int = 20) -> list[dict[str, Any]]:
    """The latest runs, newest first."""
    rows = database.execute("SELECT * FROM runs ORDER BY run DESC LIMIT ?", (most,))
    return [
        {"run": row["run"], "started_at": row["started_at"], "seconds": row["seconds"],
         **json.loads(row["report"])}
        for row in rows
    ]  # fmt: skip


def states(database: sqlite3.Connection) -> dict[str, int]:
    """How many documents are in each state, and how many items could not be fetched."""
    found = {
        row["state"]: int(row["number"])
        for row in database.execute(
            "SELECT CASE WHEN duplicate != '' THEN 'duplicate' ELSE state END AS state,"
            " count(*) AS number FROM documents GROUP BY 1 ORDER BY 1"
        )
    }
    failed = database.execute("SELECT count(*) FROM items WHERE state = 'failed'").fetchone()[0]
    return {**found, "failed": int(failed)} if failed else found


def source_answers(database: sqlite3.Connection) -> list[dict[str, Any]]:
    """When each source last answered (Unix time in seconds), and what was wrong since."""
    rows = database.execute("SELECT name, answered_at, reason FROM sources ORDER BY rank")
    return [dict(row) for row in rows]


def expired(database: sqlite3.Connection, day: str) -> list[tuple[str, str]]:
    """Documents in the index that are valid no more on this ISO day, with their last day."""
    rows = database.execute(
        f"SELECT named, valid_until FROM documents WHERE {INCLUDED} AND valid_until != ''"  # noqa: S608
        " AND valid_until < ? ORDER BY valid_until, named",
        (day,),
    )
    return [(row["named"], row["valid_until"]) for row in rows]
