"""Calls that are over, and what is recorded of live ones: read from the records, never written."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from voice_agent.console.errors import NotFound
from voice_agent.console.turn_view import turn_view
from voice_agent.records.record_types import CONSENT_ROAD
from voice_agent.records.rows import turn_fields

log = structlog.get_logger(__name__)

PAGE_SIZE = 50
LIVE = "live"
"""The outcome of a call that is not over."""
CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; times are seconds since 1970, an empty text looks for nothing."""

    since: float
    until: float
    number: str = ""
    outcome: str = ""
    words: str = ""
    page: int = 1


class History:
    """Reads ``records.sqlite`` and the actions' journal. Its calls block: use them from a thread.

    Args:
        recordings: folder of ``<call_id>.wav``.
    """

    def __init__(self, records: Path, journal: Path, recordings: Path) -> None:
        self._records = records
        self._journal = journal
        self._recordings = recordings

    def search(self, search: Search) -> dict[str, Any]:
        """One page of calls, newest first."""
        where = ["started_at >= ?", "started_at < ?"]
        values: list[object] = [search.since, search.until]
        if search.number:
            where.append("caller LIKE ? ESCAPE '\\'")
            values.append(f"%{_escaped(search.number)}%")
        if search.outcome == LIVE:
            where.append("ended_at IS NULL")
        elif search.outcome:
            where.append("outcome = ?")
            values.append(search.outcome)
        for word in search.words.split()[:8]:
            where.append(
                "EXISTS (SELECT 1 FROM turns WHERE turns.call_id = calls.call_id AND"
                " (heard LIKE ? ESCAPE '\\' OR spoken LIKE ? ESCAPE '\\'))"
            )
            values += [f"%{_escaped(word)}%"] * 2
        condition = " AND ".join(where)  # of our own words alone; what was asked for is bound
        with self.rows() as database:
            if database is None:
                return {"calls": [], "page": 1, "pages": 0, "total": 0, "outcomes": []}
            total = database.execute(
                f"SELECT COUNT(*) FROM calls WHERE {condition}",  # noqa: S608
                values,
            ).fetchone()[0]
            calls = database.execute(
                "SELECT *, (SELECT COUNT(*) FROM turns WHERE turns.call_id = calls.call_id"  # noqa: S608
                f" AND road != '{CONSENT_ROAD}') AS turns,"
                " (SELECT road FROM turns WHERE turns.call_id = calls.call_id"
                f" AND road NOT IN ('', '{CONSENT_ROAD}') ORDER BY \"index\" DESC LIMIT 1) AS road"
                f" FROM calls WHERE {condition} ORDER BY started_at DESC LIMIT ? OFFSET ?",
                [*values, PAGE_SIZE, (search.page - 1) * PAGE_SIZE],
            ).fetchall()
            outcomes = database.execute(
                "SELECT DISTINCT IIF(ended_at IS NULL, ?, outcome) FROM calls ORDER BY 1", (LIVE,)
            ).fetchall()
        return {
            "calls": [self._row(row) for row in calls],
            "page": search.page,
            "pages": -(-total // PAGE_SIZE),
            "total": total,
            "outcomes": [row[0] for row in outcomes if row[0]],
        }

    def call(self, call_id: str) -> dict[str, Any] | None:
        """A call with its turns as the page shows them; ``None``: nothing is recorded of it."""
        with self.rows() as database:
            if database is None:
                return None
            row = database.execute("SELECT * FROM calls WHERE call_id = ?", (call_id,)).fetchone()
            turns = [
                turn_fields(each)
                for each in database.execute(
                    'SELECT * FROM turns WHERE call_id = ? ORDER BY "index", began_at', (call_id,)
                )
            ]
            handoffs = _handoffs(database, call_id)
        if row is None and not turns:
            return None
        began = float(row["started_at"]) if row is not None else float(turns[0]["began_at"])
        call = self._row(row) if row is not None else {"call_id": call_id, "began_at": began}
        views = [turn_view(turn, began) for turn in turns]
        for write in self._writes(call_id):
            _put_action(views, turns, write)
        return {
            "call": {**call, "turns": sum(each["road"] != CONSENT_ROAD for each in views)},
            "turns": views,
            "brief": handoffs[-1]["brief"] if handoffs else None,
            "handoffs": handoffs,
            "recording": f"/api/calls/{call_id}/recording" if self.recording(call_id) else None,
            "recorded": self.recorded(call_id),
        }

    def handoff(self, call_id: str) -> dict[str, Any] | None:
        """The latest handoff of a call as recorded, with its brief; ``None``: there was none."""
        with self.rows() as database:
            found = _handoffs(database, call_id) if database is not None else []
        return found[-1] if found else None

    def turn(self, turn_id: str) -> dict[str, Any]:
        """One recorded turn with its JSON read.

        Raises:
            NotFound: there is none of that id.
        """
        with self.rows() as database:
            row = (
                database.execute("SELECT * FROM turns WHERE turn_id = ?", (turn_id,)).fetchone()
                if database is not None
                else None
            )
        if row is None:
            raise NotFound("There is no such turn in the records.")
        return turn_fields(row)

    def recording(self, call_id: str) -> Path | None:
        """The call's sound, if there is any: stereo WAV, the caller on the left."""
        if not CALL_ID.fullmatch(call_id):
            return None
        path = self._recordings / f"{call_id}.wav"
        return path if path.is_file() and not path.is_symlink() else None

    def recorded(self, call_id: str) -> dict[str, Any] | None:
        """By which permission a recording was made, and when it is silent and why (see
        ``telephony.recorder``); without the words of whoever paused it."""
        path = self.recording(call_id)
        if path is None:
            return None
        try:
            told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            kept = ("cause", "by", "from_ms", "to_ms")
            pauses = [{key: each[key] for key in kept} for each in told["pauses"]]
            shown = ("recording", "rules", "permission", "began_ms", "stopped_by_caller_ms")
            return {**{key: told[key] for key in shown}, "pauses": pauses}
        except (OSError, ValueError, KeyError, TypeError):
            return None  # made before there were descriptions, or deleted meanwhile

    def recordings(self) -> list[Path]:
        """Every recording there is."""
        return sorted(self._recordings.glob("*.wav")) if self._recordings.is_dir() else []

    @contextlib.contextmanager
    def rows(self) -> Iterator[sqlite3.Connection | None]:
        """The records, opened so that nothing can be changed; ``None``: there are none yet."""
        if not self._records.exists():
            yield None
            return
        address = f"{self._records.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5.0)) as database:
            database.row_factory = sqlite3.Row
            yield database

    def _row(self, row: sqlite3.Row) -> dict[str, Any]:
        call = dict(row)
        ended, began = call.get("ended_at"), float(call["started_at"])
        return {
            "call_id": call["call_id"],
            "line": call["line"],
            "caller": call["caller"],
            "began_at": began,
            "ended_at": ended,
            "duration_s": round(ended - began, 1) if ended else None,
            "outcome": call["outcome"] if ended else LIVE,
            "end_reason": call["end_reason"],
            "turns": call.get("turns"),
            "road": call.get("road"),
            "recording": self.recording(call["call_id"]) is not None,
            "grade": None,
        }

    def _writes(self, call_id: str) -> list[dict[str, Any]]:
        if not self._journal.exists():
            return []
        address = f"{self._journal.absolute().as_uri()}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
                database.row_factory = sqlite3.Row
                rows = database.execute(
                    "SELECT * FROM writes WHERE call_id = ? ORDER BY begun_at", (call_id,)
                ).fetchall()
        except sqlite3.Error as error:
            log.warning("actions_journal_unreadable", reason=str(error))
            return []
        return [dict(row) for row in rows]


def _put_action(
    views: list[dict[str, Any]], turns: list[dict[str, Any]], write: Mapping[str, Any]
) -> None:
    """Beside the turn during which it was begun."""
    before = [
        view
        for view, turn in zip(views, turns, strict=True)
        if float(turn["began_at"]) <= float(write["begun_at"])
    ]
    if views:
        (before or views)[-1 if before else 0]["actions"].append(
            {
                "name": write["action"],
                "state": write["state"],
                "arguments": _read(write["arguments"]),
                "result": _read(write["result"]),
                "reason": write["reason"],
            }
        )


def _handoffs(database: sqlite3.Connection, call_id: str) -> list[dict[str, Any]]:
    try:
        rows = database.execute(
            "SELECT * FROM handoffs WHERE call_id = ? ORDER BY asked_at", (call_id,)
        ).fetchall()
    except sqlite3.OperationalError:  # a file of an older version has no such table
        return []
    return [
        {**dict(row), "brief": _read(row["brief"]), "steps": _read(row["steps"])} for row in rows
    ]


def _read(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) and text else {}
    except ValueError:
        return {}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
