"""A clock turned by hand, and telephones at the edge of the SIP stack, for drills of many calls."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from telephony.audio import in_frames
from telephony.call import TRANSFERRED, Leg, LegAnswered, LegEnded, LegEvent, LegState
from telephony.errors import NotTransferred
from telephony.media_stream import FRAME_MS
from telephony.settings import TransferMeans

TURNS_A_STEP = 10
"""Rounds of the event loop that sockets and tasks get in each step of the clock."""


class VirtualClock:
    """Time as calls see it; passes only in :meth:`step`."""

    def __init__(self) -> None:
        self._now_s = 1_000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        """Seconds from anywhere."""
        return self._now_s

    async def sleep_until(self, when_s: float) -> None:
        """Return once that time has come."""
        if when_s <= self._now_s:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_s, next(self._order), woken))
        await woken

    async def step(self) -> None:
        """20 ms of every call."""
        end_s = self._now_s + FRAME_MS / 1000
        while self._sleepers and self._sleepers[0][0] <= end_s + 1e-9:
            when_s, _, woken = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, when_s)
            if not woken.done():
                woken.set_result(None)
        self._now_s = end_s
        for _ in range(TURNS_A_STEP):
            await asyncio.sleep(0)


class VirtualLeg:
    """One telephone; a script tells it what happens."""

    lead_ms = 0
    unsent_ms = 0

    def __init__(self, remote: str, *, answers: bool = False) -> None:
        self.leg_id = "drill"
        self.kind: Literal["sip", "webrtc"] = "sip"
        self.remote = remote
        self.dialled = "sip:agent@drill.invalid"
        self.state = LegState.RINGING
        self.heard_frames = 0
        """Frames that were not silent."""
        self.ended_by_us = False
        self._answers = answers
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.transfers: TransferMeans = "replaces"
        self.on_refer: Callable[[str | Leg], Awaitable[None]] | None = None
        """Returns once the far end's line has transferred it, or raises."""
        self._says: deque[bytes] = deque()
        self._then: LegEvent | None = None

    def speak(self, audio: bytes, then: LegEvent) -> None:
        """The far end says this from now on, frame by frame, and then does something."""
        self._says.extend(in_frames(audio))
        self._then = then

    def tell(self, event: LegEvent) -> None:
        """Something happens at the far end."""
        if self.state is LegState.ENDED:
            return
        if isinstance(event, LegAnswered):
            self.state = LegState.ANSWERED
        if isinstance(event, LegEnded):
            self.state = LegState.ENDED
        self._events.put_nowait(event)

    def receive_frame(self) -> bytes | None:
        """What the far end says; mostly it is silent."""
        if self._says:
            return self._says.popleft()
        if self._then is not None:
            then, self._then = self._then, None
            self.tell(then)
        return None

    def send_frame(self, frame: bytes) -> None:
        """Count what would be heard."""
        if self.state is LegState.ANSWERED:
            self.heard_frames += sum(1 for each in in_frames(frame) if any(each))

    def flush(self) -> None:
        """Nothing waits here."""

    async def next_event(self) -> LegEvent:
        """Wait for what happens next."""
        return await self._events.get()

    async def answer(self) -> None:
        """Accept; media flows at once."""
        if self._answers:
            self.tell(LegAnswered())

    async def hang_up(self, reason: str = "") -> None:
        """End it from our side."""
        self.ended_by_us = True
        self.tell(LegEnded(reason))

    async def send_digits(self, digits: str) -> None:
        """Nobody listens for keys."""

    async def refer(
        self, to: str | Leg, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Have the line transfer this party.

        Raises:
            NotTransferred: it does not.
        """
        if not still_wanted():
            raise NotTransferred("not wanted any more")
        if self.on_refer is None:
            raise NotTransferred("not scripted", 405)
        await self.on_refer(to)
        self.tell(LegEnded(TRANSFERRED))

    async def hold(self, held: bool) -> None:
        """There is nothing to hold."""

    def show_caption(
        self, speaker: Literal["caller", "agent"], caption_id: str, text: str, final: bool
    ) -> None:
        """No screen."""
