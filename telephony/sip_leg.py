"""One party on a SIP line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Literal

import structlog
from baresip import (
    BaresipError,
    Call,
    CallState,
    DigitEvent,
    Event,
    StackEvent,
    StaleHandleError,
    TransferFailed,
)
from baresip.errors import split_status

from telephony.call import (
    REPLACED,
    TRANSFERRED,
    DigitPressed,
    HoldChanged,
    Leg,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegState,
)
from telephony.errors import NotTransferred
from telephony.settings import TransferMeans
from telephony.sip_audio import LEAD_MS, SipAudio

log = structlog.get_logger(__name__)

MAX_EVENTS = 64
DUPLICATE_MS = 40
DUPLICATE_WITHIN_S = 0.5
_HOLD_ATTEMPTS = 10
_HOLD_PAUSE_S = 0.2
_RELEASE_S = 0.25
_ACKNOWLEDGED_S = 2.0
_HOLD_ANSWERED_S = 2.0
_OUTCOME_S = 600.0
"""Whoever asks for a transfer decides how long to wait for it, and waits less than this."""


class DigitFilter:
    """Drops the digits that reordered packets repeat: shorter than ``DUPLICATE_MS`` and the same
    key as just before. A short digit alone is kept, since a busy loop measures it too short."""

    def __init__(self) -> None:
        self._last: tuple[str, float] | None = None

    def accept(self, digit: str, duration_ms: int, now_s: float) -> bool:
        """True when the digit is a new one; ``now_s`` is its release on any monotonic clock."""
        last, self._last = self._last, (digit, now_s)
        if duration_ms >= DUPLICATE_MS or last is None:
            return True
        return last[0] != digit or now_s - last[1] > DUPLICATE_WITHIN_S


def why_closed(text: str, *, ended_by_us: str | None, lost_media: bool = False) -> LegEnded:
    """What a leg's end means, from the stack's words for it.

    ``ended_by_us`` is the reason we hung up for, if we did. An answered leg that the far end
    leaves has code 0; a leg that never was has the SIP status that refused it, 408 when nobody
    answered the INVITE at all.
    """
    if ended_by_us is not None:
        return LegEnded(ended_by_us or "hung_up")
    if text == "Call transfered":
        return LegEnded(TRANSFERRED)
    if text.endswith(" replaced"):
        return LegEnded(REPLACED)
    status, phrase = split_status(text)
    if status is not None:
        return LegEnded(phrase or str(status), status)
    if lost_media or "rtp stream error" in text:
        return LegEnded("media_lost")
    if "timed out" in text:
        return LegEnded("no_answer", 408)
    if "Connection reset by peer" in text:
        return LegEnded("far_end_hung_up")
    return LegEnded(text or "ended")


class SipLeg:
    """A SIP call as the gateway sees it (``telephony.call.Leg``). Events come in the loop the
    stack was started in; at most ``MAX_EVENTS`` wait, later ones but the end are dropped."""

    kind: Literal["sip", "webrtc"] = "sip"
    lead_ms = LEAD_MS

    def __init__(
        self,
        call: Call,
        leg_id: str,
        *,
        remote: str,
        dialled: str,
        transfers: TransferMeans = "bridge",
        on_ended: Callable[[SipLeg], None] | None = None,
    ) -> None:
        self.leg_id = leg_id
        self.transfers: TransferMeans = transfers
        self.remote = remote
        self.dialled = dialled
        self.state = LegState.RINGING
        self.ended = asyncio.Event()
        self._call = call
        self._audio = SipAudio(call.audio)
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self._end: LegEnded | None = None
        self._ended_by_us: str | None = None
        self._digits = DigitFilter()
        self._on_ended = on_ended
        self._established = asyncio.Event()
        self._offer_answered = asyncio.Event()
        call.on(self._on_stack_event)
        call.on_dtmf(self._on_digit)
        if call.state is CallState.ESTABLISHED:
            self._answered()
        elif call.state is CallState.CLOSED:
            self.lose("ended")

    # --- audio ---------------------------------------------------------------------------------

    def receive_frame(self) -> bytes | None:
        return self._audio.receive_frame() if self.state is LegState.ANSWERED else None

    def send_frame(self, frame: bytes) -> None:
        if self.state is LegState.ANSWERED:
            self._audio.send_frame(frame)

    def flush(self) -> None:
        if self.state is LegState.ANSWERED:
            self._audio.flush()

    @property
    def unsent_ms(self) -> int:
        return self._audio.unsent_ms if self.state is LegState.ANSWERED else 0

    # --- events --------------------------------------------------------------------------------

    async def next_event(self) -> LegEvent:
        """Wait for the next event; ``LegEnded`` is the last and comes again if asked for again."""
        if self._end is not None and self._events.empty():
            return self._end
        return await self._events.get()

    def lose(self, reason: str) -> None:
        """The leg is gone without the far end's doing (the stack died)."""
        self._finish(LegEnded(reason))

    def _on_stack_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_ESTABLISHED:
            self._answered()
        elif event.event is Event.CALL_HOLD:
            self._put(HoldChanged(True))
        elif event.event is Event.CALL_RESUME:
            self._put(HoldChanged(False))
        elif event.event is Event.CALL_REMOTE_SDP:
            self._offer_answered.set()
        elif event.event is Event.CALL_CLOSED:
            self._finish(why_closed(event.text or "", ended_by_us=self._ended_by_us))

    def _on_digit(self, pressed: DigitEvent) -> None:
        if self._digits.accept(pressed.digit, pressed.duration_ms, time.monotonic()):
            self._put(DigitPressed(pressed.digit, pressed.duration_ms))

    def _answered(self) -> None:
        self._established.set()
        if self.state is LegState.RINGING:
            self.state = LegState.ANSWERED
            self._put(LegAnswered())

    def _put(self, event: LegEvent) -> None:
        if self._events.qsize() < MAX_EVENTS or isinstance(event, LegEnded):
            self._events.put_nowait(event)

    def _finish(self, end: LegEnded) -> None:
        if self._end is not None:
            return
        self.state = LegState.ENDED
        self._end = end
        self._put(end)
        self.ended.set()
        stats = self._call.final_stats
        log.info(
            "sip_leg_ended",
            leg_id=self.leg_id,
            reason=end.reason,
            code=end.code,
            duration_s=stats.duration_s if stats else 0,
            packets_lost=stats.rx_lost if stats else 0,
            jitter_ms=stats.rx_jitter_ms if stats else 0,
            cut_ms=self._audio.cut_ms,
        )
        if self._on_ended is not None:
            self._on_ended(self)

    # --- what we do to it ----------------------------------------------------------------------

    async def answer(self) -> None:
        """Accept an incoming leg; one that cannot be answered any more ends instead."""
        if self.state is not LegState.RINGING:
            return
        try:
            await self._call.answer()
        except StaleHandleError:
            self.lose("far_end_hung_up")
        except BaresipError as error:
            log.warning("sip_answer_failed", leg_id=self.leg_id, error=str(error))
            await self.hang_up("answer_failed")

    async def hang_up(self, reason: str = "") -> None:
        """End the leg; an incoming one that still rings hears busy (486)."""
        if self.state is LegState.ENDED:
            return
        if self._ended_by_us is None:
            self._ended_by_us = reason
        try:
            await self._call.hangup()
        except StaleHandleError:
            self.lose(reason or "hung_up")
        except BaresipError as error:
            log.warning("sip_hang_up_failed", leg_id=self.leg_id, error=str(error))
            self.lose(reason or "hung_up")

    async def send_digits(self, digits: str) -> None:
        """Press keys towards this party, about 0.22 s each; what is no key is left out."""
        keys = "".join(key for key in digits.upper() if key in "0123456789ABCD*#")
        if not keys or self.state is not LegState.ANSWERED:
            return
        try:
            await self._call.send_dtmf(keys)
            # The release goes out with the next packets; a hang-up must not overtake it.
            await asyncio.sleep(_RELEASE_S)
        except BaresipError as error:
            log.info("sip_digits_not_sent", leg_id=self.leg_id, error=str(error))

    async def hold(self, held: bool) -> None:
        """Put this party on hold or take it back, again and again while another offer is under
        way (2 s at most)."""
        for _ in range(_HOLD_ATTEMPTS):
            if self.state is not LegState.ANSWERED:
                return
            try:
                await (self._call.hold() if held else self._call.resume())
                return
            except StaleHandleError:
                return
            except BaresipError as error:
                reason = str(error)
            await asyncio.sleep(_HOLD_PAUSE_S)
        log.warning("sip_hold_not_changed", leg_id=self.leg_id, held=held, error=reason)

    async def refer(
        self, to: str | Leg, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Have this party ring an address, or take over our call with another party, and wait for
        the outcome; see ``telephony.call.TransferableLeg``.

        Raises:
            NotTransferred: refused, failed, or not possible.
        """
        with contextlib.suppress(TimeoutError):  # the far end acknowledges our answer first
            async with asyncio.timeout(_ACKNOWLEDGED_S):
                await self._established.wait()
        try:
            if isinstance(to, str):
                await self._call.transfer(to, timeout=_OUTCOME_S)
            elif isinstance(to, SipLeg):
                for leg in (self, to):
                    await leg._hold_for_transfer()
                if not still_wanted():
                    raise NotTransferred("not wanted any more")
                await self._call.attended_transfer(to._call, timeout=_OUTCOME_S)
            else:
                raise NotTransferred("the other party is not on a SIP line")
        except TransferFailed as failure:
            raise NotTransferred(str(failure), failure.status or 0) from failure
        except (BaresipError, ValueError) as error:
            raise NotTransferred(f"the SIP stack did not transfer: {error}") from error

    async def _hold_for_transfer(self) -> None:
        """On hold, and the far end has agreed: it may refuse a REFER that crosses an offer."""
        self._offer_answered.clear()
        await self.hold(True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLD_ANSWERED_S):
                await self._offer_answered.wait()

    def show_caption(
        self, speaker: Literal["caller", "agent"], caption_id: str, text: str, final: bool
    ) -> None:
        """A telephone has no screen."""
