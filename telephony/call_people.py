"""A call's ways to a person: because its agent asks for one, or because there is no agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from telephony import metrics
from telephony.call import TRANSFERRED, CallStage, ScreenLeg
from telephony.call_backs import KeptCallBack
from telephony.call_life import CallParts
from telephony.caller_line import CallerLine
from telephony.errors import TargetRefused
from telephony.handover import HandOver, Story
from telephony.media_stream import SUPERVISOR, CallBack, Transfer
from telephony.people import People
from telephony.prompts import PromptName
from telephony.ringing import Dial
from telephony.routing import Route, transfer_routes

log = structlog.get_logger(__name__)

LOST_AT_MOST = 3
"""Without an agent, a caller whose people's lines broke so often is rung later instead."""


@dataclass(slots=True)
class _Asked:
    """What the agent asks for while an earlier attempt is leaving."""

    request: Transfer
    announcement: bytes


class CallPeople:
    """The people one caller is put through to, one attempt at a time."""

    def __init__(
        self,
        parts: CallParts,
        line: CallerLine,
        *,
        dial: Dial | None,
        people: People,
        called_back: KeptCallBack | None,
        on_bridged: Callable[[], None],
        on_back: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        """
        Args:
            parts: the call.
            line: accepts the caller before people are rung for lack of an agent.
            dial: rings a person; ``None`` where there is no way to.
            people: the gateway's queues and promises.
            called_back: this caller is rung as promised.
            on_bridged: a person has the caller.
            on_back: a person had the caller and is gone; why.
            on_change: the news of a handoff have changed.
        """
        self._parts = parts
        self._line = line
        self._media = parts.media
        self._human = parts.settings.human
        self._dial = dial
        self._people = people
        self._called_back = called_back
        self._on_bridged = on_bridged
        self._on_back = on_back
        self._on_change = on_change
        self._lost = 0
        self._next: _Asked | None = None
        self.hand_over: HandOver | None = None
        """The attempt that is under way."""
        self.none_asked = asyncio.Event()
        """No attempt is under way."""
        self.none_asked.set()
        self.asked = asyncio.Event()
        """An attempt is under way."""
        self.told: dict[str, str] | None = None
        """The latest news of a handoff: ``state``, ``target``, ``reason`` and ``cause``."""
        self.had_person = False
        """A person has had the caller."""

    # --- what the agent asks for ---------------------------------------------------------------

    def begin(self, request: Transfer, announcement: bytes) -> None:
        """Put the caller through as the agent wants; refused where settings forbid the target.

        While an earlier attempt leaves, this waits for it; while one rings it is ignored.
        """
        if self.hand_over is not None:
            if not self.hand_over.is_leaving:
                log.warning("transfer_ignored", reason="one is under way")
                return
            if self._next is None:
                self._parts.life.spawn(self._begin_next())
            self._next = _Asked(request, announcement)
            return
        try:
            routes = transfer_routes(request.target, self._human)
        except TargetRefused as error:
            log.warning("transfer_refused", reason=str(error), pii={"target": request.target})
            metrics.TRANSFERS.labels("target_refused").inc()
            self._media.tell(Transfer(target=request.target, reason=error.code, state="failed"))
            return
        story = Story(
            self._parts.call_id,
            request.cause,
            request.link,
            announcement,
            request.announced_later,
        )
        self._parts.life.spawn(self._reach(self._new_hand_over(story), routes))

    def announce(self, audio: bytes) -> None:
        """The sound of an announcement that was to follow."""
        if self._next is not None:
            self._next.announcement = audio
            self._next.request = replace(self._next.request, announced_later=False)
        elif self.hand_over is not None:
            self.hand_over.announce(audio)

    def withdraw(self) -> None:
        """The caller wants no person any more."""
        self._next = None
        if self.hand_over is not None:
            self.hand_over.withdraw()

    def begin_call_back(self, asked: CallBack, announcement: bytes) -> None:
        """Keep a call-back and tell the agent; once it is kept, nobody needs to be waited for."""
        self._parts.life.spawn(self._promise(asked, announcement))

    def note_transferred(self) -> None:
        """The caller's own line has put them through, perhaps later than we waited for it."""
        if self.hand_over is not None:
            self.hand_over.note_transferred()
        else:
            self._tell(Transfer(state=TRANSFERRED))

    def decide(self, *, accept: bool) -> bool:
        """The person accepts or declines by click; false when nobody is asked."""
        return self.hand_over is not None and self.hand_over.decide(accept=accept)

    # --- for lack of an agent ------------------------------------------------------------------

    def knows(self, queue: str) -> bool:
        """Whether there are people of that queue; empty means the usual ones."""
        return not queue or queue in self._human.queues

    async def wait_for_one(self, *, switched_off: bool = False, sent_to: str | None = None) -> bool:
        """Ring people for lack of an agent; False when nobody can be had.

        ``sent_to``: a supervisor chose the people of this queue.

        True when a person had the caller and was lost.
        """
        await self._line.answer()
        self._media.enter(CallStage.WAITING)
        kept = self._called_back
        first = PromptName.CALLING_BACK if kept else PromptName.TROUBLE
        if sent_to is not None:
            first = PromptName.SENT
        elif switched_off and not kept:
            first = PromptName.SWITCHED
        self._media.play(self._parts.prompts.while_ringing(first))
        story = Story(self._parts.call_id, "no_agent")
        queue = self._parts.queue if self._parts.queue in self._human.queues else ""
        if sent_to is not None:
            story, queue = Story(self._parts.call_id, SUPERVISOR), sent_to
        elif kept:
            story = Story(self._parts.call_id, kept.cause, kept.link, kept.announcement)
            queue = kept.queue
        return await self._reach(self._new_hand_over(story), self._people.routes(queue))

    async def promise_at_the_end(self) -> bool:
        """Whether a caller whom nobody could help will be rung later."""
        if self._called_back is not None:
            return self._people.rings_again(self._called_back)
        return (await self._keep(CallBack(cause="no_agent"), b"")).state == "kept"

    # --- within --------------------------------------------------------------------------------

    async def _begin_next(self) -> None:
        await self.none_asked.wait()
        asked, self._next = self._next, None
        if asked is not None and self._media.stream is not None:
            self.begin(asked.request, asked.announcement)

    async def _promise(self, asked: CallBack, announcement: bytes) -> None:
        answer = await self._keep(asked, announcement)
        self._media.tell(answer)
        if answer.state == "kept":
            self.withdraw()

    async def _keep(self, asked: CallBack, announcement: bytes) -> CallBack:
        parts = self._parts
        return await self._people.keep_call_back(
            parts.caller, parts.call_id, asked, announcement, parts.law
        )

    def _new_hand_over(self, story: Story) -> HandOver:
        """From here on the call counts as being handed over."""
        parts = self._parts
        self.none_asked.clear()
        self.asked.set()
        self.hand_over = HandOver(
            self._media,
            self._dial,
            parts.clock,
            self._people.book,
            story,
            on_state=self._tell,
            on_digit=lambda digit: parts.keys.press(parts.caller, digit),
            how_to_accept=b"".join(parts.prompts.spoken.get(PromptName.ACCEPT, [])),
        )
        return self.hand_over

    async def _reach(self, hand_over: HandOver, routes: tuple[Route, ...]) -> bool:
        """Ring, announce, bridge, and watch until the person is gone; False if never bridged."""
        try:
            ended = await hand_over.run(routes, self._human)
            if ended is None:
                return False
            if ended.reason == TRANSFERRED:
                self._parts.life.end(TRANSFERRED)
                await asyncio.Event().wait()  # until the call's tasks are cancelled
            ends_call = self._human.after_hang_up == "end"
            if not ended.lost and ends_call and not self._media.taken_over:
                self._parts.life.end("human_hung_up")
                await asyncio.Event().wait()  # until the call's tasks are cancelled
            self._on_back(ended.reason)
            if self._media.stream is not None:
                return True
            self._lost += 1  # lines that break again and again are no help either
            return self._lost < LOST_AT_MOST
        finally:
            self.hand_over = None
            self.asked.clear()
            self.none_asked.set()

    def _tell(self, message: Transfer) -> None:
        self.had_person = self.had_person or message.state in ("bridged", TRANSFERRED)
        if message.state in ("waiting", "failed"):
            message = replace(message, offers=self._people.offers(message.target))
        self._media.tell(message)
        self.told = {
            "state": message.state,
            "target": message.target,
            "reason": message.reason,
            "cause": message.cause,
        }
        self._on_change()
        if message.state == "bridged":
            self._on_bridged()
        if isinstance(self._parts.caller, ScreenLeg):
            self._parts.caller.show_transfer(message.state or "ringing")
