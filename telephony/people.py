"""The people behind a gateway, as its calls see them: queues, and promises to ring later."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress

import structlog

from telephony import metrics
from telephony.call import Leg
from telephony.call_backs import CallBackRefused, CallBacks, KeptCallBack
from telephony.clock import Clock
from telephony.errors import TargetRefused
from telephony.law import CallLaw
from telephony.media_stream import CallBack, Offer
from telephony.people_queue import PeopleBook
from telephony.routing import Route, call_back_address, number_of, transfer_routes
from telephony.settings import GatewaySettings

log = structlog.get_logger(__name__)


class People:
    """Shared by all calls of a gateway."""

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self.book = PeopleBook(clock.now_s)
        self._settings = settings
        trunk = settings.sip.trunk
        self._trunk = trunk.domain if trunk else ""
        self._kept: CallBacks | None = None

    @property
    def rings_back(self) -> bool:
        """Whether there is any way to ring callers later."""
        return bool(self._settings.human.call_backs.address or self._trunk)

    def call_backs(self) -> CallBacks:
        """The file of promises, opened when first needed. Blocks.

        Raises:
            CallBacksUnusable: it cannot be opened.
        """
        if self._kept is None:
            self._kept = CallBacks(self._settings.human.call_backs)
        return self._kept

    def routes(self, queue: str) -> tuple[Route, ...]:
        """Where a promise leads; the default when its queue is no more."""
        human = self._settings.human
        with suppress(TargetRefused):
            return transfer_routes(queue, human, has_agent=False)
        return transfer_routes("", human, has_agent=False)

    def offers(self, queue: str) -> tuple[Offer, ...]:
        """What a caller of this queue can have instead of a person."""
        named = self._settings.human.queues.get(queue)
        wanted = self.rings_back and (named is None or named.call_back)
        return ("call_back",) if wanted else ()

    def rings_again(self, kept: KeptCallBack) -> bool:
        """Whether one that nobody took will be tried again."""
        return kept.tries + 1 < self._settings.human.call_backs.tries

    async def keep_call_back(
        self, caller: Leg, call_id: str, asked: CallBack, announcement: bytes, law: CallLaw
    ) -> CallBack:
        """Promise to ring a caller; what the agent is told. On disk when it says ``kept``.

        ``law`` is what holds for the call they are in, and for the one that is promised.
        """
        number = asked.number or number_of(caller.remote)
        target = asked.target or self._settings.human.queue
        named = self._settings.human.queues.get(target)
        if not self.rings_back or (named is not None and not named.call_back):
            return CallBack(number, target, "not_offered", state="refused")
        try:
            address = call_back_address(number, self._settings.human.call_backs, self._trunk)
            await asyncio.to_thread(
                lambda: self.call_backs().keep(
                    address=address,
                    number=number,
                    queue=target,
                    of_call=call_id,
                    cause=asked.cause,
                    link=asked.link,
                    words=asked.reason,
                    announcement=announcement,
                    law=law,
                )
            )
        except TargetRefused as error:
            log.warning("call_back_refused", reason=str(error), pii={"number": number})
            return CallBack(number, target, "number_not_allowed", state="refused")
        except CallBackRefused as error:
            return CallBack(number, target, str(error), state="refused")
        except Exception as error:  # a full disk: what is not kept is not promised
            known = isinstance(error, sqlite3.Error | OSError)
            log.error("call_back_not_kept", exc_info=None if known else error, reason=str(error))
            return CallBack(number, target, "not_kept", state="refused")
        metrics.CALL_BACKS.labels("promised").inc()
        log.info("call_back_promised", queue=target, pii={"number": number})
        return CallBack(number, target, state="kept")
