"""What supervisors think of answers, and what became of it: grades, questions for the evaluation
set, and proposals of verified answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from voice_agent.console.errors import Conflict, NotFound, Unavailable
from voice_agent.private_database import create_database

Grade = Literal["right", "wrong", "unsafe", "person"]
GRADES = frozenset(get_args(Grade))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS grades (
    turn_id TEXT PRIMARY KEY, call_id TEXT NOT NULL, grade TEXT NOT NULL,
    correction TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS grades_by_call ON grades (call_id);
CREATE TABLE IF NOT EXISTS proposals (
    id TEXT PRIMARY KEY, turn_id TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    state TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL,
    decided_by TEXT NOT NULL DEFAULT '', decided_at REAL
) STRICT;
"""


def approved_id(proposal: str) -> str:
    """What an approved proposal is called among the documents."""
    return f"approved-{proposal[:12]}"


class Grades:
    """The file of grades. Its calls block for a moment: use them from a thread.

    Args:
        evaluation: questions in the form of the stored questions (``question``, ``document``,
            ``must_say``), which ``knowledge build`` can hold versions against.
        verified: approved answers, one JSON object a line, as a source of knowledge reads them.
    """

    def __init__(self, path: Path, evaluation: Path, verified: Path) -> None:
        self._path, self._evaluation, self._verified = path, evaluation, verified
        self._evaluated: tuple[int, frozenset[str]] = (-1, frozenset())
        try:
            create_database(path, _SCHEMA, folder_mode=0o700)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"{path}: cannot be used for grades: {error}") from error

    def grade(self, turn_id: str, call_id: str, grade: str, correction: str, by: str) -> None:
        """Grade a turn; a later grade takes the place of an earlier one."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO grades VALUES (?, ?, ?, ?, ?, ?)",
                (turn_id, call_id, grade, correction, by, time.time()),
            )

    def of_call(self, call_id: str) -> dict[str, dict[str, Any]]:
        """The grades of a call's turns, by turn."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM grades WHERE call_id = ?", (call_id,)).fetchall()
        return {
            row["turn_id"]: {key: row[key] for key in ("grade", "correction", "by", "at")}
            for row in rows
        }

    def worst_of(self, call_ids: Iterable[str]) -> dict[str, str]:
        """For each of these calls that has grades, the worst."""
        order = ("right", "person", "wrong", "unsafe")
        worst: dict[str, str] = {}
        with self._open() as database:
            for call_id in call_ids:
                for row in database.execute(
                    "SELECT grade FROM grades WHERE call_id = ?", (call_id,)
                ):
                    worst[call_id] = max(worst.get(call_id, "right"), row["grade"], key=order.index)
        return worst

    def counts(self, since: float) -> dict[str, int]:
        """How many turns were graded how, since a time in seconds since 1970."""
        with self._open() as database:
            rows = database.execute(
                "SELECT grade, COUNT(*) FROM grades WHERE at >= ? GROUP BY grade", (since,)
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    # --- the evaluation set --------------------------------------------------------------------

    def add_to_evaluation(self, turn: Mapping[str, Any], correction: str) -> bool:
        """Add a turn's question; false if it is there already.

        The document is that behind the first sentence said; ``must_say`` the corrected answer.
        """
        documents = [str(each) for each in turn.get("sources") or []]
        documents += [str(each.get("document_id")) for each in turn.get("passages") or []]
        row = {
            "question": str(turn["heard"]),
            "document": documents[0] if documents else "",
            "must_say": [correction] if correction else [],
            "turn_id": str(turn["turn_id"]),
        }
        self._evaluation.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._evaluation, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(opened, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = yaml.safe_load(file.read()) or []
            if any(each.get("turn_id") == row["turn_id"] for each in known):
                return False
            file.seek(0, os.SEEK_END)
            yaml.safe_dump([row], file, allow_unicode=True, sort_keys=False)
        return True

    def evaluated(self) -> frozenset[str]:
        """The turns whose questions are in the evaluation set; read again when it has changed."""
        try:
            changed_ns = self._evaluation.stat().st_mtime_ns
        except OSError:
            return frozenset()
        if self._evaluated[0] != changed_ns:
            try:
                known = yaml.safe_load(self._evaluation.read_text(encoding="utf-8")) or []
                turns = frozenset(str(each.get("turn_id")) for each in known)
            except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError):
                turns = frozenset()  # somebody edits it by hand just now
            self._evaluated = (changed_ns, turns)
        return self._evaluated[1]

    # --- verified answers ----------------------------------------------------------------------

    def propose(self, turn_id: str, question: str, answer: str, by: str) -> str:
        """Propose an answer to be spoken as it is; gives the proposal's id.

        Raises:
            Conflict: the same was proposed for this turn and waits for a decision.
        """
        proposal = uuid.uuid4().hex
        with self._open() as database:
            if database.execute(
                "SELECT 1 FROM proposals WHERE turn_id = ? AND state = 'proposed' AND answer = ?",
                (turn_id, answer),
            ).fetchone():
                raise Conflict("That answer is proposed already.")
            database.execute(
                "INSERT INTO proposals (id, turn_id, question, answer, state, by, at)"
                " VALUES (?, ?, ?, ?, 'proposed', ?, ?)",
                (proposal, turn_id, question, answer, by, time.time()),
            )
        return proposal

    def proposals(self) -> list[dict[str, Any]]:
        """Every proposal, those that wait for a decision first."""
        with self._open() as database:
            rows = database.execute(
                "SELECT * FROM proposals ORDER BY state != 'proposed', at DESC LIMIT 500"
            ).fetchall()
        return [dict(row) for row in rows]

    def proposed_of(self, turn_ids: Iterable[str]) -> dict[str, str]:
        """For each of these turns that an answer was proposed for, the latest proposal's state."""
        states: dict[str, str] = {}
        with self._open() as database:
            for turn_id in turn_ids:
                row = database.execute(
                    "SELECT state FROM proposals WHERE turn_id = ? ORDER BY at DESC LIMIT 1",
                    (turn_id,),
                ).fetchone()
                if row is not None:
                    states[turn_id] = row["state"]
        return states

    def decide(self, proposal: str, approve: bool, by: str) -> dict[str, Any]:
        """Approve or reject; an approved answer is written where a source of knowledge finds it.

        Raises:
            NotFound: there is no such proposal.
            Conflict: it was decided before, or proposed by the same person.
        """
        with self._open() as database:
            row = database.execute("SELECT * FROM proposals WHERE id = ?", (proposal,)).fetchone()
            if row is None:
                raise NotFound("There is no such proposal.")
            if row["state"] != "proposed":
                raise Conflict(f"It was {row['state']} already.")
            if approve and row["by"].lower() == by.lower():
                raise Conflict("Somebody else than who proposed it has to approve it.")
            decided = database.execute(
                "UPDATE proposals SET state = ?, decided_by = ?, decided_at = ?"
                " WHERE id = ? AND state = 'proposed'",
                ("approved" if approve else "rejected", by, time.time(), proposal),
            )
            if decided.rowcount == 0:  # since it was read
                raise Conflict("Somebody else has just decided on it.")
            if approve:
                self._write_verified(row)
        return dict(row) | {"state": "approved" if approve else "rejected", "decided_by": by}

    def _write_verified(self, row: sqlite3.Row) -> None:
        line = {
            "id": approved_id(row["id"]),
            "question": row["question"],
            "answer": row["answer"],
            "spoken": row["answer"],
            "verified": True,
        }
        self._verified.parent.mkdir(parents=True, exist_ok=True)
        with self._verified.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=5.0)
        database.row_factory = sqlite3.Row
        try:
            with database:
                yield database
        finally:
            database.close()
