"""Keeping what is recorded no longer than the policy says, and one caller's right to have what is
known of them, or to have it gone.

Everything here blocks. What is deleted is overwritten in the database file (``secure_delete``).
What has left already, such as an outcome sent to a CRM, is not reached from here, and the report
says so.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sqlite3
import time
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from voice_agent.records.rows import turn_fields
from voice_agent.records.schema import RecordsUnusable
from voice_agent.records.traces import (
    Places,
    Unread,
    Wanted,
    number_in,
    open_database,
    traces,
)

DAY_S = 86_400.0
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")
LIVE_S = 6 * 3600.0
"""A call without an end is taken for a live one for so long."""


@dataclass(slots=True)
class Report:
    """What was found, and deleted if anything was; for people and for the audit log."""

    calls: int = 0
    turns: int = 0
    handoffs: int = 0
    recordings: int = 0
    recording_bytes: int = 0
    other: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """What could not be deleted or looked through, with the reason."""
    live: list[str] = field(default_factory=list)
    """Calls that may still be going on: what is said from now on is recorded anew."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def prune(
    places: Places,
    *,
    now: float,
    keep_days: float | None,
    keep_recordings_days: float | None,
    dry_run: bool = False,
) -> Report:
    """Delete what is older than the policy allows; ``None`` keeps for ever.

    Times are seconds since 1970. Of an action the fact stays, as when a caller's data is erased;
    so do questions in the evaluation set and approved answers, which people chose to keep.

    Raises:
        RecordsUnusable: the records cannot be read or written.
    """
    report = Report()
    if keep_days is not None:
        limit = now - keep_days * DAY_S
        ids: list[str] = []
        turns: frozenset[str] = frozenset()
        with open_database(places.records, write=not dry_run) as database:
            if database is not None:
                ids = [
                    row[0]
                    for row in database.execute(
                        "SELECT call_id FROM calls WHERE COALESCE(ended_at, started_at + ?) < ?",
                        (LIVE_S, limit),
                    )
                ]
                turns = _turns_of(database, ids)
                _delete_calls(database, ids, report, dry_run=dry_run)
        _forget(places, Wanted(frozenset(ids), turns, before=limit), report, dry_run=dry_run)
        _prune_damaged(places, limit, report, dry_run=dry_run)
    _prune_recordings(places, now, keep_days, keep_recordings_days, report, dry_run=dry_run)
    return report


def export(places: Places, number: str) -> bytes | None:
    """Everything recorded of one caller, as a ZIP; ``None``: nothing is.

    ``calls.json`` has the calls with their turns, handoffs and actions; ``elsewhere.json`` what is
    kept beside them, such as messages, call-backs and grades, by place. Recordings are beside them.

    Raises:
        RecordsUnusable: the records cannot be read.
    """
    calls = _calls_of(places.records, number)
    actions = _rows(places.journal, "SELECT * FROM writes", ())
    with open_database(places.records, write=False) as database:
        for call in calls:
            if database is not None:
                call["turns"] = [
                    turn_fields(row)
                    for row in database.execute(
                        'SELECT * FROM turns WHERE call_id = ? ORDER BY "index"',
                        (call["call_id"],),
                    )
                ]
                call["handoffs"] = _handoffs(database, call["call_id"])
            call["actions"] = [row for row in actions if row["call_id"] == call["call_id"]]
    wanted = Wanted(
        frozenset(call["call_id"] for call in calls),
        frozenset(turn["turn_id"] for call in calls for turn in call.get("turns", ())),
        number_in(number),
    )
    try:
        found = {trace.name: rows for trace in traces(places) if (rows := trace.find(wanted))}
    except (OSError, ValueError) as error:
        raise RecordsUnusable(f"not everything can be read: {error}") from error
    if not calls and not found:
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls.json", _json(calls))
        if found:
            archive.writestr("elsewhere.json", _json(found))
        for message in found.get("messages", ()):
            path = places.voicemail / message["recording"]
            if path.is_file():
                archive.write(path, f"messages/{path.name}")
        for call in calls:
            recording = _recording(places, call["call_id"])
            if recording is not None:
                archive.write(recording, recording.name)
                described = recording.with_suffix(".json")
                if described.is_file():
                    archive.write(described, described.name)
    return packed.getvalue()


def erase(places: Places, number: str) -> Report:
    """Delete everything recorded of one caller.

    Of an action that was done the fact stays in the journal, since it changed another system; who
    asked and with which words is taken out.

    Raises:
        RecordsUnusable: the records cannot be written.
    """
    report = Report()
    ids = [call["call_id"] for call in _calls_of(places.records, number)]
    turns: frozenset[str] = frozenset()
    with open_database(places.records, write=True) as database:
        if database is not None:
            turns = _turns_of(database, ids)
            report.live = _live(database, ids, time.time())
            _delete_calls(database, ids, report, dry_run=False)
    for call_id in ids:
        _delete_recording(places, call_id, report)
    _forget(places, Wanted(frozenset(ids), turns, number_in(number)), report, dry_run=False)
    report.failed += [
        f"{path}: a damaged copy that cannot be looked through; delete it once it is not needed"
        for path in _damaged(places)
    ]
    return report


# --- parts -------------------------------------------------------------------------------------


def _calls_of(records: Path, number: str) -> list[dict[str, Any]]:
    wanted = number_in(number)
    return [
        row
        for row in _rows(records, "SELECT * FROM calls ORDER BY started_at", ())
        if number_in(str(row["caller"])) == wanted
    ]


def _delete_calls(
    database: sqlite3.Connection, ids: Iterable[str], report: Report, *, dry_run: bool
) -> None:
    for call_id in ids:
        report.calls += 1
        for table in ("turns", "handoffs"):
            # the names are ours; an older file may lack one
            with contextlib.suppress(sqlite3.OperationalError):
                count = database.execute(
                    f"SELECT COUNT(*) FROM {table} WHERE call_id = ?",  # noqa: S608
                    (call_id,),
                ).fetchone()[0]
                setattr(report, table, getattr(report, table) + count)
                if not dry_run:
                    database.execute(f"DELETE FROM {table} WHERE call_id = ?", (call_id,))  # noqa: S608
        if not dry_run:
            database.execute("DELETE FROM calls WHERE call_id = ?", (call_id,))


def _prune_recordings(
    places: Places,
    now: float,
    keep_days: float | None,
    keep_recordings_days: float | None,
    report: Report,
    *,
    dry_run: bool,
) -> None:
    kept = [days for days in (keep_days, keep_recordings_days) if days is not None]
    if not kept or not places.recordings.is_dir():
        return
    written = {path: path.stat() for path in places.recordings.glob("*.wav") if path.is_file()}
    limit = now - min(kept) * DAY_S
    for path, stat in written.items():
        if stat.st_mtime < limit:
            if dry_run:
                report.recordings += 1
                report.recording_bytes += stat.st_size
            else:
                _delete_recording(places, path.stem, report)


def _delete_recording(places: Places, call_id: str, report: Report) -> None:
    path = _recording(places, call_id)
    if path is None:
        return
    try:
        size = path.stat().st_size
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        report.failed.append(f"{path}: {error.strerror}")
        return
    report.recordings += 1
    report.recording_bytes += size


def _recording(places: Places, call_id: str) -> Path | None:
    if not _CALL_ID.fullmatch(call_id):
        return None
    path = places.recordings / f"{call_id}.wav"
    return path if path.is_file() else None


def _forget(places: Places, wanted: Wanted, report: Report, *, dry_run: bool) -> None:
    for trace in traces(places):
        try:
            count = len(trace.find(wanted)) if dry_run else trace.forget(wanted)
        except Unread as error:
            count = error.count
            report.failed += error.faults
        except (RecordsUnusable, OSError, ValueError) as error:
            report.failed.append(f"{trace.path}: {error}")
            continue
        if count:
            report.other[trace.name] = report.other.get(trace.name, 0) + count


def _damaged(places: Places) -> list[Path]:
    """Copies of the record file that were put aside as damaged: nothing can be looked up there."""
    return sorted(places.records.parent.glob(f"{places.records.name}.damaged-*"))


def _prune_damaged(places: Places, limit: float, report: Report, *, dry_run: bool) -> None:
    for path in _damaged(places):
        try:
            if path.stat().st_mtime < limit:
                if not dry_run:
                    path.unlink()
                report.other["damaged_copies"] = report.other.get("damaged_copies", 0) + 1
        except OSError as error:
            report.failed.append(f"{path}: {error.strerror}")


def _live(database: sqlite3.Connection, ids: Iterable[str], now: float) -> list[str]:
    query = "SELECT 1 FROM calls WHERE call_id = ? AND ended_at IS NULL AND started_at > ?"
    return [each for each in ids if database.execute(query, (each, now - LIVE_S)).fetchone()]


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=_as_text)


def _as_text(value: object) -> str:
    """For what JSON has no form for, such as a call-back's announcement in sound."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _turns_of(database: sqlite3.Connection, ids: Iterable[str]) -> frozenset[str]:
    query = "SELECT turn_id FROM turns WHERE call_id = ?"
    return frozenset(row[0] for each in ids for row in database.execute(query, (each,)))


def _handoffs(database: sqlite3.Connection, call_id: str) -> list[dict[str, Any]]:
    try:
        rows = database.execute("SELECT * FROM handoffs WHERE call_id = ?", (call_id,)).fetchall()
    except sqlite3.OperationalError:  # a file of an older version
        return []
    return [dict(row) for row in rows]


def _rows(path: Path, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
    with open_database(path, write=False) as database:
        if database is None:
            return []
        return [dict(row) for row in database.execute(query, values)]
