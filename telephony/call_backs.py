"""Call-backs that were promised, on disk until they are kept or given up. SQLite, one file.

Its methods block: use them from a thread. A gateway that dies while it rings one back does so again
after its start: rather a call twice than none.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from telephony.errors import GatewayError
from telephony.law import CallLaw, Disclosure, RecordingRule
from telephony.settings import CallBackSettings

MAX_ANNOUNCEMENT_BYTES = 2_000_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS call_backs (
    call_back_id TEXT PRIMARY KEY, address TEXT NOT NULL, number TEXT NOT NULL,
    queue TEXT NOT NULL, cause TEXT NOT NULL, link TEXT NOT NULL, words TEXT NOT NULL,
    announcement BLOB NOT NULL, of_call TEXT NOT NULL, asked_at REAL NOT NULL,
    due_at REAL NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL, reason TEXT NOT NULL,
    law TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS call_backs_due ON call_backs (state, due_at);
"""
_COLUMNS = (
    "call_back_id, address, number, queue, cause, link, words, announcement, of_call, asked_at, "
    "due_at, state, tries, reason, law"
)


class CallBacksUnusable(GatewayError):
    """The file cannot be used; the message is one line."""

    code = "call_backs_unusable"


class CallBackRefused(GatewayError):
    """It cannot be promised; the message is ``too_many``."""

    code = "call_back_refused"


@dataclass(frozen=True, slots=True)
class KeptCallBack:
    """One call-back. ``state``: ``waiting``, ``ringing``, ``done`` or ``given_up``; times in
    seconds since 1970. ``law`` is what held for the call it was promised in; ``None``: unknown."""

    call_back_id: str
    address: str
    number: str
    queue: str
    cause: str
    link: str
    words: str
    announcement: bytes
    of_call: str
    asked_at: float
    due_at: float
    state: str = "waiting"
    tries: int = 0
    reason: str = ""
    law: CallLaw | None = None


class CallBacks:
    """The file."""

    def __init__(self, settings: CallBackSettings, clock: Callable[[], float] = time.time) -> None:
        """
        Raises:
            CallBacksUnusable: it cannot be opened or written.
        """
        self._settings = settings
        self._path = settings.path
        self._clock = clock
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            with contextlib.closing(self._connect()) as database, database:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(_SCHEMA)
                columns = database.execute("PRAGMA table_info(call_backs)").fetchall()
                if "law" not in [column[1] for column in columns]:
                    database.execute(
                        "ALTER TABLE call_backs ADD COLUMN law TEXT NOT NULL DEFAULT ''"
                    )
                database.execute("UPDATE call_backs SET state = 'waiting' WHERE state = 'ringing'")
        except (OSError, sqlite3.Error) as error:
            raise CallBacksUnusable(f"{self._path}: cannot keep call-backs: {error}") from error

    @classmethod
    def look(cls, settings: CallBackSettings) -> list[KeptCallBack]:
        """Every one, the oldest first, without changing anything: the gateway may be running.

        Raises:
            CallBacksUnusable: the file cannot be read.
        """
        found = cls.__new__(cls)
        found._path = settings.path
        try:
            return found.all()
        except sqlite3.Error as error:
            raise CallBacksUnusable(f"{settings.path}: cannot be read: {error}") from error

    def keep(
        self,
        *,
        address: str,
        number: str,
        queue: str,
        of_call: str,
        cause: str = "",
        link: str = "",
        words: str = "",
        announcement: bytes = b"",
        law: CallLaw | None = None,
    ) -> KeptCallBack:
        """Promise one; on disk when this returns. The same caller's open one is replaced, not kept
        twice.

        Raises:
            CallBackRefused: too many are open, or for this number.
            sqlite3.Error: it could not be written.
        """
        now = self._clock()
        kept = KeptCallBack(
            uuid.uuid4().hex,
            address,
            number,
            queue,
            cause,
            link,
            words[:600],
            announcement if len(announcement) <= MAX_ANNOUNCEMENT_BYTES else b"",
            of_call,
            asked_at=now,
            due_at=now,
            law=law,
        )
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "DELETE FROM call_backs WHERE of_call = ? AND state = 'waiting'", (of_call,)
            )
            opened = "SELECT count(*) FROM call_backs WHERE state IN ('waiting', 'ringing')"
            (count,) = database.execute(opened).fetchone()
            (alike,) = database.execute(f"{opened} AND address = ?", (address,)).fetchone()
            if count >= self._settings.max_open or alike >= self._settings.max_each:
                raise CallBackRefused("too_many")
            marks = ", ".join("?" * 15)
            values = (
                *(getattr(kept, name.strip()) for name in _COLUMNS.split(",")[:-1]),
                json.dumps(asdict(law)) if law else "",
            )
            database.execute(f"INSERT INTO call_backs ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608
        return kept

    def due(self) -> list[KeptCallBack]:
        """Those to be rung now, the oldest first."""
        return self._read(
            "WHERE state = 'waiting' AND due_at <= ? ORDER BY asked_at", self._clock()
        )

    def all(self) -> list[KeptCallBack]:
        """Every one, the oldest first."""
        return self._read("WHERE asked_at > ? ORDER BY asked_at", 0.0)

    def begin(self, call_back_id: str) -> bool:
        """It is being rung; false when somebody else has taken it, or it is no more."""
        with contextlib.closing(self._connect()) as database, database:
            changed = database.execute(
                "UPDATE call_backs SET state = 'ringing', tries = tries + 1 "
                "WHERE call_back_id = ? AND state = 'waiting'",
                (call_back_id,),
            )
            return changed.rowcount == 1

    def done(self, call_back_id: str, reason: str = "talked") -> None:
        """The caller has talked to somebody."""
        self._settle(call_back_id, "done", reason)

    def failed(self, call_back_id: str, reason: str) -> bool:
        """Nobody took it: true when it will be tried again, false when it is given up."""
        with contextlib.closing(self._connect()) as database, database:
            row = database.execute(
                "SELECT tries FROM call_backs WHERE call_back_id = ?", (call_back_id,)
            ).fetchone()
            again = row is not None and row[0] < self._settings.tries
            database.execute(
                "UPDATE call_backs SET state = ?, reason = ?, due_at = ? WHERE call_back_id = ?",
                (
                    "waiting" if again else "given_up",
                    reason,
                    self._clock() + self._settings.retry_s,
                    call_back_id,
                ),
            )
        return again

    def _settle(self, call_back_id: str, state: str, reason: str) -> None:
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "UPDATE call_backs SET state = ?, reason = ?, announcement = x'' "
                "WHERE call_back_id = ?",
                (state, reason, call_back_id),
            )

    def _read(self, where: str, value: float) -> list[KeptCallBack]:
        with contextlib.closing(self._connect()) as database:
            # All columns: a file of an older version that is only looked at has no law.
            rows = database.execute(f"SELECT * FROM call_backs {where}", (value,))  # noqa: S608
            return [replace(KeptCallBack(*row[:14]), law=_law_in(*row[14:])) for row in rows]

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=5.0)
        database.execute("PRAGMA synchronous = FULL")
        return database


def _law_in(text: str = "") -> CallLaw | None:
    """Never raises: what cannot be read is not known."""
    try:
        told: dict[str, Any] = json.loads(text)
        return CallLaw(
            RecordingRule(told["recording"]),
            Disclosure(told["ai_disclosure"]),
            tuple(str(rule) for rule in told["rules"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
