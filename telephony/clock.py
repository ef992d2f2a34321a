"""The call's clock: 20 ms frames that neither drift nor come in bursts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from telephony.media_stream import FRAME_MS

FRAME_S = FRAME_MS / 1000

T = TypeVar("T")


class Clock(Protocol):
    """Time as calls see it, so that tests can turn it by hand."""

    def now_s(self) -> float:
        """Seconds, monotonic, from anywhere."""

    async def sleep_until(self, when_s: float) -> None:
        """Return at or after ``when_s``; gives other tasks a turn even when that has passed."""


class LoopClock:
    """The running event loop's clock."""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, when_s: float) -> None:
        await asyncio.sleep(max(0.0, when_s - self.now_s()))


@dataclass(slots=True)
class FramePacer:
    """How many frames are due, from a schedule fixed at the start. Pure.

    After a stall the missed frames are made up two extra at a time, so that nobody receives a
    burst; a stall over ``FORGIVEN_S`` (a suspended machine) moves the schedule instead.
    """

    STALL_S = 3 * FRAME_S
    EXTRA = 2
    FORGIVEN_S = 5.0

    next_at_s: float
    stalls: int = 0
    _behind: bool = False

    def due(self, now_s: float) -> int:
        """Frames to handle now: 0 before time, 1 in step, up to ``1 + EXTRA`` when behind."""
        late_s = now_s - self.next_at_s
        if late_s < 0:
            return 0
        if late_s < self.STALL_S:
            self._behind = False
        elif not self._behind:
            self._behind = True
            self.stalls += 1
        if late_s > self.FORGIVEN_S:
            self.next_at_s = now_s
            late_s = 0.0
        frames = 1 + min(int(late_s / FRAME_S), self.EXTRA)
        self.next_at_s += frames * FRAME_S
        return frames


async def ticks(clock: Clock, pacer: FramePacer) -> AsyncIterator[int]:
    """For ever: the number of frames due, each time some are."""
    while True:
        await clock.sleep_until(pacer.next_at_s)
        if frames := pacer.due(clock.now_s()):
            yield frames


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled when it takes longer on this clock.

    Raises:
        TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep_until(clock.now_s() + seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        for pending in (task, timer):
            pending.cancel()
        await asyncio.wait({task, timer})
