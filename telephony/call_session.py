"""One call, from ring to hang-up: find an agent, keep the caller, hand over, free everything.

The caller is never left alone: while no agent is there a prompt plays and one is sought again, then
a person is rung, then the gateway says goodbye. Whatever ends the call, at whatever stage, every
leg, stream, task and file of it is freed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from telephony import metrics
from telephony.agent_link import AgentLink
from telephony.call import CallStage, Leg
from telephony.call_agents import CallAgents
from telephony.call_backs import KeptCallBack
from telephony.call_life import CallLife, CallParts
from telephony.call_media import CallMedia
from telephony.call_people import CallPeople
from telephony.call_recording import CallRecording
from telephony.call_view import CallTimes, CallView
from telephony.caller_line import CallerLine
from telephony.clock import FRAME_S, Clock, FramePacer, ticks, within
from telephony.events import EventFeed
from telephony.key_presses import KeyPresses
from telephony.law import Law, RecordingRule, for_call_back, law_for
from telephony.media_stream import Note
from telephony.people import People
from telephony.prompt_player import TAIL_MS
from telephony.prompts import PromptName, Prompts
from telephony.recorder import Recorder
from telephony.ringing import Dial
from telephony.routing import Destination, dialled_route
from telephony.settings import GatewaySettings
from telephony.supervision import Supervision

log = structlog.get_logger(__name__)

DEFAULT_QUEUE = "main"
HANG_UP_TIMEOUT_S = 3.0
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
        law: Law | None = None,
    ) -> None:
        """
        Args:
            call_id: ours, never the caller's.
            caller: the leg the call came on, or the one we rang as promised.
            settings: the gateway's.
            link: the way to agents.
            prompts: what the gateway itself says.
            dial: rings people; ``None`` where there is no way to.
            clock: what audio is paced by.
            feed: is told of the call.
            people: queues and promises, shared by all calls.
            called_back: this caller is rung as promised.
            law: what comes before a recording, by place; ``None``: the strictest everywhere.
        """
        self.call_id = call_id
        self.route = dialled_route(caller.dialled)
        self.queue = settings.routes.get(self.route, DEFAULT_QUEUE)
        self._feed = feed or EventFeed()
        self._caller = caller
        self._prompts = prompts
        self._clock = clock
        law = law or Law()
        held = law_for(law, caller.remote, caller.dialled)
        if called_back:
            held = for_call_back(law, held, called_back.law)
        kept = settings.recording.enabled and held.recording is not RecordingRule.NEVER
        self.recorder = Recorder(
            Path(settings.recording.folder) / f"{call_id}.wav" if kept else None,
            held,
            on_change=self._changed,
            on_failed=self._tell_recording_failed,
        )
        self._times = CallTimes(clock)
        self._alarms: dict[str, str] = {}
        """Those that stand, by code."""
        self._told: CallView | None = None
        """The call as listeners know it."""
        self.media = CallMedia(
            caller,
            prompts.on_wait(),
            self.recorder,
            assistant=settings.silent_assistant,
            on_change=self._changed,
        )
        self.recording = CallRecording(
            held,
            law.answer_s,
            media=self.media,
            recorder=self.recorder,
            prompts=prompts,
            clock=clock,
            alarm=self.alarm,
        )
        self._life = CallLife()
        self._keys = KeyPresses()
        parts = CallParts(
            call_id=call_id,
            route=self.route,
            queue=self.queue,
            caller=caller,
            settings=settings,
            prompts=prompts,
            clock=clock,
            media=self.media,
            keys=self._keys,
            life=self._life,
            law=held,
        )
        self._line = CallerLine(parts, on_transferred=lambda: self.people.note_transferred())
        self.people = CallPeople(
            parts,
            self._line,
            dial=dial,
            people=people or People(settings, clock),
            called_back=called_back,
            on_bridged=self.recording.note_bridged,
            on_back=lambda reason: self.agents.follow_person(reason),
            on_change=self._changed,
        )
        self.agents = CallAgents(
            parts,
            self._line,
            self.people,
            link,
            self.recording,
            alarm=self.alarm,
            on_note=self._pass_on,
        )
        self.supervision = Supervision(
            self.media,
            clock,
            on_taken=self.agents.lose_to_supervisor,
            on_given_back=self.agents.follow_supervisor,
            on_lost=self._say_cut_off,
            on_change=self._changed,
        )
        self._tail_ms = TAIL_MS
        self._ticked_at_s = clock.now_s()

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
        if destination in (Destination.AGENT, Destination.HUMAN):
            self.recording.begin()
        try:
            await self._life.run(
                self._line.watch(),
                self._keep_time(),
                self._watch_replies_begin(),
                self._keys.run(),
                self._serve(destination),
            )
        finally:
            await self._free()
            outcome = self._life.outcome
            log.info("call_ended", outcome=outcome)
            self._feed.publish("call_ended", call=self.view().as_dict(), outcome=outcome)
        return outcome

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that must end with the call.

        Raises:
            CallOver: the call is over.
        """
        return self._life.spawn(work)

    def end(self, outcome: str) -> None:
        """End the call; the first reason given counts."""
        self._life.end(outcome)

    def view(self) -> CallView:
        """The call as the control interface tells it."""
        return self._times.view(self)

    def alarm(self, code: str, message: str) -> None:
        """Tell whoever watches that this call needs somebody's eyes, until ``clear``."""
        self._alarms[code] = message
        self._feed.publish("alarm", call_id=self.call_id, code=code, message=message)

    def clear(self, code: str) -> None:
        """What an alarm told of is over; nothing where there was none."""
        if (message := self._alarms.pop(code, None)) is not None:
            self._feed.publish(
                "alarm", call_id=self.call_id, code=code, message=message, cleared=True
            )

    def _tell_recording_failed(self) -> None:
        self.alarm("recording_failed", "The recording cannot be written: the call goes on without.")

    # --- the clock -----------------------------------------------------------------------------

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
            if self.agents.said_stop and self.media.agent_done and not self.media.taken_over:
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

    # --- who has the caller --------------------------------------------------------------------

    async def _serve(self, destination: Destination) -> None:
        while True:
            match destination:
                case Destination.AGENT:
                    await self.agents.serve()
                case Destination.HUMAN if self.agents.are_off:
                    await self.agents.serve()  # which are people for as long as it lasts
                case Destination.HUMAN:
                    await self.people.wait_for_one()
                case Destination.CLOSED | Destination.BUSY:
                    await self._line.answer()
                    self.media.enter(CallStage.WAITING)
            if not await self.agents.outlast_takeover():
                break  # else the caller waits again, and somebody is sought again
        await self._say_goodbye(call_back=destination in (Destination.AGENT, Destination.HUMAN))

    async def _say_goodbye(self, *, call_back: bool) -> None:
        """The last words; a caller whom nobody could help is rung later, where that is possible."""
        promised = call_back and await self.people.promise_at_the_end()
        said = PromptName.CALL_BACK if promised else PromptName.GOODBYE
        await self.agents.outlast_takeover()
        self.media.enter(CallStage.CLOSING)
        while not await self._heard_out(said):
            await self.agents.outlast_takeover()
        self.end("call_back_promised" if promised else "nobody_available")

    async def _heard_out(self, said: PromptName) -> bool:
        """Play it to its end; false when a supervisor takes the caller over before."""
        self.media.play(self._prompts.once(said))
        heard = asyncio.ensure_future(self.media.prompt_finished.wait())
        taken = asyncio.ensure_future(self.agents.taken_over.wait())
        try:
            await asyncio.wait({heard, taken}, return_when=asyncio.FIRST_COMPLETED)
            return not self.media.taken_over
        finally:
            heard.cancel()
            taken.cancel()

    async def _say_cut_off(self) -> None:
        """The supervisor who had the caller is lost: say so before anybody else goes on."""
        self.alarm("supervisor_lost", "A supervisor's connection broke off during a takeover.")
        self.media.play(self._prompts.once(PromptName.CUT_OFF))
        with suppress(TimeoutError):
            await within(self._clock, CUT_OFF_TIMEOUT_S, self.media.prompt_finished.wait())
        self.media.play(None)
        self.clear("supervisor_lost")

    # --- what others are told ------------------------------------------------------------------

    def _pass_on(self, note: Note) -> None:
        self._feed.publish_note(self.view().as_dict(), note)

    def _changed(self) -> None:
        if self._life.over.is_set():
            return
        self._times.note(self.media.stage)
        if self.media.stage in (CallStage.WITH_AGENT, CallStage.BRIDGED):
            self.clear("agents_given_up")
        view = self.view()
        if view.differs_from(self._told):
            self._told = view
            self._feed.publish("call_changed", call=view.as_dict())

    # --- the end -------------------------------------------------------------------------------

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
            work.append(media.stream.close(self._life.outcome))
            media.detach()
        work.append(asyncio.to_thread(self.recorder.close))
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, BaseException):
                log.error("call_not_freed", exc_info=result)

    async def _hang_up(self, leg: Leg) -> None:
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await leg.hang_up(self._life.outcome)
