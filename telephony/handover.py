"""Handing the caller to a person: wait for a turn, ring, announce, bridge, watch their leg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from telephony import metrics
from telephony.call import (
    REPLACED,
    TRANSFERRED,
    CallStage,
    DigitPressed,
    HoldChanged,
    HumanStage,
    Leg,
    LegEnded,
)
from telephony.call_media import CallMedia
from telephony.clock import Clock, within
from telephony.errors import PersonNotReached
from telephony.line_transfer import LineTransfer
from telephony.media_stream import Transfer, TransferState
from telephony.opening_hours import is_open
from telephony.people_queue import PeopleBook, Place
from telephony.ringing import Dial, Ringing, leave
from telephony.routing import Route, broke_off, story_headers
from telephony.settings import HumanLineSettings

log = structlog.get_logger(__name__)

ANNOUNCEMENT_TIMEOUT_S = 6.0
"""A person who has answered waits so long for an announcement that is still being spoken."""
ACCEPT_TIMEOUT_S = 12.0
"""Where a key accepts: so long after the announcement."""
SHORTEST_TALK_S = 2.0
"""Somebody who hangs up sooner has not served the caller."""
TELL_WAIT_EVERY_S = 60.0
ACCEPT_KEY, DECLINE_KEY = "1", "2"


@dataclass(frozen=True, slots=True)
class BridgeEnded:
    """A person had the caller. ``lost``: the leg broke off, or the person hung up at once.
    ``reason`` is ``TRANSFERRED`` where the caller's own line has put them through."""

    reason: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Story:
    """What goes with the caller: a code for why, a page with all of it, and what the person hears.

    ``announced_later``: the sound follows (:meth:`HandOver.announce`).
    """

    call_id: str
    cause: str = ""
    link: str = ""
    announcement: bytes = b""
    announced_later: bool = False


class HandOver:
    """One attempt to put the caller through, to whoever of a queue takes the call."""

    def __init__(
        self,
        media: CallMedia,
        dial: Dial | None,
        clock: Clock,
        book: PeopleBook,
        story: Story,
        *,
        on_state: Callable[[Transfer], None],
        on_digit: Callable[[str], None],
        how_to_accept: bytes = b"",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._media = media
        self._clock = clock
        self._book = book
        self._story = story
        self._on_state = on_state
        self._on_digit = on_digit
        self._how_to_accept = how_to_accept
        self._now = now
        self._announcement: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if not story.announced_later:
            self._announcement.set_result(story.announcement)
        self._line = LineTransfer(media, clock)
        self._ringing = Ringing(
            dial,
            clock,
            story_headers(story.call_id, story.cause, story.link),
            on_ringing=self._tell_ringing,
        )
        self._decision: asyncio.Future[bool] | None = None
        """What the person who has answered decides; ``None`` while nobody is asked."""
        self._withdrawn = asyncio.Event()
        self.target = ""
        self.state: TransferState | str = ""

    # --- what others want of it ------------------------------------------------------------------

    def announce(self, audio: bytes) -> None:
        """The sound of the story has come."""
        if not self._announcement.done():
            self._announcement.set_result(audio)

    def decide(self, *, accept: bool) -> bool:
        """The person accepts or declines by click; false when there is nothing to decide.

        One who is still being rung can only decline: to accept, a telephone is picked up.
        """
        if self._decision is not None and not self._decision.done():
            self._decision.set_result(accept)
            return True
        if not accept and self.state == "ringing":
            self._ringing.decline()
            return True
        return False

    def note_transferred(self) -> None:
        """The caller's own line has put them through; told once."""
        if self.state != TRANSFERRED:
            metrics.TRANSFERS.labels(TRANSFERRED).inc()
            log.info("caller_transferred")
            self._tell(TRANSFERRED, "")

    def withdraw(self) -> None:
        """The caller wants no person any more; too late when one has them already."""
        if self.state not in ("bridged", TRANSFERRED, "ended", "failed"):
            self._withdrawn.set()

    @property
    def is_leaving(self) -> bool:
        """It is settled how this ended; only the telephones are still being hung up."""
        return self._withdrawn.is_set() or self.state in ("ended", "failed")

    # --- the attempt -----------------------------------------------------------------------------

    async def run(self, routes: tuple[Route, ...], line: HumanLineSettings) -> BridgeEnded | None:
        """Reach somebody of the first route, else of the next, and stay until they are gone.

        Returns how the bridge ended; ``None`` when there was none (``failed`` has been told, unless
        it was withdrawn).
        """
        working = asyncio.ensure_future(self._run(routes, line))
        withdrawn = asyncio.ensure_future(self._withdrawn.wait())
        try:
            await asyncio.wait({working, withdrawn}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and self.state not in ("bridged", TRANSFERRED):
                metrics.TRANSFERS.labels("withdrawn").inc()
                log.info("transfer_withdrawn")
                self._tell("ended", "withdrawn")
                return None
            return await working
        finally:
            for task in (working, withdrawn):
                task.cancel()
            await asyncio.wait({working, withdrawn})
            self._media.part()
            await self._ringing.leave_all()

    async def _run(self, routes: tuple[Route, ...], line: HumanLineSettings) -> BridgeEnded | None:
        reason = "no_line"
        for route in routes:
            self.target = route.name
            try:
                return await self._through(route, line)
            except PersonNotReached as failure:
                reason = str(failure)
                log.warning("transfer_failed", queue=route.name, reason=reason)
        metrics.TRANSFERS.labels(reason).inc()
        self._tell("failed", reason)
        return None

    async def _through(self, route: Route, line: HumanLineSettings) -> BridgeEnded:
        """
        Raises:
            PersonNotReached: with the reason as its message.
        """
        if not self._ringing.can_ring:
            raise PersonNotReached("no_line")
        if not is_open(route.settings.hours, self._now()):
            raise PersonNotReached("closed")
        place = self._book.join(route.name, route.settings, route.targets)
        try:
            return await self._wait_and_ring(place, line)
        finally:
            place.leave()

    async def _wait_and_ring(self, place: Place, line: HumanLineSettings) -> BridgeEnded:
        until_s = self._clock.now_s() + place.settings.wait_s
        told_s, told_position, reason = float("-inf"), 0, "busy"
        while True:
            while targets := place.to_ring():
                blind = self._line.means(place.settings.transfer) == "refer"
                all_at_once = place.settings.strategy == "ring_all" and not blind
                once = targets if all_at_once else targets[:1]
                try:
                    if blind and await self._send_away(place, once[0], line):
                        return BridgeEnded(TRANSFERRED, lost=False)
                    return await self._ring_and_join(place, once, line)
                except PersonNotReached as failure:
                    reason = str(failure)
                    told_s = float("-inf")
                    for target in once:
                        place.rests(target)
            now_s = self._clock.now_s()
            if now_s >= until_s:
                raise PersonNotReached(reason)
            self._media.human_stage = HumanStage.AWAITED
            position = place.position
            if position != told_position or now_s - told_s >= TELL_WAIT_EVERY_S:
                told_s, told_position = now_s, position
                self._tell("waiting", reason, position=position, wait_s=place.wait_s)
            look_s = min(until_s, told_s + TELL_WAIT_EVERY_S, place.next_look_s() or until_s)
            with suppress(TimeoutError):
                await within(self._clock, max(0.0, look_s - now_s), place.changed())

    async def _send_away(self, place: Place, target: str, line: HumanLineSettings) -> bool:
        """Have the caller's line ring somebody; false when it cannot.

        Raises:
            PersonNotReached: they did not take it.
        """
        patience_s = place.settings.ring_timeout_s or line.ring_timeout_s
        place.ringing = True
        place.claim(target)
        self._media.human_stage = HumanStage.RINGING
        self._book.note_rung(place.name, target)
        try:
            self._tell("ringing", "")
            sent = await self._line.send_to(target, patience_s)
        finally:
            place.ringing = False
            place.release(target)
        if sent:
            self.note_transferred()
        return sent

    async def _ring_and_join(
        self, place: Place, targets: tuple[str, ...], line: HumanLineSettings
    ) -> BridgeEnded:
        """Ring these at once; whoever answers first is told the story and has the caller."""
        patience_s = place.settings.ring_timeout_s or line.ring_timeout_s
        place.ringing = True
        for target in targets:
            place.claim(target)
        claimed = set(targets)
        try:
            self._media.human_stage = HumanStage.RINGING
            target, leg = await self._ringing.first_of(targets, patience_s)
            self._book.note_rung(place.name, target)
            for other in claimed - {target}:
                place.release(other)
            claimed = {target}
            self._tell("answered", "")
            return await self._join(place, target, leg, claimed)
        finally:
            place.ringing = False
            for target in claimed:
                place.release(target)

    async def _join(self, place: Place, target: str, leg: Leg, claimed: set[str]) -> BridgeEnded:
        """Tell the story, bridge, and wait for the person to leave.

        Raises:
            PersonNotReached: they declined, or hung up before they had the caller.
        """
        self._decision = asyncio.get_running_loop().create_future()
        watching = asyncio.ensure_future(self._watch(leg))
        telling = asyncio.ensure_future(self._tell_story(leg, place.settings.accept == "key"))
        try:
            waits: set[asyncio.Future[Any]] = {watching, telling, self._decision}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
                raise PersonNotReached("hung_up_early")
            if self._decision.done() and not self._decision.result():
                raise PersonNotReached("declined")
            if telling.done() and not telling.result() and not self._decision.done():
                raise PersonNotReached("no_answer")
            if self._line.means(place.settings.transfer) == "replaces":
                handed = await self._line.hand_to(leg)
                # Their call was replaced by the caller's, though the line has not told us yet.
                if handed or (watching.done() and watching.result().reason == REPLACED):
                    self.note_transferred()
                    return BridgeEnded(TRANSFERRED, lost=False)
                if watching.done():
                    raise PersonNotReached("hung_up_early")
            if self._media.human is None:
                self._media.join(leg, b"")  # accepted before there was anything to hear
            self._media.bridge()
            bridged_s = self._clock.now_s()
            claimed.clear()  # from here on the place has it
            place.served(target)
            metrics.TRANSFERS.labels("bridged").inc()
            log.info("person_bridged")
            self._tell("bridged", "")
            over = self._ended(await watching, self._clock.now_s() - bridged_s)
            if over.reason == "hung_up_early" and self._media.stream is None:
                # There is no agent to go back to: the next one is rung.
                self._media.enter(CallStage.WAITING)
                place.unserved()
                raise PersonNotReached(over.reason)
        except PersonNotReached:
            self._media.part()
            await leave(leg)
            raise
        finally:
            for task in (watching, telling):
                task.cancel()
            self._decision = None
        return over

    def _ended(self, ended: LegEnded, talked_s: float) -> BridgeEnded:
        lost = broke_off(ended.code, ended.reason)
        early = not lost and talked_s < SHORTEST_TALK_S
        log.info("person_left", lost=lost, early=early, code=ended.code)
        reason = "lost" if lost else "hung_up_early" if early else "hung_up"
        self._tell("ended", reason)
        return BridgeEnded(reason, lost or early)

    async def _tell_story(self, leg: Leg, by_key: bool) -> bool:
        """Have the person hear the story; false when they should have pressed a key and did not."""
        if not self._announcement.done():
            with suppress(TimeoutError):
                await within(self._clock, ANNOUNCEMENT_TIMEOUT_S, self._announced())
        audio = self._announcement.result() if self._announcement.done() else b""
        self._media.join(leg, audio + (self._how_to_accept if by_key else b""))
        await self._media.announced.wait()
        if by_key:
            await self._clock.sleep_until(self._clock.now_s() + ACCEPT_TIMEOUT_S)
        return not by_key

    async def _announced(self) -> None:
        await asyncio.shield(self._announcement)

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
                    elif digit in (ACCEPT_KEY, DECLINE_KEY):
                        self.decide(accept=digit == ACCEPT_KEY)

    def _tell_ringing(self) -> None:
        if self.state != "ringing":
            self._tell("ringing", "")

    def _tell(
        self,
        state: TransferState,
        reason: str,
        *,
        position: int = 0,
        wait_s: float | None = None,
    ) -> None:
        self.state = state
        self._on_state(
            Transfer(
                target=self.target,
                reason=reason,
                state=state,
                cause=self._story.cause,
                position=position,
                wait_s=None if wait_s is None else round(wait_s, 1),
            )
        )
