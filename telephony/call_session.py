"""One call, from ring to hang-up: find an agent, keep the caller, hand over, free everything.

The caller is never left alone: while no agent is there a prompt plays and one is sought again, then
a person is rung, then the gateway says goodbye. Whatever ends the call, at whatever stage, every
leg, stream, task and file of it is freed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from telephony import metrics
from telephony.agent_link import AgentLink, AgentStream
from telephony.call import (
    CallStage,
    DigitPressed,
    HoldChanged,
    Leg,
    LegEnded,
    LegState,
    ScreenLeg,
)
from telephony.call_backs import KeptCallBack
from telephony.call_media import CallMedia
from telephony.call_view import CallTimes, CallView
from telephony.clock import FRAME_S, Clock, FramePacer, ticks, within
from telephony.conversation import Conversation
from telephony.errors import AgentLinkError, AgentsSwitchedOff, NoAgent, TargetRefused
from telephony.events import EventFeed
from telephony.handover import Dial, HandOver, Story
from telephony.key_presses import KeyPresses
from telephony.kill_switch import SwitchState
from telephony.media_stream import CallBack, Dtmf, Message, Note, Resume, Start, Transfer
from telephony.people import People
from telephony.prompt_player import TAIL_MS
from telephony.prompts import PromptName, Prompts
from telephony.recording import Recording
from telephony.routing import (
    AfterLoss,
    Destination,
    Patience,
    Route,
    dialled_route,
    transfer_routes,
)
from telephony.settings import GatewaySettings
from telephony.steering import Steering
from telephony.supervision import Supervision

log = structlog.get_logger(__name__)

DEFAULT_QUEUE = "main"
ANSWER_TIMEOUT_S = 15.0
"""An accepted leg that has no media after so long is given up."""
HANG_UP_TIMEOUT_S = 3.0
PROMPT_AFTER_MS = 700
"""A caller whose agent vanished hears the hold prompt after this much silence."""
PEOPLE_AGAIN_S = 5.0
"""While agents are off the phones, people are asked again after so long."""
PEOPLE_LOST_AT_MOST = 3
"""Without an agent, a caller whose people's lines broke so often is rung later instead."""
CUT_OFF_TIMEOUT_S = 10.0
"""The sentence after a lost takeover is over by then."""
WATCH_S = 0.003
"""How often a leg is asked whether a reply's first packet has left."""


class CallSession:
    """The life of one call. ``run`` it once."""

    def __init__(
        self,
        call_id: str,
        caller: Leg,
        settings: GatewaySettings,
        *,
        link: AgentLink,
        prompts: Prompts,
        dial: Dial | None,
        clock: Clock,
        feed: EventFeed | None = None,
        people: People | None = None,
        called_back: KeptCallBack | None = None,
    ) -> None:
        self.call_id = call_id
        self.route = dialled_route(caller.dialled)
        self.queue = settings.routes.get(self.route, DEFAULT_QUEUE)
        """The people who answer for this route."""
        self._feed = feed or EventFeed()
        self._caller = caller
        self._settings = settings
        self._link = link
        self._prompts = prompts
        self._dial = dial
        self._clock = clock
        self._people = people or People(settings, clock)
        self._called_back = called_back
        """This caller is rung as promised."""
        recording = None
        if settings.recording.enabled:
            recording = Recording(Path(settings.recording.folder) / f"{call_id}.wav")
        self._times = CallTimes(clock)
        self._told: CallView | None = None
        """The call as listeners know it."""
        self.media = CallMedia(
            caller,
            prompts.on_wait(),
            recording,
            assistant=settings.silent_assistant,
            on_change=self._changed,
        )
        self.supervision = Supervision(
            self.media,
            clock,
            on_taken=self._lose_to_supervisor,
            on_given_back=self._take_from_supervisor,
            on_lost=self._say_cut_off,
            on_change=self._changed,
        )
        self._steering = Steering(clock)
        self._agents_off = asyncio.Event()
        """The kill switch keeps agents from this call."""
        self._agents_on = asyncio.Event()
        self._agents_on.set()
        self._not_taken_over = asyncio.Event()
        self._not_taken_over.set()
        self._unsent_resume: Resume | None = None
        """What an agent that comes later must know of a takeover."""
        self._over = asyncio.Event()
        self._outcome = "failed"
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._answered = False
        self._resumed = False
        self.handoff_told: dict[str, str] | None = None
        """The latest news of a handoff: ``state``, ``target`` and ``reason``."""
        self._agent_said_stop = False
        self._tail_ms = TAIL_MS
        self._ticked_at_s = clock.now_s()
        self._keys = KeyPresses()
        self._hand_over: HandOver | None = None
        self._no_hand_over = asyncio.Event()
        self._no_hand_over.set()
        self._people_lost = 0
        self.had_person = False
        """A person has had the caller."""

    async def run(self, destination: Destination) -> str:
        """Run the call to its end; how it ended, e.g. ``caller_hung_up``."""
        log.info(
            "call_began",
            line=self._caller.kind,
            destination=destination.value,
            pii={"caller": self._caller.remote, "dialled": self._caller.dialled},
        )
        self._told = self.view()
        self._feed.publish("call_began", call=self._told.as_dict())
        try:
            async with self._group:
                self._spawn(self._watch_caller())
                self._spawn(self._keep_time())
                self._spawn(self._watch_replies_begin())
                self._spawn(self._keys.run())
                self._spawn(self._serve(destination))
                await self._over.wait()
                for task in self._tasks:
                    task.cancel()
        except* Exception as errors:
            for error in errors.exceptions:
                log.error("call_failed", exc_info=error)
            self._outcome = "failed"
        finally:
            await self._free()
            log.info("call_ended", outcome=self._outcome)
            view = self.view().as_dict()
            self._feed.publish("call_ended", call=view, outcome=self._outcome)
        return self._outcome

    def end(self, outcome: str) -> None:
        """End the call; the first reason given counts."""
        if not self._over.is_set():
            self._outcome = outcome
            self._over.set()

    # --- the caller ----------------------------------------------------------------------------

    async def _watch_caller(self) -> None:
        while True:
            match await self._caller.next_event():
                case LegEnded():
                    self.end("caller_hung_up")
                    return
                case HoldChanged(held):
                    self.media.caller_held = held
                    log.info("caller_hold_changed", held=held)
                case DigitPressed(digit, duration_ms):
                    self.media.keep_keys_unrecorded()
                    if self.media.stage is CallStage.BRIDGED and self.media.human:
                        self._keys.press(self.media.human, digit)
                    else:
                        self._tell(Dtmf(digit, duration_ms))

    async def _keep_time(self) -> None:
        pacer = FramePacer(self._clock.now_s())
        stalls = 0
        async for frames in ticks(self._clock, pacer):
            for number in range(frames):
                self.media.tick(catching_up=number + 1 < frames)
            self._ticked_at_s = self._clock.now_s()
            if pacer.stalls > stalls:
                metrics.CLOCK_STALLS.inc(pacer.stalls - stalls)
                stalls = pacer.stalls
            if self._agent_said_stop and self.media.agent_done and self._not_taken_over.is_set():
                self._tail_ms -= int(FRAME_S * 1000) * frames
                if self._tail_ms <= 0:
                    self.end("agent_hung_up")

    async def _watch_replies_begin(self) -> None:
        """The agent learns within ``WATCH_S`` when a reply's first packet leaves."""
        while True:
            await self.media.reply_begun.wait()
            since_tick_s = self._clock.now_s() - self._ticked_at_s
            if self.media.note_sent(round(since_tick_s * 1000)):
                await self._clock.sleep_until(self._clock.now_s() + WATCH_S)

    async def _answer(self) -> None:
        """Accept the caller, once."""
        if self._answered:
            return
        self._answered = True
        if self._caller.state is LegState.ANSWERED:
            return  # it was we who rang
        try:
            await self._caller.answer()
        except Exception as error:
            log.error("answer_failed", exc_info=error)
            self.end("answer_failed")
            return
        self._spawn(self._give_up_unanswered())

    async def _give_up_unanswered(self) -> None:
        await self._clock.sleep_until(self._clock.now_s() + ANSWER_TIMEOUT_S)
        if self._caller.state is LegState.RINGING:
            log.warning("caller_media_missing")
            self.end("answer_failed")

    # --- finding an agent ----------------------------------------------------------------------

    async def _serve(self, destination: Destination) -> None:
        match destination:
            case Destination.AGENT:
                await self._seek_agents()
            case Destination.HUMAN if self._agents_off.is_set():
                await self._seek_agents()  # which are people for as long as it lasts
            case Destination.HUMAN:
                await self._wait_for_person()
            case Destination.CLOSED | Destination.BUSY:
                await self._answer()
                self.media.enter(CallStage.WAITING)
        await self._say_goodbye(call_back=destination in (Destination.AGENT, Destination.HUMAN))

    async def _seek_agents(self) -> None:
        """Have an agent serve the caller, again and again; returns when nobody can be had."""
        patience = Patience(self._settings.agent.attempts)
        while True:
            if self._agents_off.is_set():
                if not await self._serve_by_people():
                    return
                patience = Patience(self._settings.agent.attempts)
            retryable, served_ms = True, 0
            try:
                stream = await self._connect()
            except AgentsSwitchedOff:
                continue
            except AgentLinkError as error:
                retryable = error.retryable
                log.warning("agent_not_reached", code=error.code, reason=str(error))
            else:
                served_ms = await self._converse(stream)
            await self._hold_without_agent()
            if self._agents_off.is_set():
                continue
            patience = patience.failed(served_ms)
            if patience.next_step(retryable=retryable) is AfterLoss.RETRY:
                await self._clock.sleep_until(self._clock.now_s() + patience.wait_s)
                continue
            log.error("agents_given_up", failures=patience.failures)
            self.alarm("agents_given_up", "No agent could be had: a person is being rung.")
            if not await self._wait_for_person():
                return
            patience = Patience(self._settings.agent.attempts)

    async def _connect(self) -> AgentStream:
        """An open stream.

        Raises:
            AgentsSwitchedOff: the kill switch was thrown meanwhile.
            AgentLinkError: there is no agent.
        """
        connecting = asyncio.ensure_future(self._link.connect(self._start()))
        switched = asyncio.ensure_future(self._agents_off.wait())
        try:
            await asyncio.wait({connecting, switched}, return_when=asyncio.FIRST_COMPLETED)
            if not self._agents_off.is_set():
                return await connecting
            if connecting.done() and connecting.exception() is None:
                await connecting.result().close("switched_off")
            raise AgentsSwitchedOff("agents are off the phones")
        finally:
            connecting.cancel()
            switched.cancel()

    async def _serve_by_people(self) -> bool:
        """While agents are off the phones: people, and hold music until one is free.

        True once agents are back; False when people could not be had for too long.
        """
        give_up_s = self._clock.now_s() + self._settings.human.patience_s
        while self._agents_off.is_set():
            if await self._wait_for_person(switched_off=True):
                give_up_s = self._clock.now_s() + self._settings.human.patience_s
                continue
            if self._clock.now_s() >= give_up_s:
                return False
            with suppress(TimeoutError):
                await within(self._clock, PEOPLE_AGAIN_S, self._agents_on.wait())
        return True

    def _start(self) -> Start:
        return Start(
            call_id=self.call_id,
            leg_id=self._caller.leg_id,
            caller=self._caller.remote,
            dialled=self._caller.dialled,
            line=self._caller.kind,
            resumed=self._resumed,
        )

    async def _converse(self, stream: AgentStream) -> int:
        """Let one agent have the caller until its stream is lost; how long it served, in ms."""
        self.media.attach(stream)
        self.media.enter(CallStage.WITH_AGENT)
        log.info("agent_connected", resumed=self._resumed)
        await self._answer()
        conversation = Conversation(
            stream,
            self.media,
            self._caller,
            on_transfer=self._begin_transfer,
            on_announcement=self._take_announcement,
            on_withdraw=self._withdraw_transfer,
            on_call_back=self._begin_call_back,
            on_stop=self._stop_after_playout,
            on_key=lambda digit: self._keys.press(self._caller, digit),
            on_note=self._pass_on,
            on_steered=self._steering.take_answer,
        )
        if self._unsent_resume is not None:
            stream.send(self._unsent_resume)
            self._unsent_resume = None
        silence_watch = self._spawn(self._give_up_silent(stream))
        try:
            served_ms = await conversation.run()
        finally:
            silence_watch.cancel()
        self._resumed = self._resumed or self.media.agent_spoke
        return served_ms

    def _stop_after_playout(self) -> None:
        """The agent wants the call to end; one that leaves a caller to a person does not."""
        if self._hand_over is None and not self.supervision.has_caller:
            self._agent_said_stop = True

    async def _give_up_silent(self, stream: AgentStream) -> None:
        patience_s = self._settings.agent.first_audio_timeout_s
        if not patience_s:
            return
        await self._clock.sleep_until(self._clock.now_s() + patience_s)
        if not self.media.agent_spoke and self._no_hand_over.is_set():
            stream.give_up("silent")

    async def _hold_without_agent(self) -> None:
        """The caller hears the hold prompt; a call that is with a person waits for that to end."""
        if self._agent_said_stop:
            await self._over.wait()
        await self._answer()
        if self.media.stage is not CallStage.BRIDGED:
            first = self.media.stage is CallStage.RINGING
            self.media.enter(CallStage.WAITING)
            if self._agents_off.is_set():
                self.media.play(self._prompts.taken_off())
            else:
                self.media.play(self._prompts.on_hold(), after_ms=0 if first else PROMPT_AFTER_MS)
        await self._no_hand_over.wait()
        await self._not_taken_over.wait()

    # --- a supervisor, and the switch ----------------------------------------------------------

    def heed(self, state: SwitchState) -> None:
        """Go by the kill switch: an agent that has the caller loses them, at once."""
        off = state.holding(self.route, self.queue) is not None
        if off is self._agents_off.is_set():
            return
        if not off:
            self._agents_off.clear()
            self._agents_on.set()
            return
        self._agents_on.clear()
        self._agents_off.set()
        log.warning("agent_switched_off")
        self._part_from_agent()

    def _part_from_agent(self) -> None:
        """What the agent has said and is not heard stays unheard, unless a person has the caller:
        then it may stay and assist."""
        stream = self.media.stream
        if stream is not None and not self.media.person_has_caller:
            self._agent_said_stop = False
            self.media.clear_agent_audio()
            stream.give_up("switched_off")

    async def steer(self, text: str, *, say: bool) -> tuple[bool, str]:
        """Ask the agent to say or heed a supervisor's words; whether it does, and why not.

        Raises:
            NoAgent: nobody is there to be steered.
            SteerUnanswered: the agent does not answer in time.
        """
        if self.media.stream is None or self.media.person_has_caller:
            raise NoAgent("No agent has this caller.")
        return await self._steering.ask(self.media.stream, text, say=say)

    def _lose_to_supervisor(self) -> None:
        """A supervisor has the caller from now on."""
        self._not_taken_over.clear()
        self._agent_said_stop = False
        self._tell(Transfer(target="supervisor", state="bridged"))

    def _take_from_supervisor(self, why: str, agreed: str) -> None:
        """The caller has whom they had before: the agent, a person, or nobody yet."""
        self._not_taken_over.set()
        if self.media.stage is CallStage.BRIDGED:
            return
        if self._agents_off.is_set() and self.media.stream is not None:
            self._part_from_agent()
        resume = Resume(why, agreed)
        if self.media.stream is None or self._agents_off.is_set():
            self._unsent_resume = resume
            self.media.play(self._prompts.on_hold())
        else:
            self._tell(resume)

    async def _say_cut_off(self) -> None:
        """The supervisor who had the caller is lost: say so before anybody else goes on."""
        self.alarm("supervisor_lost", "A supervisor's connection broke off during a takeover.")
        self.media.play(self._prompts.once(PromptName.CUT_OFF))
        with suppress(TimeoutError):
            await within(self._clock, CUT_OFF_TIMEOUT_S, self.media.prompt_finished.wait())
        self.media.play(None)

    # --- what others are told ------------------------------------------------------------------

    def view(self) -> CallView:
        """The call as the control interface tells it."""
        return self._times.view(self)

    def alarm(self, code: str, message: str) -> None:
        """Tell whoever watches that this call needs somebody's eyes."""
        self._feed.publish("alarm", call_id=self.call_id, code=code, message=message)

    def _pass_on(self, note: Note) -> None:
        self._feed.publish_note(self.view().as_dict(), note)

    def _changed(self) -> None:
        if self._over.is_set():
            return
        self._times.note(self.media.stage)
        view = self.view()
        if view.differs_from(self._told):
            self._told = view
            self._feed.publish("call_changed", call=view.as_dict())

    # --- a person ------------------------------------------------------------------------------

    @property
    def handoff(self) -> HandOver | None:
        """The attempt to put this caller through that is under way."""
        return self._hand_over

    def decide_handoff(self, *, accept: bool) -> bool:
        """The person accepts or declines by click; false when nobody is asked."""
        return self._hand_over is not None and self._hand_over.decide(accept=accept)

    def _begin_transfer(self, request: Transfer, announcement: bytes) -> None:
        if self._hand_over is not None:
            log.warning("transfer_ignored", reason="one is under way")
            return
        try:
            routes = transfer_routes(request.target, self._settings.human)
        except TargetRefused as error:
            log.warning("transfer_refused", reason=str(error), pii={"target": request.target})
            metrics.TRANSFERS.labels("target_refused").inc()
            self._tell(Transfer(target=request.target, reason=error.code, state="failed"))
            return
        story = Story(
            self.call_id, request.cause, request.link, announcement, request.announced_later
        )
        self._spawn(self._reach_person(self._new_hand_over(story), routes))

    def _take_announcement(self, audio: bytes) -> None:
        if self._hand_over is not None:
            self._hand_over.announce(audio)

    def _withdraw_transfer(self) -> None:
        if self._hand_over is not None:
            self._hand_over.withdraw()

    def _begin_call_back(self, asked: CallBack, announcement: bytes) -> None:
        self._spawn(self._promise_call_back(asked, announcement))

    async def _promise_call_back(self, asked: CallBack, announcement: bytes) -> None:
        """Keep a call-back and tell the agent; once it is kept, nobody needs to be waited for."""
        answer = await self._people.keep_call_back(self._caller, self.call_id, asked, announcement)
        self._tell(answer)
        if answer.state == "kept":
            self._withdraw_transfer()

    async def _wait_for_person(self, *, switched_off: bool = False) -> bool:
        """Ring people for lack of an agent; False when nobody can be had.

        True when a person had the caller and was lost.
        """
        await self._answer()
        self.media.enter(CallStage.WAITING)
        kept, human = self._called_back, self._settings.human
        first = PromptName.CALLING_BACK if kept else PromptName.TROUBLE
        if switched_off and not kept:
            first = PromptName.SWITCHED
        self.media.play(self._prompts.while_ringing(first))
        story = Story(self.call_id, "no_agent")
        if kept:
            story = Story(self.call_id, kept.cause, kept.link, kept.announcement)
        queue = kept.queue if kept else self.queue if self.queue in human.queues else ""
        try:
            routes = transfer_routes(queue, human, has_agent=False)
        except TargetRefused:  # the queue of the promise is no more
            routes = transfer_routes("", human, has_agent=False)
        return await self._reach_person(self._new_hand_over(story), routes)

    def _new_hand_over(self, story: Story) -> HandOver:
        """From here on the call counts as being handed over."""
        self._no_hand_over.clear()
        self._hand_over = HandOver(
            self.media,
            self._dial,
            self._clock,
            self._people.book,
            story,
            on_state=self._tell_transfer,
            on_digit=lambda digit: self._keys.press(self._caller, digit),
            how_to_accept=b"".join(self._prompts.spoken.get(PromptName.ACCEPT, [])),
        )
        return self._hand_over

    async def _reach_person(self, hand_over: HandOver, routes: tuple[Route, ...]) -> bool:
        """Ring, announce, bridge, and watch until the person is gone; False if never bridged."""
        try:
            ended = await hand_over.run(routes, self._settings.human)
            if ended is None:
                return False
            ends_call = self._settings.human.after_hang_up == "end"
            if not ended.lost and ends_call and not self.supervision.has_caller:
                self.end("human_hung_up")
                await asyncio.Event().wait()  # until the call's tasks are cancelled
            self._take_back(ended.reason)
            if self.media.stream is not None:
                return True
            self._people_lost += 1  # lines that break again and again are no help either
            return self._people_lost < PEOPLE_LOST_AT_MOST
        finally:
            self._hand_over = None
            self._no_hand_over.set()

    def _take_back(self, reason: str) -> None:
        """The caller had a person and goes on without."""
        if self.supervision.has_caller:
            self.media.enter(CallStage.WITH_AGENT if self.media.stream else CallStage.WAITING)
            return
        if self.media.stream is not None and self._agents_off.is_set():
            self.media.enter(CallStage.WITH_AGENT)
            self._part_from_agent()
        elif self.media.stream is not None:
            self.media.enter(CallStage.WITH_AGENT)
        else:
            self.media.enter(CallStage.WAITING)
            self.media.play(self._prompts.on_hold())
        self._tell(Resume(reason))

    async def _say_goodbye(self, *, call_back: bool = False) -> None:
        """The last words; a caller whom nobody could help is rung later, where that is possible."""
        promised = call_back and await self._promised_at_the_end()
        self.media.enter(CallStage.CLOSING)
        said = PromptName.CALL_BACK if promised else PromptName.GOODBYE
        self.media.play(self._prompts.once(said))
        await self.media.prompt_finished.wait()
        self.end("call_back_promised" if promised else "nobody_available")

    async def _promised_at_the_end(self) -> bool:
        if self._called_back is not None:
            return self._people.rings_again(self._called_back)
        asked = CallBack(cause="no_agent")
        answer = await self._people.keep_call_back(self._caller, self.call_id, asked, b"")
        return answer.state == "kept"

    def _tell_transfer(self, message: Transfer) -> None:
        self.had_person = self.had_person or message.state == "bridged"
        if message.state in ("waiting", "failed"):
            message = replace(message, offers=self._people.offers(message.target))
        self._tell(message)
        self.handoff_told = {
            "state": message.state,
            "target": message.target,
            "reason": message.reason,
        }
        self._changed()
        if isinstance(self._caller, ScreenLeg):
            self._caller.show_transfer(message.state or "ringing")

    # --- the rest ------------------------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        if self.media.stream is not None:
            self.media.stream.send(message)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that must end with the call."""
        return self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _free(self) -> None:
        """Let go of everything. Failures are logged: the rest must still be freed."""
        media = self.media
        media.enter(CallStage.ENDED)
        media.count()
        work: list[Coroutine[Any, Any, Any]] = [self._hang_up(self._caller)]
        work.append(self.supervision.close())
        if media.human:
            work.append(self._hang_up(media.human))
        if media.stream:
            work.append(media.stream.close(self._outcome))
            media.detach()
        if media.recording:
            work.append(asyncio.to_thread(media.recording.close))
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                log.error("call_not_freed", exc_info=result)

    async def _hang_up(self, leg: Leg) -> None:
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await leg.hang_up(self._outcome)
