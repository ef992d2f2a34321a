"""A supervisor in a call: at most one, who listens, whispers, barges in or has the caller.

Who supervises is settled when they ask, before a connection stands, so that of two who want the
same call at the same moment one is told so at once. The mode takes effect with the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from telephony.call import HumanStage, Leg, LegAnswered, LegEnded, SupervisorMode
from telephony.call_media import CallMedia
from telephony.clock import Clock, within
from telephony.errors import (
    AlreadyTaken,
    NobodyToWhisperTo,
    NotSupervising,
    NotTakenOver,
    SupervisionRefused,
)

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 30.0
"""A supervisor's telephone may ring for so long."""
HANG_UP_TIMEOUT_S = 3.0


@dataclass(slots=True)
class Visit:
    """One connection of a supervisor, from the wish to the end."""

    name: str
    mode: SupervisorMode
    leg: Leg | None = None
    left: bool = False
    """They asked to leave, or to come anew: what follows is no lost connection."""
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Nobody waits for the connection any more: a telephone that still rings is to stop."""


class Supervision:
    """The supervisor of one call."""

    def __init__(
        self,
        media: CallMedia,
        clock: Clock,
        *,
        on_taken: Callable[[], None],
        on_given_back: Callable[[str, str], None],
        on_lost: Callable[[], Coroutine[Any, Any, None]],
        on_change: Callable[[], None],
    ) -> None:
        """
        Args:
            media: the call's audio.
            clock: the call's clock.
            on_taken: the supervisor has the caller from now on.
            on_given_back: they no longer have; why, and what they agreed with the caller.
            on_lost: awaited before that when the connection broke off: the caller is told.
            on_change: who supervises, or how, has changed.
        """
        self._media = media
        self._clock = clock
        self._on_taken = on_taken
        self._on_given_back = on_given_back
        self._on_lost = on_lost
        self._on_change = on_change
        self._present: Visit | None = None
        self._coming: Visit | None = None

    @property
    def present(self) -> Visit | None:
        """The supervisor who is connected."""
        return self._present

    def expect(self, name: str, mode: SupervisorMode) -> Visit:
        """The call is theirs to supervise, and they are about to connect. A supervisor who comes
        again, after a reload of their page say, takes the place of their own connection.

        Raises:
            AlreadyTaken: somebody else is there, or about to be.
            NobodyToWhisperTo: there is no human agent.
        """
        for visit in (self._present, self._coming):
            if visit is not None and visit.name != name:
                raise AlreadyTaken("Another supervisor is with this call.")
        self._check(mode)
        self._come_no_more()
        self._coming = Visit(name, mode)
        return self._coming

    def give_up(self, visit: Visit) -> None:
        """They do not connect after all."""
        visit.given_up.set()
        if self._coming is visit:
            self._coming = None

    async def attend(self, visit: Visit, connecting: Coroutine[Any, Any, Leg]) -> None:
        """Wait for the connection, let them in, and stay until they are gone.

        Raises:
            SupervisionRefused: no connection came about, or the call allows it no more.
        """
        try:
            leg = visit.leg = await self._connected(visit, connecting)
        finally:
            self.give_up(visit)
        try:
            await self._let_in(visit, leg)
            await self._until_gone(leg)
        except BaseException:  # the call is over, and nobody is left to be told anything
            await _hang_up(leg, "call_over")
            raise
        await self._see_out(visit, leg)

    def change(self, name: str, mode: SupervisorMode) -> None:
        """Another mode for whoever is connected, or about to be.

        Raises:
            NotSupervising, AlreadyTaken, NobodyToWhisperTo.
        """
        visit = self._visit_of(name)
        self._check(mode)
        before, visit.mode = visit.mode, mode
        if visit is self._present and before is not mode:
            log.info("supervisor_mode_changed", mode=mode.value)
            self._apply(visit, "left_caller", "")

    def hand_back(self, name: str, agreed: str) -> None:
        """The caller is the agent's (or the human agent's) again; the supervisor listens on.

        Raises:
            NotSupervising, AlreadyTaken: they are not here.
            NotTakenOver: they do not have the caller.
        """
        visit = self._visit_of(name)
        if visit is not self._present or not self._media.taken_over:
            raise NotTakenOver("You do not have the caller.")
        visit.mode = SupervisorMode.LISTEN
        log.info("caller_handed_back")
        self._apply(visit, "handed_back", agreed)

    async def leave(self, name: str) -> None:
        """They go; a caller they have is the agent's again.

        Raises:
            NotSupervising, AlreadyTaken: they are not here.
        """
        visit = self._visit_of(name)
        visit.left = True
        self._come_no_more()
        if visit.leg is not None:
            await _hang_up(visit.leg, "left")
        else:
            self._on_change()

    async def close(self) -> None:
        """The call is over."""
        visit, self._present = self._present, None
        if visit is not None and visit.leg is not None:
            visit.left = True
            await _hang_up(visit.leg, "call_over")

    # --- within --------------------------------------------------------------------------------

    def _visit_of(self, name: str) -> Visit:
        visit = self._present or self._coming
        if visit is None:
            raise NotSupervising("You are not with this call.")
        if visit.name != name:
            raise AlreadyTaken("Another supervisor is with this call.")
        return visit

    def _come_no_more(self) -> None:
        if self._coming is not None:
            self._coming.left = True
            self.give_up(self._coming)

    def _check(self, mode: SupervisorMode) -> None:
        nobody = self._media.human_stage in (HumanStage.ABSENT, HumanStage.RINGING)
        if mode is SupervisorMode.WHISPER and nobody:
            raise NobodyToWhisperTo("No human agent is on this call: steer the agent instead.")

    async def _connected(self, visit: Visit, connecting: Coroutine[Any, Any, Leg]) -> Leg:
        ringing = asyncio.ensure_future(within(self._clock, CONNECT_TIMEOUT_S, connecting))
        given_up = asyncio.ensure_future(visit.given_up.wait())
        try:
            await asyncio.wait({ringing, given_up}, return_when=asyncio.FIRST_COMPLETED)
            if not ringing.done():
                raise NotSupervising("The supervisor has left.")
            leg = ringing.result()
        except TimeoutError as error:
            raise SupervisionRefused("The connection did not come about.") from error
        finally:
            for pending in (ringing, given_up):
                pending.cancel()
            await asyncio.wait({ringing, given_up})
        if visit is not self._coming:  # left, or came a second time, meanwhile
            await _hang_up(leg, "not_wanted")
            raise NotSupervising("The supervisor has left.")
        return leg

    async def _let_in(self, visit: Visit, leg: Leg) -> None:
        before, self._present = self._present, visit
        log.info("supervisor_arrived", mode=visit.mode.value, line=leg.kind)
        self._apply(visit, "left_caller", "")
        if before is not None and before.leg is not None:
            before.left = True
            await _hang_up(before.leg, "came_again")

    def _apply(self, visit: Visit, why: str, agreed: str) -> None:
        """Make the visit's mode what the call goes by."""
        had_caller = self._media.taken_over
        self._media.supervise(visit.leg, visit.mode)
        if self._media.taken_over and not had_caller:
            self._on_taken()
        elif had_caller and not self._media.taken_over:
            self._on_given_back(why, agreed)
        self._on_change()

    async def _until_gone(self, leg: Leg) -> None:
        while True:
            match await leg.next_event():
                case LegEnded():
                    return
                case LegAnswered():
                    pass

    async def _see_out(self, visit: Visit, leg: Leg) -> None:
        await _hang_up(leg, "left")
        if self._present is not visit:
            return  # they have come again, and this was the old connection
        had_caller = self._media.taken_over
        log.info("supervisor_left", lost=not visit.left, had_caller=had_caller)
        if had_caller and not visit.left:
            await self._on_lost()
            if self._present is not visit:
                return  # back before the sentence was over
        self._present = None
        self._media.supervise(None, None)
        if had_caller:
            self._on_given_back("left_caller" if visit.left else "supervisor_lost", "")
        self._on_change()


async def _hang_up(leg: Leg, reason: str) -> None:
    try:
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await leg.hang_up(reason)
    except Exception as error:  # whatever a SIP or WebRTC stack raises
        log.warning("supervisor_not_hung_up", exc_info=error)
