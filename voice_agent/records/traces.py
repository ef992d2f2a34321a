"""Where callers leave traces beside the record file and the recordings: one list, which giving out,
erasing and pruning go by alike, so that none of them forgets a place.

Everything here blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from telephony.routing import identity_of
from voice_agent.records.schema import RecordsUnusable


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
    evaluation: Path
    verified_answers: Path
    interventions: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """Traces of these calls and turns; of this number as well, or those older than ``before``."""

    calls: frozenset[str]
    turns: frozenset[str]
    number: str = ""
    """As :func:`number_in` gives it; empty: by age."""
    before: float = 0.0
    """Seconds since 1970."""

    def holds(self, *, call: str, turn: str, caller: str, at: float) -> bool:
        """Whether a trace with these marks, where it has them, is wanted."""
        if (call and call in self.calls) or (turn and turn in self.turns):
            return True
        if self.number:
            return bool(caller) and number_in(caller) == self.number
        return 0 < at < self.before


class Trace(Protocol):
    """One place."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def path(self) -> Path:
        """For reports."""

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        """What is there.

        Raises:
            RecordsUnusable, OSError, ValueError: it cannot be read.
        """

    def forget(self, wanted: Wanted) -> int:
        """Delete it; gives how much it was.

        Raises:
            RecordsUnusable, OSError, ValueError: it cannot be written.
        """


def number_in(caller: str) -> str:
    """What names a caller: the digits of their number, or ``user@host`` without one."""
    caller = identity_of(caller)
    scheme, colon, rest = caller.partition(":")
    if colon and scheme.lower() not in ("sip", "sips", "tel"):
        return caller.strip().lower()
    user = (rest if colon else caller).partition("@")[0]
    digits = re.sub(r"[\s()./-]", "", user).lstrip("+")
    return digits if digits.isdigit() and len(digits) >= 3 else caller.strip().lower()


def traces(places: Places) -> tuple[Trace, ...]:
    """Every place but the record file and the recordings.

    The evaluation set and the approved answers come first: what leads there is in the proposals.
    """
    approved = _ApprovedAnswers(places.verified_answers, places.grades)
    return (
        _Evaluation(places.evaluation),
        approved,
        _Rows("grades", places.grades, "grades", "turn_id", call="call_id", at="at"),
        _Rows(
            "proposals", places.grades, "proposals", "id", turn="turn_id", at="at",
            pruned="state != 'approved'",
        ),
        _Rows(
            "interventions", places.interventions, "interventions", "id", call="call_id", at="at"
        ),
        _Rows(
            "actions", places.journal, "writes", "key", call="call_id", caller="caller",
            at="begun_at",
            only="state != 'sending' AND (caller != '' OR arguments != '{}' OR result != '{}'"
            " OR agreement != '{}')",
            emptied="caller = '', arguments = '{}', result = '{}', agreement = '{}'",
        ),
        _Rows(
            "unsent_outcomes", places.outbox, "events", "event_id",
            call="json_extract(body, '$.call_id')", caller="json_extract(body, '$.caller')",
            at="created_at",
        ),
        _Rows(
            "call_backs", places.call_backs, "call_backs", "call_back_id", call="of_call",
            caller="number", at="max(asked_at, due_at)",
        ),
        _Messages(places.voicemail),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a table; ``call``, ``turn``, ``caller`` and ``at`` are SQL that gives a row's."""

    name: str
    path: Path
    table: str
    key: str
    call: str = "''"
    turn: str = "''"
    caller: str = "''"
    at: str = "0"
    only: str = "1"
    """Rows for which this does not hold are no trace."""
    pruned: str = "1"
    """Rows for which this does not hold do not go by age."""
    emptied: str = ""
    """What of a row is overwritten; empty: the row is deleted."""

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        with open_database(self.path, write=False) as database:
            return [row for _, row in self._found(database, wanted)]

    def forget(self, wanted: Wanted) -> int:
        with open_database(self.path, write=True) as database:
            keys = [(key,) for key, _ in self._found(database, wanted)]
            if database is not None:
                change = f"DELETE FROM {self.table}"  # noqa: S608 - the names are ours
                if self.emptied:
                    change = f"UPDATE {self.table} SET {self.emptied}"  # noqa: S608
                database.executemany(f"{change} WHERE {self.key} = ?", keys)
        return len(keys)

    def _found(
        self, database: sqlite3.Connection | None, wanted: Wanted
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        if database is None:
            return
        only = self.only if wanted.number else f"({self.only}) AND ({self.pruned})"
        marks = f"{self.key}, {self.call}, {self.turn}, {self.caller}, {self.at}"
        rows = database.execute(f"SELECT {marks}, * FROM {self.table} WHERE {only}").fetchall()  # noqa: S608
        for row in rows:
            key, call, turn, caller, at = row[:5]
            if wanted.holds(
                call=call or "", turn=turn or "", caller=caller or "", at=float(at or 0)
            ):
                names = row.keys()[5:]
                yield str(key), dict(zip(names, row[5:], strict=True))


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """Questions taken over from graded turns. They do not go by age: people chose to keep them,
    and once the turn is gone nothing says any more whose question it was."""

    path: Path
    name: str = "evaluation_questions"

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        return self._parted(self.path.read_text(encoding="utf-8"), wanted)[0]

    def forget(self, wanted: Wanted) -> int:
        found: list[dict[str, Any]] = []

        def without(text: str) -> str | None:
            theirs, rest = self._parted(text, wanted)
            found.extend(theirs)
            if not theirs:
                return None
            return yaml.safe_dump(rest, allow_unicode=True, sort_keys=False) if rest else ""

        _rewrite(self.path, without)
        return len(found)

    def _parted(self, text: str, wanted: Wanted) -> tuple[list[dict[str, Any]], list[Any]]:
        theirs: list[dict[str, Any]] = []
        rest: list[Any] = []
        try:
            known = yaml.safe_load(text) or []
        except yaml.YAMLError as error:
            raise ValueError("no YAML") from error
        for each in known:
            of_theirs = wanted.number and str(each.get("turn_id")) in wanted.turns
            (theirs if of_theirs else rest).append(each)
        return theirs, rest


@dataclass(frozen=True, slots=True)
class _ApprovedAnswers:
    """Approved answers to a caller's question; like the evaluation set, they do not go by age."""

    path: Path
    grades: Path
    name: str = "approved_answers"

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        return self._parted(self.path.read_text(encoding="utf-8"), wanted)[0]

    def forget(self, wanted: Wanted) -> int:
        found: list[dict[str, Any]] = []

        def without(text: str) -> str | None:
            theirs, rest = self._parted(text, wanted)
            found.extend(theirs)
            return rest if theirs else None

        _rewrite(self.path, without)
        return len(found)

    def _parted(self, text: str, wanted: Wanted) -> tuple[list[dict[str, Any]], str]:
        if not wanted.number:
            return [], text
        proposed = _Rows("", self.grades, "proposals", "id", turn="turn_id").find(wanted)
        # an approved answer is called after its proposal (see `console.grades`)
        begins = {f"approved-{each['id'][:12]}" for each in proposed}
        theirs: list[dict[str, Any]] = []
        rest = []
        for line in text.splitlines(keepends=True):
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("id") in begins:
                    theirs.append(answer)
                    continue
            rest.append(line)
        return theirs, "".join(rest)


@dataclass(frozen=True, slots=True)
class _Messages:
    """Messages callers left; each is a WAV file beside a JSON file that says whose it is."""

    path: Path
    name: str = "messages"

    def find(self, wanted: Wanted) -> list[dict[str, Any]]:
        return [
            {**message, "recording": path.with_suffix(".wav").name}
            for path, message in self._found(wanted, [])
        ]

    def forget(self, wanted: Wanted) -> int:
        faults: list[str] = []
        count = 0
        for path, _ in self._found(wanted, faults):
            path.with_suffix(".wav").unlink(missing_ok=True)
            path.unlink()
            count += 1
        if faults:
            raise Unread(count, faults)
        return count

    def _found(self, wanted: Wanted, faults: list[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self.path.glob("*.json")) if self.path.is_dir() else ():
            try:
                message = json.loads(path.read_text(encoding="utf-8"))
                theirs = wanted.holds(
                    call=str(message.get("call_id") or ""), turn="",
                    caller=str(message["caller"]), at=float(message.get("at") or 0),
                )  # fmt: skip
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                faults.append(f"{path}: {error}")
                continue
            if theirs:
                yield path, message


class Unread(ValueError):
    """Some of a place could not be read; ``count`` of the rest was deleted."""

    def __init__(self, count: int, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.count = count
        self.faults = faults


@contextlib.contextmanager
def open_database(path: Path, *, write: bool) -> Iterator[sqlite3.Connection | None]:
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


def _rewrite(path: Path, change: Callable[[str], str | None]) -> None:
    """Write a file anew in its place, under the lock of those who add to it."""
    if not path.is_file():
        return
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = change(file.read())
        if text is None:
            return
        file.seek(0)
        file.write(text)
        file.truncate()
