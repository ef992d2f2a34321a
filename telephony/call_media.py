"""The audio of one call: what happens in each 20 ms. No waiting, no sockets of its own.

One ``tick`` takes a frame from every leg, fills what is missing, mixes by ``bridge.hearing``, and
gives a frame to every listener, the agent and the recording.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Callable

import structlog

from telephony import metrics
from telephony.agent_link import AgentStream
from telephony.audio import SILENCE, Concealer, faded_out, in_frames
from telephony.bridge import Hearing, Party, heard_by, heard_while_changing, hearing
from telephony.call import CallStage, HumanStage, Leg, LegState, SupervisorMode, next_stage
from telephony.media_stream import FRAME_MS, OVERHEARD_MS, Mark, Message, Overheard
from telephony.opening import Opening
from telephony.playout import Playout, Prompt
from telephony.prompt_player import PromptPlayer
from telephony.recorder import Recorder

log = structlog.get_logger(__name__)

MAX_UNSENT_MS = 200
"""A leg that has this much unsent is given nothing more for now."""
CATCH_UP_UNSENT_MS = 60
"""When frames missed in a stall are made up, a leg is only filled up to this."""


class CallMedia:
    """Legs, agent stream and prompts of one call, joined frame by frame."""

    def __init__(
        self,
        caller: Leg,
        hold_tone: Prompt,
        recorder: Recorder,
        *,
        assistant: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            caller: the leg the call came on.
            hold_tone: for a caller who waits while a person is rung.
            recorder: is given both sides, and knows which it may keep.
            assistant: the agent goes on hearing the call while a person has the caller.
            on_change: called when the stage or who is on the line changes.
        """
        self._assistant = assistant
        self._on_change = on_change
        self.caller = caller
        self.caller_held = False
        self.stage = CallStage.RINGING
        self.recorder = recorder
        self.opening: Opening | None = None
        """What the caller hears before anything else, and perhaps answers; while it lasts, an
        agent's words and all prompts wait."""
        self.stream: AgentStream | None = None
        self.agent_spoke = False
        """The agent on the present stream has sent audio."""
        self.human: Leg | None = None
        self.human_held = False
        self.human_stage = HumanStage.ABSENT
        self.supervisor: Leg | None = None
        self.supervisor_mode: SupervisorMode | None = None
        self.announced = asyncio.Event()
        """The announcement has been heard to its end."""
        self.reply_begun = asyncio.Event()
        """The first frames of a reply are with the leg; ``note_sent`` tells when they leave."""
        self._playout = Playout()
        self._for_recording: deque[bytes] = deque()
        """Given to the caller's leg and not yet to the recording, which takes one a tick."""
        self._refusing = False
        self._announcement = Playout()
        self._prompts = PromptPlayer()
        self._hold_tone = hold_tone
        self._caller_concealer = Concealer()
        self._human_concealer = Concealer()
        self._supervisor_concealer = Concealer(rises=True)
        self._heard_before: Hearing | None = None
        """Who heard whom until a supervisor's mode changed; for one tick."""
        self._overheard = bytearray()

    @property
    def hearing(self) -> Hearing:
        """Who hears whom just now."""
        return hearing(
            self.stage, self.human_stage, self.supervisor_mode, assistant=self._assistant
        )

    @property
    def person_has_caller(self) -> bool:
        """A human agent or a supervisor speaks with the caller, and the agent does not."""
        return self.stage is CallStage.BRIDGED or self.taken_over

    @property
    def taken_over(self) -> bool:
        """A supervisor has the caller."""
        return self.supervisor_mode is SupervisorMode.TAKEOVER

    # --- what the call's life changes ----------------------------------------------------------

    def enter(self, stage: CallStage) -> None:
        """Move the call on.

        Raises:
            CallStateError: a step the call's table does not have.
        """
        changed = self.stage is not stage
        self.stage = next_stage(self.stage, stage)
        if self.opening and stage in (CallStage.BRIDGED, CallStage.CLOSING, CallStage.ENDED):
            self.opening.abandon()
        if changed:
            self._on_change()

    def attach(self, stream: AgentStream) -> None:
        """A new agent has the caller: an earlier agent's unheard words are dropped."""
        self.stream = stream
        self.agent_spoke = False
        self._playout = Playout()
        self._refusing = False

    def detach(self) -> None:
        """The agent is gone; what it had said is still played."""
        self.stream = None

    def play(self, prompt: Prompt | None, *, after_ms: int = 0) -> None:
        """Play a prompt whenever the agent is silent, after ``after_ms`` of silence."""
        self._prompts.play(prompt, after_ms)

    @property
    def prompt_finished(self) -> asyncio.Event:
        """Set once the prompt has been played to its end, and the leg has sent it."""
        return self._prompts.finished

    def join(self, human: Leg, announcement: bytes) -> None:
        """The human agent has answered and hears the announcement."""
        self.human = human
        self.human_held = False
        self.human_stage = HumanStage.ANNOUNCING
        self._human_concealer = Concealer()
        self._announcement = Playout()
        self._announcement.add(announcement)
        self.announced.clear()
        self._on_change()

    def bridge(self) -> None:
        """Caller and human agent hear each other; the agent's unheard words are dropped."""
        self.enter(CallStage.BRIDGED)
        self.human_stage = HumanStage.BRIDGED
        self._prompts.stop()
        if self._playout.buffered_ms:
            self._forget_agent_audio(0)  # the leg may finish what it has

    def part(self) -> None:
        """The human agent is gone."""
        self._count(self._human_concealer, Party.HUMAN)
        self.human = None
        self.human_stage = HumanStage.ABSENT
        self._on_change()

    def supervise(self, leg: Leg | None, mode: SupervisorMode | None) -> None:
        """Let a supervisor in, change what they do, or see them out (``None`` for both).

        Who falls silent for the caller is faded out: an agent's unheard words are dropped.
        """
        self._heard_before = before = self.hearing
        if leg is not self.supervisor:
            self._count(self._supervisor_concealer, Party.SUPERVISOR)
            self._supervisor_concealer = Concealer(rises=True)
        self.supervisor, self.supervisor_mode = leg, mode
        if self.opening and self.taken_over:
            self.opening.abandon()
        if Party.AGENT in before[Party.CALLER] and not self._agent_is_heard():
            self._prompts.stop()
            if self._playout.buffered_ms and not self.caller_held:
                self._send_to_caller(faded_out(self._playout.pop_frame() or SILENCE))
            self._forget_agent_audio(0)
        self._on_change()

    @property
    def agent_done(self) -> bool:
        """All the agent said has been heard, or cannot be."""
        return self.caller_held or self._playout.all_heard(self.caller.unsent_ms)

    @property
    def buffered_ms(self) -> int:
        """Agent audio that waits to be played."""
        return self._playout.buffered_ms

    # --- what the agent says and is told ---------------------------------------------------------

    def tell(self, message: Message) -> None:
        """Send the agent a message, behind the audio so far; nothing where there is none."""
        if self.stream is not None:
            self.stream.send(message)

    def take_agent_audio(self, audio: bytes) -> None:
        """Audio from the agent, any length; while a human has the caller it is dropped."""
        if not audio or self.person_has_caller:
            return
        if not self.agent_spoke:
            self.agent_spoke = True
            self._prompts.stop()
        if refused_ms := self._playout.add(audio):
            metrics.PLAYOUT_REFUSED_MS.inc(refused_ms)
            if not self._refusing:
                log.error("agent_audio_refused", buffered_ms=self._playout.buffered_ms)
        self._refusing = refused_ms > 0
        if self._agent_may_lead() and not self.caller.unsent_ms:
            # Into silence a reply goes at once; the tick would come up to 20 ms later.
            self._send_ahead()
            self._settle()

    def take_mark(self, name: str) -> bool:
        """A mark from the agent; False when there are too many."""
        if not self._playout.add_mark(name):
            return False
        self._settle()
        return True

    def clear_agent_audio(self) -> None:
        """Drop what has not been heard, here and in the leg, and tell the agent what was."""
        if self._others_are_heard() or self._opens():  # what the leg holds is theirs, too
            self._forget_agent_audio(0)
            return
        self._forget_agent_audio(self.caller.unsent_ms)
        self.caller.flush()
        self._for_recording.clear()

    # --- the clock -----------------------------------------------------------------------------

    def tick(self, *, catching_up: bool = False) -> None:
        """20 ms of the call. ``catching_up``: one of several, making up for a stall."""
        if self.caller.state is not LegState.ANSWERED:
            return
        who, before = self.hearing, self._heard_before
        self._heard_before = None
        frames = {Party.CALLER: self._caller_concealer.next_frame(self.caller.receive_frame())}
        human = self.human if self.human and self.human.state is LegState.ANSWERED else None
        if human:
            frames[Party.HUMAN] = self._from_human(human)
        supervisor = self._present_supervisor()
        if supervisor:
            frames[Party.SUPERVISOR] = self._supervisor_concealer.next_frame(
                supervisor.receive_frame()
            )
        if self.stream:
            self.stream.send_audio(heard_by(Party.AGENT, frames, who))
        if self._agent_may_lead():
            self._send_ahead()
        elif _has_room(self.caller, catching_up):
            self._speak_to_caller(frames, who[Party.CALLER])
            if any(party in frames for party in who[Party.CALLER]):
                self._send_to_caller(_mixed(Party.CALLER, frames, before, who))
        if human and _has_room(human, catching_up):
            self._speak_to_human(human, frames, who[Party.HUMAN])
            human.send_frame(_mixed(Party.HUMAN, frames, before, who))
        heard = self._for_recording.popleft() if self._for_recording else SILENCE
        frames[Party.CALLERS_EAR] = heard
        if supervisor and _has_room(supervisor, catching_up):
            supervisor.send_frame(_mixed(Party.SUPERVISOR, frames, before, who))
        self._let_overhear(heard)
        self.recorder.add(frames[Party.CALLER], heard)
        self._settle()

    def note_sent(self, since_tick_ms: int) -> bool:
        """Between ticks: tell the agent as soon as its reply's first packet has left.

        False when there is no reply of which that is still to come.
        """
        if self.stream is None or not self._playout.begins:
            self.reply_begun.clear()
            return False
        at_ms = self.stream.clock_ms + since_tick_ms
        if report := self._playout.first_report(at_ms, self.caller.unsent_ms):
            self.stream.send(report)
        return self._playout.begins

    def count(self) -> None:
        """Add this call's frames to the metrics; once, at its end."""
        self._count(self._caller_concealer, Party.CALLER)

    def _from_human(self, human: Leg) -> bytes:
        received = human.receive_frame()
        if received is None and self.human_held:
            return self._hold_tone.pop_frame() or SILENCE
        return self._human_concealer.next_frame(received)

    def _present_supervisor(self) -> Leg | None:
        leg = self.supervisor
        return leg if leg and leg.state is LegState.ANSWERED else None

    def _let_overhear(self, heard: bytes) -> None:
        """A silent assistant hears the person, too."""
        if not (self._assistant and self.stream and self.person_has_caller):
            self._overheard.clear()
            return
        self._overheard += heard
        if len(self._overheard) * FRAME_MS >= OVERHEARD_MS * len(SILENCE):
            self.stream.send(Overheard(base64.b64encode(self._overheard).decode()))
            self._overheard.clear()

    def _opens(self) -> bool:
        return self.opening is not None and not self.opening.over

    def _agent_is_heard(self) -> bool:
        return Party.AGENT in self.hearing[Party.CALLER]

    def _others_are_heard(self) -> bool:
        return bool(self.hearing[Party.CALLER] & {Party.HUMAN, Party.SUPERVISOR})

    def _agent_may_lead(self) -> bool:
        """The agent speaks alone, and far enough ahead for the leg to hold some of it."""
        lead_ms = self.caller.lead_ms
        return (
            0 < lead_ms <= self._playout.buffered_ms
            and self.caller.state is LegState.ANSWERED
            and not self.caller_held
            and self._agent_is_heard()
            and not self._others_are_heard()
            and not self._opens()
        )

    def _send_ahead(self) -> None:
        """Fill the leg's lead with what the agent says next."""
        if not self.caller.unsent_ms:
            self._playout.note_leg_dry()
        ahead: list[bytes] = []
        room_ms = self.caller.lead_ms - self.caller.unsent_ms
        while len(ahead) * FRAME_MS < room_ms and (frame := self._playout.pop_frame()):
            ahead.append(frame)
        if ahead:
            self._send_to_caller(b"".join(ahead))
            self._note_reply()

    def _send_to_caller(self, audio: bytes) -> None:
        self.caller.send_frame(audio)
        self._for_recording.extend(in_frames(audio))

    def _note_reply(self) -> None:
        if self._playout.begins:
            self.reply_begun.set()

    def _speak_to_caller(self, frames: dict[Party, bytes], hears: frozenset[Party]) -> None:
        """Add what agent or prompt say in this frame; at most one of them speaks."""
        if not self.caller.unsent_ms:
            self._playout.note_leg_dry()
        if self.opening is not None and self._opens():
            if self.caller_held:
                return
            if (frame := self.opening.next_frame(self.caller.unsent_ms)) is not None:
                frames[Party.PROMPT] = frame
                self._playout.note_other_frame()
            return
        agent_frame = None
        if Party.AGENT in hears and not self.caller_held:
            agent_frame = self._playout.pop_frame()
        if agent_frame is not None:
            frames[Party.AGENT] = agent_frame
            self._note_reply()
            return
        spoken = self._speak_without_agent(frames, hears)
        if spoken or any(party in frames for party in hears):
            self._playout.note_other_frame()

    def _speak_without_agent(self, frames: dict[Party, bytes], hears: frozenset[Party]) -> bool:
        """Add what a person or a prompt says; False when nobody speaks."""
        if Party.PROMPT not in hears:
            return any(party in frames for party in hears)
        frame = self._prompts.next_frame(self.caller.unsent_ms)
        being_rung = self.human_stage is not HumanStage.ABSENT and Party.AGENT in hears
        if not self._prompts.has_prompt and being_rung:
            # A person is being rung or told why: silence would be taken for the end.
            frame = self._hold_tone.pop_frame() or SILENCE
        if frame is not None:
            frames[Party.PROMPT] = frame
        return frame is not None

    def _speak_to_human(
        self, human: Leg, frames: dict[Party, bytes], hears: frozenset[Party]
    ) -> None:
        if Party.ANNOUNCEMENT not in hears:
            return
        if (frame := self._announcement.pop_frame()) is not None:
            frames[Party.ANNOUNCEMENT] = frame
            return
        self._announcement.note_other_frame()
        if self._announcement.all_heard(human.unsent_ms):
            self.announced.set()

    def _settle(self) -> None:
        """Tell the agent which marks were reached and how much has been heard."""
        if self.stream is None:
            return
        unsent_ms = self.caller.unsent_ms
        for name in self._playout.marks_reached(unsent_ms):
            self.stream.send(Mark(name))
        if report := self._playout.report(self.stream.clock_ms, unsent_ms):
            self.stream.send(report)

    def _forget_agent_audio(self, unsent_ms: int) -> None:
        """Drop the buffer and ``unsent_ms`` of what the leg has, and tell the agent."""
        at_ms = self.stream.clock_ms if self.stream else 0
        cleared, marks = self._playout.clear(at_ms, unsent_ms)
        if self.stream:
            for name in marks:
                self.stream.send(Mark(name))
            self.stream.send(cleared)

    @staticmethod
    def _count(concealer: Concealer, party: Party) -> None:
        metrics.FRAMES_CONCEALED.labels(party.value).inc(concealer.concealed)
        metrics.FRAMES_SILENCED.labels(party.value).inc(concealer.silenced)


def _mixed(
    listener: Party, frames: dict[Party, bytes], before: Hearing | None, who: Hearing
) -> bytes:
    if before is None:
        return heard_by(listener, frames, who)
    return heard_while_changing(listener, frames, before, who)


def _has_room(leg: Leg, catching_up: bool) -> bool:
    return leg.unsent_ms < (CATCH_UP_UNSENT_MS if catching_up else MAX_UNSENT_MS)
