"""Rings callers back as promised, once somebody is free to talk to them.

A promise keeps its turn: it is rung when its queue is open, nobody on the line waits in it, and
somebody is free as far as this gateway knows. The caller is rung first and hears why; from then on
the call is like any other that waits for a person.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog

from telephony import metrics
from telephony.call import Leg, LegAnswered, LegEnded
from telephony.call_backs import CallBacks, CallBacksUnusable, KeptCallBack
from telephony.clock import Clock, within
from telephony.errors import GatewayError
from telephony.opening_hours import is_open
from telephony.people import People
from telephony.ringing import Dial
from telephony.routing import failure_reason
from telephony.settings import GatewaySettings

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 2.0
MAX_AT_ONCE = 4


class Calls(Protocol):
    """What is needed of a gateway."""

    settings: GatewaySettings
    dial: Dial | None

    @property
    def ready(self) -> bool:
        """One more call may be made."""

    @property
    def clock(self) -> Clock:
        """Time as calls see it."""

    async def call_back(self, leg: Leg, kept: KeptCallBack) -> bool:
        """Run the call; whether a person had it."""


class CallBackDialler:
    """Looks for promises that are due. ``run`` it as a task; cancelling ends what it rings."""

    def __init__(
        self, calls: Calls, people: People, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._calls = calls
        self._people = people
        self._now = now
        self._ringing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Ring whom it is time to ring; never ends."""
        try:
            while True:
                if self._people.rings_back:
                    await self.look()
                clock = self._calls.clock
                await clock.sleep_until(clock.now_s() + LOOK_EVERY_S)
        finally:
            for task in self._ringing:
                task.cancel()

    async def look(self) -> None:
        """Begin to ring those whose turn it is. Never raises: it is tried again."""
        try:
            store = await asyncio.to_thread(self._people.call_backs)
            await self._ring_due(store)
        except Exception as error:  # a bug as well: nobody would notice that it rings no more
            known = isinstance(error, CallBacksUnusable | sqlite3.Error)
            log.error("call_backs_unusable", reason=str(error), exc_info=None if known else error)

    async def _ring_due(self, store: CallBacks) -> None:
        """
        Raises:
            sqlite3.Error: the file cannot be read or written.
        """
        due = await asyncio.to_thread(store.due)
        taken: set[str] = set()
        for kept in due:
            if len(self._ringing) >= MAX_AT_ONCE or not self._calls.ready:
                return
            route = self._people.routes(kept.queue)[0]
            if route.name in taken or not self._somebody_for(kept.queue):
                continue
            taken.add(route.name)  # one a queue and look: those rung now are soon with somebody
            if await asyncio.to_thread(store.begin, kept.call_back_id):
                task = asyncio.create_task(self._ring_and_note(store, kept))
                self._ringing.add(task)
                task.add_done_callback(self._ringing.discard)

    def _somebody_for(self, queue: str) -> bool:
        book = self._people.book
        return any(
            is_open(route.settings.hours, self._now())
            and not book.waiting(route.name)
            and book.any_free(route.targets, route.settings.calls_each)
            for route in self._people.routes(queue)
        )

    async def _ring_and_note(self, store: CallBacks, kept: KeptCallBack) -> None:
        try:
            reason = await self._ring(kept)
            if not reason:
                await asyncio.to_thread(store.done, kept.call_back_id)
                metrics.CALL_BACKS.labels("talked").inc()
                log.info("called_back", call_back_id=kept.call_back_id)
                return
            again = await asyncio.to_thread(store.failed, kept.call_back_id, reason)
            metrics.CALL_BACKS.labels(reason if again else "given_up").inc()
            log.warning("call_back_not_taken", reason=reason, again=again)
        except sqlite3.Error as error:  # it stays as begun, and is rung again after a restart
            log.error("call_back_not_noted", call_back_id=kept.call_back_id, reason=str(error))

    async def _ring(self, kept: KeptCallBack) -> str:
        """Why nobody took it; empty when the caller has talked to somebody."""
        settings = self._calls.settings.human.call_backs
        leg = None
        try:
            leg = await self._answered(kept.address, settings.ring_timeout_s)
            return "" if await self._calls.call_back(leg, kept) else "no_person"
        except _NotAnswered as error:
            return str(error)
        except Exception as error:  # whatever a SIP stack raises
            log.error("call_back_failed", exc_info=error)
            return "unreachable"
        finally:
            if leg is not None:
                await leg.hang_up("call_back_over")

    async def _answered(self, address: str, patience_s: float) -> Leg:
        dial = self._calls.dial
        if dial is None:
            raise _NotAnswered("no_line")
        try:
            leg = await dial(address, {})
        except GatewayError as error:
            raise _NotAnswered("unreachable") from error
        try:
            await within(self._calls.clock, patience_s, _until_answered(leg))
        except TimeoutError as error:
            await leg.hang_up("no_answer")
            raise _NotAnswered("no_answer") from error
        except BaseException:
            await leg.hang_up("call_back_over")
            raise
        return leg


class _NotAnswered(Exception):
    """The caller could not be had."""


async def _until_answered(leg: Leg) -> None:
    while True:
        match await leg.next_event():
            case LegAnswered():
                return
            case LegEnded() as ended:
                raise _NotAnswered(failure_reason(ended.code))
