"""A record as a row, and a row as data."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, fields
from typing import Any

from voice_agent.records.record_types import CallRecord, HandoffRecord, Record, TurnRecord

_JSON_OF_TURNS = (
    "passages",
    "sources",
    "stages_ms",
    "waterfall_ms",
    "retrieval",
    "choice",
    "claims",
)
_JSON_COLUMNS = (*_JSON_OF_TURNS, "brief", "steps")
_TABLES = {CallRecord: "calls", TurnRecord: "turns", HandoffRecord: "handoffs"}


def insert(database: sqlite3.Connection, record: Record) -> None:
    """Write a record; the same id again replaces it."""
    values = asdict(record)
    for column in _JSON_COLUMNS:
        if column in values:
            values[column] = json.dumps(values[column], ensure_ascii=False, default=str)
    table = _TABLES[type(record)]
    names = ", ".join(f'"{each.name}"' for each in fields(record))
    marks = ", ".join(f":{each.name}" for each in fields(record))
    # table and columns come from the dataclasses above, never from outside
    database.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608


def turn_fields(row: sqlite3.Row) -> dict[str, Any]:
    """A row of turns with its JSON read; a file of an older version lacks the latest columns."""
    return {**{name: {} for name in _JSON_OF_TURNS}, **with_json(row)}


def with_json(row: sqlite3.Row) -> dict[str, Any]:
    """A row with its JSON read."""
    found = dict(row)
    for column in _JSON_COLUMNS:
        if column in found:
            found[column] = json.loads(found[column] or "{}")
    return found
