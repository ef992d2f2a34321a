"""Handing the caller to a person: ring, announce, bridge, and watch the person's leg."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from telephony import metrics
from telephony.call import (
    DigitPressed,
    HoldChanged,
    HumanStage,
    Leg,
    LegAnswered,
    LegEnded,
    LegState,
)
from telephony.call_media import CallMedia
from telephony.clock import Clock, within
from telephony.errors import GatewayError, PersonNotReached
from telephony.media_stream import TransferState
from telephony.routing import broke_off, failure_reason
from telephony.settings import HumanLineSettings

log = structlog.get_logger(__name__)

DIAL_TIMEOUT_S = 3.0
HANG_UP_TIMEOUT_S = 3.0

Dial: TypeAlias = Callable[[str, dict[str, str]], Awaitable[Leg]]
"""``(sip_uri, extra_headers) -> leg`` in ``RINGING``; raises ``DialFailed`` when it cannot ring."""


@dataclass(frozen=True, slots=True)
class BridgeEnded:
    """A person had the caller. ``lost``: the leg broke off rather than being hung up."""

    reason: str
    lost: bool


class HandOver:
    """One attempt to put the caller through to one person."""

    def __init__(
        self,
        media: CallMedia,
        dial: Dial | None,
        clock: Clock,
        *,
        on_state: Callable[[TransferState, str], None],
        on_digit: Callable[[str], None],
    ) -> None:
        self._media = media
        self._dial = dial
        self._clock = clock
        self._on_state = on_state
        self._on_digit = on_digit
        self._leg: Leg | None = None

    async def run(
        self,
        target: str,
        headers: dict[str, str],
        announcement: bytes,
        line: HumanLineSettings,
    ) -> BridgeEnded | None:
        """Ring ``target`` and, once answered, stay until the person is gone.

        Returns how the bridge ended; ``None`` when there was none (``failed`` has been told).
        """
        try:
            leg = await self._ring(target, headers, line.ring_timeout_s)
            self._on_state("answered", "")
            self._media.join(leg, announcement)
            return await self._join(leg)
        except PersonNotReached as failure:
            metrics.TRANSFERS.labels(str(failure)).inc()
            log.warning("transfer_failed", reason=str(failure))
            self._on_state("failed", str(failure))
            return None
        finally:
            self._media.part()
            if self._leg is not None:
                await self._leave(self._leg)

    async def _ring(self, target: str, headers: dict[str, str], patience_s: float) -> Leg:
        """The answered leg.

        Raises:
            PersonNotReached: with the reason as its message.
        """
        dial = self._dial
        if dial is None:
            raise PersonNotReached("no_line")
        log.info("person_rung", pii={"target": target})
        self._media.human_stage = HumanStage.RINGING
        try:
            return await within(
                self._clock, patience_s, self._until_answered(dial, target, headers)
            )
        except TimeoutError as error:
            raise PersonNotReached("no_answer") from error

    async def _until_answered(self, dial: Dial, target: str, headers: dict[str, str]) -> Leg:
        try:
            self._leg = leg = await self._dialled(dial, target, headers)
        except Exception as error:
            code = error.code if isinstance(error, GatewayError) else "error"
            log.warning("dial_failed", code=code, reason=str(error))
            raise PersonNotReached("unreachable") from error
        self._on_state("ringing", "")
        while True:
            match await leg.next_event():
                case LegAnswered():
                    return leg
                case LegEnded() as ended:
                    raise PersonNotReached(failure_reason(ended.code))

    async def _dialled(self, dial: Dial, target: str, headers: dict[str, str]) -> Leg:
        """The ringing leg; one that comes after we were cancelled is hung up, not forgotten."""
        dialling = asyncio.ensure_future(dial(target, headers))
        try:
            return await asyncio.shield(dialling)
        except asyncio.CancelledError:
            with suppress(Exception):
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    await self._leave(await dialling)
            raise

    async def _join(self, leg: Leg) -> BridgeEnded:
        """Announce, bridge, and wait for the person to leave."""
        watching = asyncio.ensure_future(self._watch(leg))
        announcing = asyncio.ensure_future(self._media.announced.wait())
        try:
            await asyncio.wait({watching, announcing}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
                raise PersonNotReached("hung_up_early")
            self._media.bridge()
            metrics.TRANSFERS.labels("bridged").inc()
            log.info("person_bridged")
            self._on_state("bridged", "")
            ended = await watching
        finally:
            for task in (watching, announcing):
                task.cancel()
        lost = broke_off(ended.code, ended.reason)
        log.info("person_left", lost=lost, code=ended.code)
        reason = "lost" if lost else "hung_up"
        self._on_state("ended", reason)
        return BridgeEnded(reason, lost)

    async def _watch(self, leg: Leg) -> LegEnded:
        while True:
            match await leg.next_event():
                case LegEnded() as ended:
                    return ended
                case HoldChanged(held):
                    self._media.human_held = held
                case DigitPressed(digit):
                    if self._media.human_stage is HumanStage.BRIDGED:
                        self._on_digit(digit)

    async def _leave(self, leg: Leg) -> None:
        if leg.state is LegState.ENDED:
            return
        try:
            async with asyncio.timeout(HANG_UP_TIMEOUT_S):
                await leg.hang_up("transfer_over")
        except Exception as error:
            log.warning("person_not_hung_up", exc_info=error)
