"""Outcomes on their way to a CRM: kept on disk until they are taken, signed, and tried again.

``X-Signature: t=SECONDS,v1=HEX`` is an HMAC-SHA256 of ``SECONDS.BODY``, so that a receiver can tell
who sent it and how old it is; ``event_id`` lets it keep each event once. What is refused, or not
taken after ``TRIES``, is put among the dead letters, to be looked at and sent again by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from voice_agent.background import repeat
from voice_agent.private_database import create_database
from voice_agent.records import metrics
from voice_agent.records.call_outcome import fault_in

log = structlog.get_logger(__name__)

WAITS_S = (1, 5, 30, 120, 600, 1800, 7200)
TRIES = len(WAITS_S) + 1
TIMEOUT_S = 10.0
LOOK_EVERY_S = 1.0
KEEP_DELIVERED_S = 7 * 24 * 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY, body TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
    next_at REAL NOT NULL, reason TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_due ON events (state, next_at);
"""


class OutboxUnusable(Exception):
    """The file cannot be used; the message is one line."""

    code = "outbox_unusable"
    retryable = False
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is kept. ``state`` is ``waiting``, ``delivered`` or ``dead``."""

    event_id: str
    body: str
    state: str
    tries: int
    reason: str
    created_at: float


class Outbox:
    """The file. Its methods block: use them from a thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        try:
            create_database(path, _SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise OutboxUnusable(f"{path}: cannot be used as an outbox: {error}") from error

    def put(self, fields: dict[str, Any]) -> None:
        """Keep an outcome; one that does not hold what it must is a dead letter at once."""
        fault = fault_in(fields)
        state, reason = ("dead", f"invalid: {fault}") if fault else ("waiting", "")
        now = self._clock()
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, 0, ?, ?, ?)",
                (str(fields.get("event_id")), json.dumps(fields), state, now, reason, now),
            )
            database.execute(
                "DELETE FROM events WHERE state = 'delivered' AND created_at < ?",
                (now - KEEP_DELIVERED_S,),
            )

    def take_due(self) -> Event | None:
        """The next event to be sent; another process does not get it meanwhile."""
        now = self._clock()
        with contextlib.closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute(
                "SELECT * FROM events WHERE state = 'waiting' AND next_at <= ? "
                "ORDER BY next_at LIMIT 1",
                (now,),
            ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE events SET next_at = ? WHERE event_id = ?",
                (now + 2 * TIMEOUT_S, row["event_id"]),
            )
        return _event(row)

    def note_delivered(self, event: Event) -> None:
        """It was taken."""
        self._update(event.event_id, "delivered", event.tries + 1, 0, "")

    def note_failed(self, event: Event, reason: str, *, for_good: bool) -> bool:
        """It was not taken; false when it is a dead letter now."""
        tries = event.tries + 1
        dead = for_good or tries >= TRIES
        wait_s = 0 if dead else WAITS_S[tries - 1]
        state = "dead" if dead else "waiting"
        self._update(event.event_id, state, tries, self._clock() + wait_s, reason)
        return not dead

    def events(self, state: str) -> list[Event]:
        """The events in a state, oldest first."""
        with contextlib.closing(self._connect()) as database:
            rows = database.execute(
                "SELECT * FROM events WHERE state = ? ORDER BY created_at", (state,)
            ).fetchall()
        return [_event(row) for row in rows]

    def send_again(self, event_id: str) -> bool:
        """Let a dead letter be tried anew; false when there is none of that id."""
        with contextlib.closing(self._connect()) as database, database:
            cursor = database.execute(
                "UPDATE events SET state = 'waiting', tries = 0, next_at = ? "
                "WHERE event_id = ? AND state = 'dead'",
                (self._clock(), event_id),
            )
        return cursor.rowcount == 1

    def _update(self, event_id: str, state: str, tries: int, next_at: float, reason: str) -> None:
        with contextlib.closing(self._connect()) as database, database:
            database.execute(
                "UPDATE events SET state = ?, tries = ?, next_at = ?, reason = ? "
                "WHERE event_id = ?",
                (state, tries, next_at, reason, event_id),
            )

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=5.0)
        database.row_factory = sqlite3.Row
        return database


class Webhook:
    """Sends what the outbox holds."""

    def __init__(self, outbox: Outbox, url: str, secret: str) -> None:
        self.outbox = outbox
        self._url = url
        self._secret = secret.encode()
        self._session: aiohttp.ClientSession | None = None

    async def follow(self) -> None:
        """Send what is due, as it becomes due; never ends."""
        await repeat(self._deliver_due, LOOK_EVERY_S)

    async def _deliver_due(self) -> None:
        while await self.deliver_next():
            pass

    async def deliver_next(self) -> bool:
        """Try the next event that is due; false when none was."""
        event = await asyncio.to_thread(self.outbox.take_due)
        if event is None:
            return False
        if fault := fault_in(json.loads(event.body)):
            reason, for_good = f"invalid: {fault}", True
        else:
            reason, for_good = await self._send(event)
        if not reason:
            await asyncio.to_thread(self.outbox.note_delivered, event)
            return True
        waits = await asyncio.to_thread(self.outbox.note_failed, event, reason, for_good=for_good)
        log.log(30 if waits else 40, "outcome_not_taken", reason=reason, dead=not waits)
        metrics.errors.labels(code="webhook_failed" if waits else "webhook_dead_letter").inc()
        return True

    async def close(self) -> None:
        """Drop the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, event: Event) -> tuple[str, bool]:
        """Why it was not taken, and whether it never will be; nothing when it was."""
        body = event.body.encode()
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers={
                    "Content-Type": "application/json",
                    "X-Event-Id": event.event_id,
                    "X-Signature": sign(self._secret, body, int(time.time())),
                },
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                if 200 <= response.status < 300:
                    return "", False
                lasting = 400 <= response.status < 500 and response.status not in (408, 425, 429)
                return f"http {response.status}", lasting
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__, False


def sign(secret: bytes, body: bytes, at_s: int) -> str:
    """The value of ``X-Signature`` for a body sent at a time (seconds since 1970)."""
    digest = hmac.new(secret, f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def _event(row: sqlite3.Row) -> Event:
    return Event(
        event_id=row["event_id"],
        body=row["body"],
        state=row["state"],
        tries=row["tries"],
        reason=row["reason"],
        created_at=row["created_at"],
    )
