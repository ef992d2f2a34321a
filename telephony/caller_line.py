"""The caller's end of a call: accept it once, and heed what they do."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from telephony.call import (
    REPLACED,
    TRANSFERRED,
    CallStage,
    DigitPressed,
    HoldChanged,
    LegEnded,
    LegState,
)
from telephony.call_life import CallParts
from telephony.media_stream import Dtmf

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT_S = 15.0
"""An accepted leg that has no media after so long is given up."""


class CallerLine:
    """The caller's leg; its end is the call's."""

    def __init__(self, parts: CallParts, *, on_transferred: Callable[[], None]) -> None:
        self._leg = parts.caller
        self._media = parts.media
        self._keys = parts.keys
        self._clock = parts.clock
        self._life = parts.life
        self._on_transferred = on_transferred
        self._answered = False

    async def answer(self) -> None:
        """Accept the caller, once."""
        if self._answered:
            return
        self._answered = True
        if self._leg.state is LegState.ANSWERED:
            return  # it was we who rang
        try:
            await self._leg.answer()
        except Exception as error:  # whatever a SIP or WebRTC stack raises
            log.error("answer_failed", exc_info=error)
            self._life.end("answer_failed")
            return
        self._life.spawn(self._give_up_unanswered())

    async def watch(self) -> None:
        """Heed what the caller does, until they hang up."""
        while True:
            match await self._leg.next_event():
                case LegEnded(reason):
                    if reason == TRANSFERRED:
                        self._on_transferred()
                    elif reason == REPLACED:
                        log.warning("caller_replaced")
                    told = reason in (TRANSFERRED, REPLACED)
                    self._life.end(reason if told else "caller_hung_up")
                    return
                case HoldChanged(held):
                    self._media.caller_held = held
                    log.info("caller_hold_changed", held=held)
                case DigitPressed(digit, duration_ms):
                    if self._media.opening and self._media.opening.press(digit):
                        continue
                    self._media.recorder.keep_keys_out()
                    if self._media.stage is CallStage.BRIDGED and self._media.human:
                        self._keys.press(self._media.human, digit)
                    else:
                        self._media.tell(Dtmf(digit, duration_ms))

    async def _give_up_unanswered(self) -> None:
        await self._clock.sleep_until(self._clock.now_s() + ANSWER_TIMEOUT_S)
        if self._leg.state is LegState.RINGING:
            log.warning("caller_media_missing")
            self._life.end("answer_failed")
