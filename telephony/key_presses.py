"""Keys on their way to legs: one after another, so that a slow leg keeps nobody else waiting."""

from __future__ import annotations

import asyncio

import structlog

from telephony.call import Leg

log = structlog.get_logger(__name__)

MAX_WAITING = 64


class KeyPresses:
    """A bounded queue of keys; ``run`` presses them."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[Leg, str]] = asyncio.Queue(MAX_WAITING)

    def press(self, leg: Leg, digit: str) -> None:
        """Press it when its turn comes; dropped when too many wait."""
        try:
            self._waiting.put_nowait((leg, digit))
        except asyncio.QueueFull:
            log.warning("digit_dropped")

    async def run(self) -> None:
        """Press what comes, until cancelled; a leg that fails does not end it."""
        while True:
            leg, digit = await self._waiting.get()
            try:
                await leg.send_digits(digit)
            except Exception as error:  # whatever a SIP or WebRTC stack raises: one key is lost
                log.warning("digit_not_sent", exc_info=error)
