"""Calls and turns as evidence, in SQLite.

Writing never blocks a call and never fails it: records go into a bounded queue, one thread writes
them, and what cannot be written (disk full, database locked for long, queue full) is logged and
counted in ``voice_agent_records_lost_total``. The file holds what callers said; only its owner may
read it.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from voice_agent.private_database import create_private, put_aside
from voice_agent.records import metrics
from voice_agent.records.record_types import CallRecord, HandoffRecord, Record, TurnRecord
from voice_agent.records.rows import insert, turn_fields, with_json
from voice_agent.records.schema import RecordsUnusable, connect, prepare
from voice_agent.safety.masking import mask_within

log = structlog.get_logger(__name__)

MAX_WAITING = 1_000
"""Records waiting to be written; further ones are lost, and counted."""
ATTEMPTS = 3

_SAID = ("heard", "query", "answer", "spoken", "heard_by_caller")
_SAID_IN_SEARCH = ("query", "context")
"""Columns, and parts of a repeated search, that hold words of a call."""


class Records:
    """The record file: one writer thread, any number of readers."""

    def __init__(
        self,
        path: Path,
        mask: Callable[[str], str] | None = None,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._path = path
        self._mask = mask
        self._queue: queue.Queue[Record | threading.Event | None] = queue.Queue(max_waiting)
        self._starting = threading.Lock()
        self._closed = False
        self._writer: threading.Thread | None = None

    @classmethod
    def open(cls, path: Path, mask: Callable[[str], str] | None = None) -> Records:
        """Open or create the file. A damaged one is put aside, never deleted, and begun anew.

        ``mask`` takes personal data out of what was said before it is written, in the writer's
        thread.

        Raises:
            RecordsUnusable: it cannot be written, or a newer version of the agent wrote it.
        """
        try:
            create_private(path)
            try:
                prepare(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                log.error("records_damaged", put_aside=put_aside(path).name)
                create_private(path)
                prepare(path)
        except OSError as error:
            raise RecordsUnusable(f"{path}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise RecordsUnusable(f"{path}: cannot be used for records: {error}") from error
        records = cls(path, mask)
        records._ensure_writer()
        return records

    def record_call(self, record: CallRecord) -> None:
        """Keep a call; the same ``call_id`` again replaces it. Never blocks, never raises."""
        self._put(record)

    def record_turn(self, record: TurnRecord) -> None:
        """Keep a turn; the same ``turn_id`` again replaces it. Never blocks, never raises."""
        self._put(record)

    def record_handoff(self, record: HandoffRecord) -> None:
        """Keep how a handoff stands. Never blocks, never raises."""
        self._put(record)

    def call(self, call_id: str) -> dict[str, Any] | None:
        """A call with its ``turns`` and ``handoffs`` in order; ``None`` if unknown. Blocking.

        The caller's own name for it (``leg_id``) will do; of several the latest is given.
        """
        self.flush()
        calls = self._read("SELECT * FROM calls WHERE call_id = ?", call_id) or self._read(
            "SELECT * FROM calls WHERE leg_id = ? ORDER BY started_at DESC LIMIT 1", call_id
        )
        call_id = calls[0]["call_id"] if calls else call_id
        turns = self._read(
            'SELECT * FROM turns WHERE call_id = ? ORDER BY "index", began_at', call_id
        )
        if not calls and not turns:
            return None
        # a call still going on has turns before its own record
        found = dict(calls[0]) if calls else {"call_id": call_id}
        handoffs = self._read("SELECT * FROM handoffs WHERE call_id = ? ORDER BY asked_at", call_id)
        return {
            **found,
            "turns": [turn_fields(row) for row in turns],
            "handoffs": [with_json(row) for row in handoffs],
        }

    def calls(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest calls without their turns, newest first. Blocking."""
        self.flush()
        rows = self._read("SELECT * FROM calls ORDER BY started_at DESC LIMIT ?", max(0, limit))
        return [dict(row) for row in rows]

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Wait until everything recorded so far is written. Blocking; false on timeout."""
        if self._closed:
            return True
        self._ensure_writer()
        written = threading.Event()
        try:
            self._queue.put(written, timeout=timeout_s)
        except queue.Full:
            return False
        return written.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, then stop. Blocking. Safe to call twice."""
        if self._closed:
            return
        self.flush(timeout_s)
        self._closed = True
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        if self._writer is not None:
            self._writer.join(timeout_s)

    def _put(self, record: Record) -> None:
        if self._closed:
            _note_lost("closed")
            return
        self._ensure_writer()
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            _note_lost("queue_full")

    def _masked(self, record: Record) -> Record:
        mask = self._mask
        if mask is None or isinstance(record, CallRecord):
            return record
        if isinstance(record, HandoffRecord):
            brief = mask_within(record.brief, mask)
            if "caller" in brief:  # by whom the call is known anyway, and rung back
                brief["caller"] = record.brief["caller"]
            return replace(record, spoken=mask(record.spoken), brief=brief)
        said: dict[str, Any] = {name: mask(getattr(record, name)) for name in _SAID}
        search = {
            name: mask_within(value, mask) if name in _SAID_IN_SEARCH else value
            for name, value in record.retrieval.items()
        }
        claims = tuple(
            {**claim, "text": mask(str(claim.get("text", "")))} for claim in record.claims
        )
        return replace(record, **said, retrieval=search, claims=claims)

    def _ensure_writer(self) -> None:
        with self._starting:
            if self._writer is not None and self._writer.is_alive():
                return
            if self._writer is not None:
                log.error("records_writer_died")
            self._writer = threading.Thread(target=self._write_all, name="records", daemon=True)
            self._writer.start()

    def _read(self, query: str, value: str | int) -> list[sqlite3.Row]:
        """Rows, read by a connection that cannot write; trouble gives no rows, and a log line."""
        try:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
                database.row_factory = sqlite3.Row
                return database.execute(query, (value,)).fetchall()
        except sqlite3.Error as error:
            log.error("records_unreadable", reason=str(error))
            return []

    # --- in the writer thread ----------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)

    def _write(self, record: Record) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with contextlib.closing(connect(self._path)) as database, database:
                    insert(database, self._masked(record))
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == ATTEMPTS:
                    _note_lost("locked" if "locked" in str(error) else "operational", error)
                    return
            except Exception as error:  # a record that cannot be written must not end the thread
                _note_lost("failed", error)
                return


def _note_lost(reason: str, error: Exception | None = None) -> None:
    metrics.records_lost.labels(reason=reason).inc()
    log.error("record_lost", reason=reason, error=str(error) if error else None)
