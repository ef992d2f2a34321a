"""What every telephone of ours keeps of a call, whatever carries it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

QUIET_S = 0.3


class AnsweredCall:
    """Time is seconds since the call was answered."""

    def __init__(self, call_id: str = "") -> None:
        self.call_id = call_id
        self.answered_at = time.time()
        """Wall-clock time of position 0 (seconds since 1970)."""
        self.digits = ""
        """Keys the far end pressed."""
        self.ended = asyncio.Event()
        self.end_reason = ""
        self.far_end_holds = False
        self.sound_began_s: float | None = None
        """When the sound now or last heard began, after more than ``QUIET_S`` of silence."""
        self.last_sound_s: float | None = None
        self._zero_s = time.monotonic()

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._zero_s

    def _sounds(self, at_s: float) -> bool:
        """Sound is heard; whether it begins."""
        begins = self.last_sound_s is None or at_s - self.last_sound_s > QUIET_S
        if begins:
            self.sound_began_s = at_s
        self.last_sound_s = at_s
        return begins

    async def _until_over(self, wanted: Awaitable[Any]) -> None:
        """Wait for it or the call's end, whichever comes first; what did not come is cancelled."""
        waiting = {asyncio.ensure_future(wanted), asyncio.ensure_future(self.ended.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
