"""Calls and turns as evidence, in SQLite.

Writing never blocks a call and never fails it: records go into a bounded queue, one thread writes
them, and what cannot be written (disk full, database locked for long, queue full) is logged and
counted in ``voice_agent_records_lost_total``. The file holds what callers said; only its owner may
read it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from voice_agent.records import metrics
from voice_agent.safety.masking import mask_within

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 6
MAX_WAITING = 1_000
"""Records waiting to be written; further ones are lost, and counted."""
LOCK_PATIENCE_S = 5.0
ATTEMPTS = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY, leg_id TEXT NOT NULL, line TEXT NOT NULL, caller TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, end_reason TEXT NOT NULL, outcome TEXT NOT NULL,
    configuration_hash TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS calls_by_start ON calls (started_at);
CREATE TABLE IF NOT EXISTS turns (
    turn_id TEXT PRIMARY KEY, call_id TEXT NOT NULL, "index" INTEGER NOT NULL,
    began_at REAL NOT NULL, heard TEXT NOT NULL, interims INTEGER NOT NULL,
    passages TEXT NOT NULL, sources TEXT NOT NULL,
    knowledge_version TEXT NOT NULL, query TEXT NOT NULL, prompt_id TEXT NOT NULL,
    model TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, stages_ms TEXT NOT NULL, answer TEXT NOT NULL,
    spoken TEXT NOT NULL, heard_by_caller TEXT NOT NULL, end_reason TEXT NOT NULL,
    speculations INTEGER NOT NULL, speculations_dropped INTEGER NOT NULL,
    prepared_passages INTEGER, filler TEXT NOT NULL DEFAULT '',
    speech_ended_at REAL, transcribed_after_ms REAL, voice_to_voice_ms REAL,
    waterfall_ms TEXT NOT NULL DEFAULT '{}', retrieval TEXT NOT NULL DEFAULT '{}',
    road TEXT NOT NULL DEFAULT '', confidence REAL, runner_up TEXT NOT NULL DEFAULT '',
    choice TEXT NOT NULL DEFAULT '{}', outcome TEXT NOT NULL DEFAULT '',
    claims TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX IF NOT EXISTS turns_by_call ON turns (call_id, "index");
CREATE TABLE IF NOT EXISTS handoffs (
    handoff_id TEXT PRIMARY KEY, call_id TEXT NOT NULL, asked_at REAL NOT NULL,
    reason TEXT NOT NULL, queue TEXT NOT NULL, spoken TEXT NOT NULL, brief TEXT NOT NULL,
    link TEXT NOT NULL, state TEXT NOT NULL, outcome TEXT NOT NULL, steps TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS handoffs_by_call ON handoffs (call_id, asked_at);
"""
_ADDED = (
    ("calls", "leg_id", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "sources", "TEXT NOT NULL DEFAULT '[]'"),
    ("turns", "prepared_passages", "INTEGER"),
    ("turns", "filler", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "speech_ended_at", "REAL"),
    ("turns", "transcribed_after_ms", "REAL"),
    ("turns", "voice_to_voice_ms", "REAL"),
    ("turns", "waterfall_ms", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "retrieval", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "road", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "confidence", "REAL"),
    ("turns", "runner_up", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "choice", "TEXT NOT NULL DEFAULT '{}'"),
    ("turns", "outcome", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "claims", "TEXT NOT NULL DEFAULT '[]'"),
)
"""Columns that earlier versions did not have, with what their rows get."""
_SAID = ("heard", "query", "answer", "spoken", "heard_by_caller")
_SAID_IN_SEARCH = ("query", "context")
"""Columns, and parts of a repeated search, that hold words of a call."""
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


class RecordsUnusable(Exception):
    """The file cannot be opened or belongs to a newer version; the message is one line."""

    code = "records_unusable"
    retryable = False


@dataclass(slots=True, frozen=True)
class CallRecord:
    """One call. Times are seconds since 1970; recorded again when it ends."""

    call_id: str
    line: str
    caller: str
    started_at: float
    ended_at: float | None = None
    end_reason: str = ""
    outcome: str = ""
    configuration_hash: str = ""
    leg_id: str = ""


@dataclass(slots=True, frozen=True)
class TurnRecord:
    """One turn: what was heard, what the answer stood on, what the caller heard of it.

    ``sources`` are the documents behind what was said, ``passages`` all that the model was given:
    objects with ``document_id``, ``passage_id``, ``score`` and ``source``;
    ``end_reason`` is ``completed``, ``interrupted``, ``failed:<code>``, ``transferred`` or
    ``hung_up``; ``stages_ms`` has a time for each stage that ran; ``waterfall_ms`` adds up to
    ``voice_to_voice_ms`` (see ``records.waterfall``). ``prepared_passages``: whether those read
    while the caller spoke were the right ones; ``None``: there were none. ``retrieval`` repeats the
    search: the query as embedded, filters, and the passages found, in order, with exact scores.

    ``road`` is what the router decided, ``confidence`` its calibrated probability (0 to 1; ``None``
    when no router decided), ``runner_up`` the next likely road (empty: a rule decided), ``choice``
    what decided, which group of examples, and how long it took; ``outcome`` is how the reply came
    about in the end, such as ``quote`` or ``decline``. ``claims`` are the pieces of the reply, each
    with its ``text``, the ``passage_ids`` behind it, and ``because``: why it was spoken.
    """

    call_id: str
    turn_id: str
    index: int
    began_at: float
    heard: str = ""
    interims: int = 0
    passages: tuple[dict[str, Any], ...] = ()
    sources: tuple[str, ...] = ()
    knowledge_version: str = ""
    query: str = ""
    prompt_id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)
    answer: str = ""
    spoken: str = ""
    heard_by_caller: str = ""
    end_reason: str = ""
    speculations: int = 0
    speculations_dropped: int = 0
    prepared_passages: bool | None = None
    filler: str = ""
    speech_ended_at: float | None = None
    transcribed_after_ms: float | None = None
    voice_to_voice_ms: float | None = None
    waterfall_ms: dict[str, float] = field(default_factory=dict)
    retrieval: dict[str, Any] = field(default_factory=dict)
    road: str = ""
    confidence: float | None = None
    runner_up: str = ""
    choice: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    claims: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True, frozen=True)
class HandoffRecord:
    """One attempt to put a caller through; the same ``handoff_id`` again replaces it.

    ``reason`` is the code of ``configs/handoff.yaml``; ``spoken`` the sentence the person hears;
    ``brief`` the story as data (see ``handoff.brief.Brief``); ``state`` the latest word from the
    gateway; ``outcome`` is ``person``, ``call_back``, ``voicemail``, ``agent`` (again with the
    agent), ``withdrawn``, ``left`` (the caller hung up), or empty while it is open; ``steps`` are
    ``{"at", "state", "reason"}`` in order, ``at`` in seconds since 1970.
    """

    handoff_id: str
    call_id: str
    asked_at: float
    reason: str
    queue: str = ""
    spoken: str = ""
    brief: dict[str, Any] = field(default_factory=dict)
    link: str = ""
    state: str = ""
    outcome: str = ""
    steps: tuple[dict[str, Any], ...] = ()


_Record: TypeAlias = CallRecord | TurnRecord | HandoffRecord


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
        self._queue: queue.Queue[_Record | threading.Event | None] = queue.Queue(max_waiting)
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
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            try:
                _prepare(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
                path.rename(aside)
                for suffix in ("-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                log.error("records_damaged", put_aside=aside.name)
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
                _prepare(path)
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
            "handoffs": [_with_json(row) for row in handoffs],
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

    def _put(self, record: _Record) -> None:
        if self._closed:
            _note_lost("closed")
            return
        self._ensure_writer()
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            _note_lost("queue_full")

    def _masked(self, record: _Record) -> _Record:
        mask = self._mask
        if mask is None or isinstance(record, CallRecord):
            return record
        if isinstance(record, HandoffRecord):
            return replace(
                record, spoken=mask(record.spoken), brief=mask_within(record.brief, mask)
            )
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

    def _write(self, record: _Record) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with contextlib.closing(_connect(self._path)) as database, database:
                    _insert(database, self._masked(record))
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


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=LOCK_PATIENCE_S)
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def _prepare(path: Path) -> None:
    with contextlib.closing(_connect(path)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise RecordsUnusable(
                f"{path}: written by a newer version (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); choose another records.path or upgrade"
            )
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with database:
            for table, column, kind in _ADDED:
                known = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
                if column not in known:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


_TABLES = {CallRecord: "calls", TurnRecord: "turns", HandoffRecord: "handoffs"}


def _insert(database: sqlite3.Connection, record: _Record) -> None:
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
    return {**{name: {} for name in _JSON_OF_TURNS}, **_with_json(row)}


def _with_json(row: sqlite3.Row) -> dict[str, Any]:
    found = dict(row)
    for column in _JSON_COLUMNS:
        if column in found:
            found[column] = json.loads(found[column] or "{}")
    return found
