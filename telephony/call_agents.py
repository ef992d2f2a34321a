"""A call's agents, one after another: seek one, let it have the caller, and keep the caller
between two. While agents are off the phones, people are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from telephony.agent_link import AgentLink, AgentStream
from telephony.call import CallStage
from telephony.call_life import CallParts
from telephony.call_people import CallPeople
from telephony.call_recording import CallRecording
from telephony.caller_line import CallerLine
from telephony.clock import within
from telephony.conversation import Conversation
from telephony.errors import AgentLinkError, AgentsSwitchedOff, NoAgent, NotToPerson
from telephony.kill_switch import SwitchState
from telephony.media_stream import SUPERVISOR, Note, Resume, Start, Transfer
from telephony.routing import AfterLoss, Patience, identity_of
from telephony.steering import Steering

log = structlog.get_logger(__name__)

PROMPT_AFTER_MS = 700
"""A caller whose agent vanished hears the hold prompt after this much silence."""
GREETS_WITHIN_S = 3.0
"""An agent that waits for its turn to greet has so long, once it has come."""
HEED_S = 1.0
"""An agent that is to put the caller through and does not ask for a person in this time is deemed
hung, and loses the caller."""
PEOPLE_AGAIN_S = 5.0
"""While agents are off the phones, people are asked again after so long."""


class CallAgents:
    """The agents that serve one caller."""

    def __init__(
        self,
        parts: CallParts,
        line: CallerLine,
        people: CallPeople,
        link: AgentLink,
        recording: CallRecording,
        *,
        alarm: Callable[[str, str], None],
        on_note: Callable[[Note], None],
    ) -> None:
        """
        Args:
            parts: the call.
            line: accepts the caller once an agent is there.
            people: take over where no agent can be had.
            link: the way to agents.
            recording: what the caller hears first, and whether they are recorded.
            alarm: tells whoever watches, by a code and a sentence.
            on_note: an agent tells of a turn.
        """
        self._parts = parts
        self._media = parts.media
        self._clock = parts.clock
        self._prompts = parts.prompts
        self._agent_settings = parts.settings.agent
        self._patience_with_people_s = parts.settings.human.patience_s
        self._line = line
        self._people = people
        self._link = link
        self._recording = recording
        self._alarm = alarm
        self._on_note = on_note
        self._turns = 0
        """The number of the latest turn that an agent has told of."""
        self._steering = Steering(parts.clock)
        self._switched_off = asyncio.Event()
        """The kill switch keeps agents from this call."""
        self._switched_on = asyncio.Event()
        self._switched_on.set()
        self.taken_over = asyncio.Event()
        """A supervisor has the caller."""
        self._not_taken_over = asyncio.Event()
        self._not_taken_over.set()
        self._given_back_s = float("-inf")
        """When a supervisor last gave the caller back."""
        self._unsent_resume: Resume | None = None
        """What an agent that comes later must know of a takeover."""
        self._sent_to: str | None = None
        """The queue a supervisor chose, until people of it are rung for lack of an agent."""
        self._sent = asyncio.Event()
        self._resumed = False
        self._goes_on = asyncio.Event()
        """No agent wants the call to end."""
        self._goes_on.set()

    @property
    def are_off(self) -> bool:
        """The kill switch keeps agents from this call."""
        return self._switched_off.is_set()

    @property
    def said_stop(self) -> bool:
        """The agent wants the call to end once all it said has been heard."""
        return not self._goes_on.is_set()

    # --- finding one ---------------------------------------------------------------------------

    async def serve(self) -> None:
        """Have an agent serve the caller, again and again; returns when nobody can be had, perhaps
        while a supervisor has the caller."""
        patience = Patience(self._agent_settings.attempts)
        while True:
            await self.outlast_takeover()
            if self.are_off:
                self._forget_sent()
                if not await self._serve_by_people():
                    return
                patience = Patience(self._agent_settings.attempts)
            if self._sent_to is not None:
                queue = self._sent_to
                self._forget_sent()
                await self._people.wait_for_one(sent_to=queue)
                patience = Patience(self._agent_settings.attempts)
                continue
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
            if self._sent.is_set():
                continue
            await self._hold_without_agent()
            if self.are_off or self._sent.is_set():
                continue
            patience = patience.failed(served_ms)
            if patience.next_step(retryable=retryable) is AfterLoss.RETRY:
                await self._clock.sleep_until(self._clock.now_s() + patience.wait_s)
                continue
            log.error("agents_given_up", failures=patience.failures)
            self._alarm("agents_given_up", "No agent could be had: a person is being rung.")
            if not await self._people.wait_for_one():
                return
            patience = Patience(self._agent_settings.attempts)

    async def outlast_takeover(self) -> bool:
        """Wait while a supervisor has the caller; false when none has."""
        if not self._media.taken_over:
            return False
        await self._line.answer()
        if self._media.stage is CallStage.RINGING:
            self._media.enter(CallStage.WAITING)
        await self._not_taken_over.wait()
        return True

    async def _connect(self) -> AgentStream:
        """An open stream.

        Raises:
            AgentsSwitchedOff: meanwhile the kill switch was thrown, or the caller sent to a person.
            AgentLinkError: there is no agent.
        """
        connecting = asyncio.ensure_future(self._link.connect(self._start()))
        switched = asyncio.ensure_future(self._switched_off.wait())
        sent = asyncio.ensure_future(self._sent.wait())
        taken = None
        try:
            await asyncio.wait({connecting, switched, sent}, return_when=asyncio.FIRST_COMPLETED)
            if not self.are_off and self._sent_to is None:
                taken = await connecting
                return taken
            raise AgentsSwitchedOff("no agent is to have this caller")
        finally:
            for each in (connecting, switched, sent):
                each.cancel()
            came = connecting.done() and not connecting.cancelled() and not connecting.exception()
            if taken is None and came:  # also as the call ends
                await connecting.result().close("switched_off" if self.are_off else "not_wanted")

    async def _serve_by_people(self) -> bool:
        """While agents are off the phones: people, and hold music until one is free.

        True once agents are back; False when people could not be had for too long.
        """
        give_up_s = self._clock.now_s() + self._patience_with_people_s
        while self.are_off:
            taken_over = await self.outlast_takeover()
            if taken_over or await self._people.wait_for_one(switched_off=True):
                give_up_s = self._clock.now_s() + self._patience_with_people_s
                continue
            if self._clock.now_s() >= give_up_s:
                return False
            with suppress(TimeoutError):
                await within(self._clock, PEOPLE_AGAIN_S, self._switched_on.wait())
        return True

    def _start(self) -> Start:
        caller = self._parts.caller
        return Start(
            call_id=self._parts.call_id,
            leg_id=caller.leg_id,
            caller=identity_of(caller.remote),
            dialled=caller.dialled,
            line=caller.kind,
            resumed=self._resumed,
            disclose=self._recording.discloses,
            opening=not self._recording.opened.is_set(),
            recorded=self._recording.recorded,
            paused=self._recording.paused_for_payment,
            elapsed_ms=self._media.recorder.at_ms,
            turns=self._turns,
        )

    # --- while one has the caller ----------------------------------------------------------------

    async def _converse(self, stream: AgentStream) -> int:
        """Let one agent have the caller until its stream is lost; how long it served, in ms."""
        keys, caller = self._parts.keys, self._parts.caller
        self._media.attach(stream)
        self._media.enter(CallStage.WITH_AGENT)
        log.info("agent_connected", resumed=self._resumed)
        await self._line.answer()
        conversation = Conversation(
            stream,
            self._media,
            caller,
            on_transfer=self._people.begin,
            on_announcement=self._people.announce,
            on_withdraw=self._people.withdraw,
            on_call_back=self._people.begin_call_back,
            on_stop=self._stop_after_playout,
            on_key=lambda digit: keys.press(caller, digit),
            on_note=self._take_note,
            on_steered=self._steering.take_answer,
            on_consent=self._recording.hear_answer,
            on_disclosed=self._recording.note_disclosed,
            on_pause=self._recording.heed_pause,
        )
        self._recording.catch_up()
        if self._unsent_resume is not None:
            stream.send(self._unsent_resume)
            self._unsent_resume = None
        silence_watch = self._parts.life.spawn(self._give_up_silent(stream))
        try:
            served_ms = await conversation.run()
        finally:
            silence_watch.cancel()
        self._resumed = self._resumed or self._media.agent_spoke
        return served_ms

    def _take_note(self, note: Note) -> None:
        index = note.data.get("index")
        if note.kind == "turn" and isinstance(index, int):
            self._turns = max(self._turns, index)
        self._on_note(note)

    def _stop_after_playout(self) -> None:
        """The agent wants the call to end; one that leaves a caller to a person does not."""
        if self._people.hand_over is None and not self._media.taken_over:
            self._goes_on.clear()

    async def _give_up_silent(self, stream: AgentStream) -> None:
        patience_s = self._agent_settings.first_audio_timeout_s
        if not patience_s:
            return
        await self._clock.sleep_until(self._clock.now_s() + patience_s)
        await self._recording.opened.wait()
        until_s = self._recording.opened_s + GREETS_WITHIN_S
        while self._media.taken_over or self._clock.now_s() < until_s:
            await self._not_taken_over.wait()
            until_s = max(until_s, self._given_back_s + patience_s)
            await self._clock.sleep_until(until_s)
        if not self._media.agent_spoke and self._people.hand_over is None:
            stream.give_up("silent")

    async def _hold_without_agent(self) -> None:
        """The caller hears the hold prompt; a call that is with a person waits for that to end."""
        await self._goes_on.wait()  # perhaps for ever: the call ends once its goodbye is heard
        await self._line.answer()
        if self._media.stage is not CallStage.BRIDGED:
            first = self._media.stage is CallStage.RINGING
            self._media.enter(CallStage.WAITING)
            if self._media.taken_over:
                pass  # once they are handed back a prompt plays
            elif self.are_off:
                self._media.play(self._prompts.taken_off())
            else:
                self._media.play(self._prompts.on_hold(), after_ms=0 if first else PROMPT_AFTER_MS)
        await self._people.none_asked.wait()
        await self._not_taken_over.wait()

    async def steer(self, text: str, *, say: bool) -> tuple[bool, str]:
        """Ask the agent to say or heed a supervisor's words; whether it does, and why not.

        Raises:
            NoAgent: nobody is there to be steered.
            SteerUnanswered: the agent does not answer in time.
        """
        if self._media.stream is None or self._media.person_has_caller:
            raise NoAgent("No agent has this caller.")
        return await self._steering.ask(self._media.stream, text, say=say)

    async def send_to_person(self, queue: str) -> None:
        """Have people of a queue rung because a supervisor wants it.

        An agent that heeds it tells the caller and the person; one that does not loses the caller.

        Raises:
            NotToPerson: the call, as it stands, does not allow it.
        """
        if not self._people.knows(queue):
            raise NotToPerson("There is no such queue.")
        if self._media.taken_over:
            raise NotToPerson("A supervisor has this caller: hand back first.")
        if self._people.asked.is_set() or self.are_off or self._sent_to is not None:
            raise NotToPerson("People are being asked already, or have this caller.")
        if self._media.stage not in (CallStage.WITH_AGENT, CallStage.WAITING):
            raise NotToPerson("The call is only beginning, or ending.")
        if self._media.stream is not None:
            self._media.tell(Transfer(target=queue, state="wanted", cause=SUPERVISOR))
            with suppress(TimeoutError):
                await within(self._clock, HEED_S, self._people.asked.wait())
        if self._people.asked.is_set() or self.are_off or self._sent_to is not None:
            return
        if self._media.taken_over:
            raise NotToPerson("A supervisor has taken this caller over meanwhile.")
        log.warning("agent_did_not_heed", had_agent=self._media.stream is not None)
        self._sent_to = queue
        self._sent.set()
        self._goes_on.set()
        self._part("unheeding")

    def _forget_sent(self) -> None:
        self._sent_to = None
        self._sent.clear()

    # --- losing the caller, and having them again ------------------------------------------------

    def heed(self, state: SwitchState) -> None:
        """Go by the kill switch: an agent that has the caller loses them, at once."""
        off = state.holding(self._parts.route, self._parts.queue) is not None
        if off is self.are_off:
            return
        if not off:
            self._switched_off.clear()
            self._switched_on.set()
            return
        self._switched_on.clear()
        self._switched_off.set()
        log.warning("agent_switched_off")
        self._part()

    def lose_to_supervisor(self) -> None:
        """A supervisor has the caller from now on."""
        self._not_taken_over.clear()
        self.taken_over.set()
        self._forget_sent()
        self._media.play(None)
        self._goes_on.set()
        self._media.tell(Transfer(target=SUPERVISOR, state="bridged"))

    def follow_supervisor(self, why: str, agreed: str) -> None:
        """The caller has whom they had before: the agent, a person, or nobody yet."""
        self.taken_over.clear()
        self._given_back_s = self._clock.now_s()
        self._not_taken_over.set()
        if self._media.stage is CallStage.BRIDGED:
            return
        if self.are_off and self._media.stream is not None:
            self._part()
        resume = Resume(why, agreed)
        if self._media.stream is None or self.are_off:
            self._unsent_resume = resume
            self._media.play(self._prompts.on_hold())
        else:
            self._media.tell(resume)

    def follow_person(self, reason: str) -> None:
        """The caller had a person and goes on without."""
        has_agent = self._media.stream is not None
        self._media.enter(CallStage.WITH_AGENT if has_agent else CallStage.WAITING)
        if self._media.taken_over:
            return
        if not has_agent:
            self._media.play(self._prompts.on_hold())
        elif self.are_off:
            self._part()
        self._media.tell(Resume(reason))

    def _part(self, why: str = "switched_off") -> None:
        """What the agent has said and is not heard stays unheard, unless a person has the caller:
        then it may stay and assist."""
        stream = self._media.stream
        if stream is not None and not self._media.person_has_caller:
            self._goes_on.set()
            self._media.clear_agent_audio()
            stream.give_up(why)
