"""Ringing people for a caller: several at once until the first answers, and nobody forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog

from telephony.call import Leg, LegAnswered, LegEnded, LegState
from telephony.clock import Clock
from telephony.errors import DialFailed, GatewayError, PersonNotReached
from telephony.routing import failure_reason

log = structlog.get_logger(__name__)

DIAL_TIMEOUT_S = 3.0
HANG_UP_TIMEOUT_S = 3.0

Dial: TypeAlias = Callable[[str, dict[str, str]], Awaitable[Leg]]
"""``(sip_uri, extra_headers) -> leg`` in ``RINGING``; raises ``DialFailed`` when it cannot ring."""


class Ringing:
    """Telephones that ring for one caller, one group after another."""

    def __init__(
        self,
        dial: Dial | None,
        clock: Clock,
        headers: dict[str, str],
        *,
        on_ringing: Callable[[], None],
    ) -> None:
        """
        Args:
            dial: rings one; ``None`` where there is no way to.
            clock: what patience is measured by.
            headers: what each telephone is told beside the call.
            on_ringing: one rings.
        """
        self._dial = dial
        self._clock = clock
        self._headers = headers
        self._on_ringing = on_ringing
        self._declined = asyncio.Event()
        self._answered: list[Leg] = []

    @property
    def can_ring(self) -> bool:
        """There is a way to ring people."""
        return self._dial is not None

    def decline(self) -> None:
        """Whoever is being rung declines by click."""
        self._declined.set()

    async def leave_all(self) -> None:
        """Hang up on everybody who has answered."""
        for leg in self._answered:
            await leave(leg)

    async def first_of(self, targets: tuple[str, ...], patience_s: float) -> tuple[str, Leg]:
        """Whoever answers first, and their leg.

        Raises:
            PersonNotReached: none of them took it; with the last one's reason.
        """
        self._declined.clear()
        log.info("people_rung", pii={"targets": targets})
        ringing = {asyncio.ensure_future(self._until_answered(t)): t for t in targets}
        declined = asyncio.ensure_future(self._declined.wait())
        timer = asyncio.ensure_future(self._clock.sleep_until(self._clock.now_s() + patience_s))
        reason = "no_answer"
        try:
            while ringing:
                waits = {*ringing, declined, timer}
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in [each for each in ringing if each in done]:
                    target = ringing.pop(task)
                    try:
                        return target, task.result()
                    except PersonNotReached as failure:
                        reason = str(failure)
                if declined.done():
                    raise PersonNotReached("declined")
                if timer.done():
                    raise PersonNotReached("no_answer")
            raise PersonNotReached(reason)
        finally:
            rest = {*ringing, declined, timer}
            for each in rest:
                each.cancel()
            await asyncio.wait(rest)
            for late in ringing:  # two picked up at once: the second is not kept waiting
                if not late.cancelled() and late.exception() is None:
                    await leave(late.result())

    async def _until_answered(self, target: str) -> Leg:
        """The answered leg; one that is given up is hung up."""
        leg = None
        try:
            try:
                leg = await self._dialled(target)
            except GatewayError as error:
                log.warning("dial_failed", code=error.code, reason=str(error))
                raise PersonNotReached("unreachable") from error
            except Exception as error:  # whatever a SIP stack raises: the next person is rung
                log.error("dial_failed", code="unexpected", exc_info=error)
                raise PersonNotReached("unreachable") from error
            self._on_ringing()
            while True:
                match await leg.next_event():
                    case LegAnswered():
                        self._answered.append(leg)
                        return leg
                    case LegEnded() as ended:
                        raise PersonNotReached(failure_reason(ended.code))
        except BaseException:
            if leg is not None:
                await leave(leg)
            raise

    async def _dialled(self, target: str) -> Leg:
        """The ringing leg; one that comes after we were cancelled is hung up, not forgotten."""
        if self._dial is None:
            raise PersonNotReached("no_line")
        dialling = asyncio.ensure_future(self._dial(target, self._headers))
        try:
            return await asyncio.shield(dialling)
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    await leave(await dialling)
            except DialFailed:
                pass  # there is no leg to leave
            except Exception as error:  # whatever a SIP stack raises; nobody waits for this leg
                log.warning("late_leg_not_left", exc_info=error)
            raise


async def leave(leg: Leg) -> None:
    """Hang up on somebody who is not needed any more; failures are logged."""
    if leg.state is LegState.ENDED:
        return
    try:
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await leg.hang_up("transfer_over")
    except Exception as error:  # whatever a SIP stack raises
        log.warning("person_not_hung_up", exc_info=error)
