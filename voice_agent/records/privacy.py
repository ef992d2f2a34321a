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
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from voice_agent.records.rows import turn_fields
from voice_agent.records.schema import RecordsUnusable

DAY_S = 86_400.0
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")
LIVE_S = 6 * 3600.0
"""A call without an end is taken for a live one for so long."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where calls leave traces. A file that is not there holds nothing.

    ``call_backs`` are those the gateway still means to make.
    """

    records: Path
    recordings: Path
    journal: Path
    outbox: Path
    call_backs: Path
    grades: Path
    voicemail: Path


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
    """Files that could not be deleted, with the reason."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def number_in(caller: str) -> str:
    """What names a caller: the digits of their number, or all of an address without one."""
    scheme, colon, rest = caller.partition(":")
    if colon and scheme.lower() not in ("sip", "sips", "tel"):
        return caller.strip().lower()
    user = (rest if colon else caller).partition("@")[0]
    digits = re.sub(r"[\s()./-]", "", user).lstrip("+")
    return digits if digits.isdigit() and len(digits) >= 3 else caller.strip().lower()


def prune(
    places: Places,
    *,
    now: float,
    keep_days: float | None,
    keep_recordings_days: float | None,
    dry_run: bool = False,
) -> Report:
    """Delete what is older than the policy allows; ``None`` keeps for ever.

    Times are seconds since 1970.

    Raises:
        RecordsUnusable: the records cannot be read or written.
    """
    report = Report()
    with _database(places.records, write=not dry_run) as database:
        if database is not None and keep_days is not None:
            ids = [
                row[0]
                for row in database.execute(
                    "SELECT call_id FROM calls WHERE COALESCE(ended_at, started_at + ?) < ?",
                    (LIVE_S, now - keep_days * DAY_S),
                )
            ]
            _delete_calls(database, ids, report, dry_run=dry_run)
    _prune_recordings(places, now, keep_days, keep_recordings_days, report, dry_run=dry_run)
    return report


def export(places: Places, number: str) -> bytes | None:
    """Everything recorded of one caller, as a ZIP; ``None``: nothing is.

    ``calls.json`` has the calls with their turns, handoffs and actions; recordings are beside it.

    Raises:
        RecordsUnusable: the records cannot be read.
    """
    calls = _calls_of(places.records, number)
    if not calls:
        return None
    actions = _rows(places.journal, "SELECT * FROM writes", ())
    with _database(places.records, write=False) as database:
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
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls.json", json.dumps(calls, indent=1, ensure_ascii=False, default=str))
        for call in calls:
            path = _recording(places, call["call_id"])
            if path is not None:
                archive.write(path, path.name)
                described = path.with_suffix(".json")
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
    calls = _calls_of(places.records, number)
    ids = [call["call_id"] for call in calls]
    turn_ids: list[str] = []
    with _database(places.records, write=True) as database:
        if database is not None:
            for call_id in ids:
                turn_ids += [
                    row[0]
                    for row in database.execute(
                        "SELECT turn_id FROM turns WHERE call_id = ?", (call_id,)
                    )
                ]
            _delete_calls(database, ids, report, dry_run=False)
    for call_id in ids:
        _delete_recording(places, call_id, report)
    _elsewhere(places, number, ids, turn_ids, report)
    _delete_messages(places.voicemail, set(ids), number_in(number), report)
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


def _elsewhere(
    places: Places, number: str, ids: list[str], turn_ids: list[str], report: Report
) -> None:
    """Grades, proposals, actions, unsent outcomes and call-backs of the caller."""

    def done(name: str, path: Path, query: str, values: Iterable[tuple[str, ...]]) -> None:
        try:
            with _database(path, write=True) as database:
                if database is not None:
                    count = sum(database.execute(query, each).rowcount for each in values)
                    report.other[name] = count
        except (RecordsUnusable, sqlite3.Error) as error:
            report.failed.append(f"{path}: {error}")

    calls = [(call_id,) for call_id in ids]
    done("grades", places.grades, "DELETE FROM grades WHERE call_id = ?", calls)
    turns = [(turn_id,) for turn_id in turn_ids]
    done("proposals", places.grades, "DELETE FROM proposals WHERE turn_id = ?", turns)
    done(
        "actions",
        places.journal,
        "UPDATE writes SET caller = '', arguments = '{}', result = '{}', agreement = '{}'"
        " WHERE call_id = ? AND state != 'sending'",
        calls,
    )
    done(
        "unsent_outcomes",
        places.outbox,
        "DELETE FROM events WHERE json_extract(body, '$.call_id') = ?",
        calls,
    )
    wanted = number_in(number)
    try:
        waiting = _rows(places.call_backs, "SELECT call_back_id, number FROM call_backs", ())
    except RecordsUnusable as error:
        report.failed.append(str(error))
        return
    found = [
        (str(row["call_back_id"]),) for row in waiting if number_in(str(row["number"])) == wanted
    ]
    done("call_backs", places.call_backs, "DELETE FROM call_backs WHERE call_back_id = ?", found)


def _delete_messages(folder: Path, ids: set[str], number: str, report: Report) -> None:
    """Messages the caller left; each is a WAV file beside a JSON file that says whose it is."""
    for path in folder.glob("*.json") if folder.is_dir() else ():
        try:
            message = json.loads(path.read_text(encoding="utf-8"))
            theirs = message.get("call_id") in ids or number_in(str(message["caller"])) == number
            if theirs:
                path.with_suffix(".wav").unlink(missing_ok=True)
                path.unlink()
                report.other["messages"] = report.other.get("messages", 0) + 1
        except (OSError, ValueError, KeyError, AttributeError) as error:
            report.failed.append(f"{path}: {error}")


def _handoffs(database: sqlite3.Connection, call_id: str) -> list[dict[str, Any]]:
    try:
        rows = database.execute("SELECT * FROM handoffs WHERE call_id = ?", (call_id,)).fetchall()
    except sqlite3.OperationalError:  # a file of an older version
        return []
    return [dict(row) for row in rows]


def _rows(path: Path, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
    with _database(path, write=False) as database:
        if database is None:
            return []
        return [dict(row) for row in database.execute(query, values)]


@contextlib.contextmanager
def _database(path: Path, *, write: bool) -> Iterator[sqlite3.Connection | None]:
    """A database that exists, in one transaction; ``None``: there is no such file.

    Raises:
        RecordsUnusable: it cannot be used.
    """
    if not path.exists():
        yield None
        return
    try:
        address = f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10.0)) as database:
            database.row_factory = sqlite3.Row
            if write:
                database.execute("PRAGMA secure_delete = ON")
            with database:
                yield database
            if write:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise RecordsUnusable(f"{path}: cannot be used: {error}") from error
