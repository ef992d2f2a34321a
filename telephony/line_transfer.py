"""Transfers that the caller's own line makes: a REFER (RFC 3515), blind, or with an escaped
Replaces that names our call with a person who has accepted (RFC 3891, RFC 5589).

The bridge in our own path is the rule. This is for lines whose settings say that they can, and for
the callers of queues whose settings want it; whatever goes wrong, the caller is still ours.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from telephony import metrics
from telephony.call import Leg, LegState, TransferableLeg
from telephony.call_media import CallMedia
from telephony.clock import Clock, within
from telephony.errors import NotTransferred, PersonNotReached
from telephony.routing import failure_reason, transfer_means
from telephony.settings import TransferMeans

log = structlog.get_logger(__name__)

SAID_WITHIN_S = 8.0
"""So long a caller may go on hearing why, before their line is asked."""
REPORT_S = 5.0
"""After a person's telephone has rung for its time, the line has so long to tell the outcome."""
TAKEN_OVER_WITHIN_S = 8.0
"""A person who is on the line already is taken over at once, or not at all."""
_LOOK_S = 0.1


def is_about_the_person(sip_code: int) -> bool:
    """Did the person not take it (busy, away, declined), rather than the line not do it?"""
    return sip_code == 603 or failure_reason(sip_code) in ("busy", "no_answer", "unknown_target")


class LineTransfer:
    """What one caller's line does for one hand-over. A line that has failed once is not asked
    again: the bridge follows."""

    def __init__(self, media: CallMedia, clock: Clock) -> None:
        self._media = media
        self._clock = clock
        self._failed = False

    def means(self, wished: TransferMeans) -> TransferMeans:
        """How this caller is handed over just now."""
        caller = self._media.caller
        if self._failed or not isinstance(caller, TransferableLeg):
            return "bridge"
        supervised = self._media.supervisor is not None
        return transfer_means(wished, caller.transfers, supervised=supervised)

    async def send_to(self, target: str, patience_s: float) -> bool:
        """Have the line ring an address, once the caller has heard what is being said to them.

        True: the caller is there. False: the line cannot, and the bridge may.

        Raises:
            PersonNotReached: they did not take it, or nothing was heard of it in time.
        """
        await self._until_said()
        if self.means("refer") != "refer":
            return False  # a supervisor is with the caller since
        try:
            await self._refer("refer", target, patience_s + REPORT_S)
        except NotTransferred as failure:
            if is_about_the_person(failure.sip_code):
                raise PersonNotReached(failure_reason(failure.sip_code)) from failure
            self._failed = True
            return False
        except TimeoutError as late:
            self._failed = True
            raise PersonNotReached("no_answer") from late
        return True

    async def hand_to(self, person: Leg) -> bool:
        """Have the line take over our call with a person; False: both are ours as before."""
        done = False
        try:
            await self._refer("replaces", person, TAKEN_OVER_WITHIN_S)
            done = True
        except (NotTransferred, TimeoutError):
            self._failed = True
        finally:
            if not done:  # also when the caller wants no person any more: nobody stays on hold
                for leg in (self._media.caller, person):
                    await leg.hold(False)
        return done

    async def _refer(self, way: TransferMeans, to: str | Leg, patience_s: float) -> None:
        """
        Raises:
            NotTransferred: refused, failed, or not possible.
            TimeoutError: no outcome in time.
        """
        caller = self._media.caller
        assert isinstance(caller, TransferableLeg)  # noqa: S101 - ``means`` has seen to it
        outcome = "transferred"
        try:
            still = self._still_wanted(way)
            await within(self._clock, patience_s, caller.refer(to, still_wanted=still))
        except NotTransferred as failure:
            outcome = "refused"
            log.warning("line_not_transferred", way=way, sip_code=failure.sip_code)
            raise
        except TimeoutError:
            outcome = "no_outcome"
            log.warning("line_transfer_unanswered", way=way)
            raise
        finally:
            metrics.LINE_TRANSFERS.labels(way, outcome).inc()

    def _still_wanted(self, way: TransferMeans) -> Callable[[], bool]:
        return lambda: self.means(way) == way

    async def _until_said(self) -> None:
        until_s = self._clock.now_s() + SAID_WITHIN_S
        while (
            not self._media.agent_done
            and self._media.caller.state is LegState.ANSWERED
            and self._clock.now_s() < until_s
        ):
            await self._clock.sleep_until(self._clock.now_s() + _LOOK_S)
