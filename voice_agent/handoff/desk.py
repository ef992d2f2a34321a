"""The handoff of one call: asks the gateway for a person, tells the caller how it goes, keeps the
story, and sees that nobody is left with nothing: a person, a call-back, a message, or the agent.
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from telephony import media_stream
from telephony.media_stream import SUPERVISOR, Message, Start
from telephony.routing import number_of
from voice_agent.answering import phrases as answers
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.conversation import Conversation
from voice_agent.config import Settings
from voice_agent.errors import as_logged
from voice_agent.handoff import phrases, voicemail
from voice_agent.handoff.brief import Brief
from voice_agent.handoff.reasons import Reasons
from voice_agent.handoff.repeated import is_repeated
from voice_agent.handoff.story import Story, puts_through
from voice_agent.handoff.talk import Effect, Phase, Said, Talk, TalkRules
from voice_agent.records import metrics
from voice_agent.records.record_types import HandoffRecord
from voice_agent.reply import Reply, Road, RoadChoice
from voice_agent.speech.spoken_text import as_spoken

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
TRANSCRIBE_AT_END_S = 20.0


class Line(Protocol):
    """What is needed of the turn taker."""

    @property
    def unfinished(self) -> Reply | None:
        """The reply being spoken now, if any."""

    async def say(self, text: str) -> None:
        """Speak a known sentence now."""

    async def wait_for_person(self) -> None:
        """A person is being rung: the caller need not speak."""

    async def change_line(self, ours: bool) -> None:
        """The caller now talks to somebody else, or to the agent again."""


class HandoffEngines(Protocol):
    """What is needed of the engines."""

    synthesiser: Any
    transcriber: Any
    records: Any
    reasons: Reasons


@dataclass(slots=True)
class Attempt:
    """One time a person was asked for."""

    record: HandoffRecord
    reason: str
    brief: Brief
    bridged: bool = False


class HandoffDesk:
    """Made with the pipeline; :meth:`open` once it is known who rings."""

    def __init__(
        self, settings: Settings, engines: HandoffEngines, conversation: Conversation
    ) -> None:
        self._settings = settings
        self._engines = engines
        self._conversation = conversation
        self._rules = TalkRules(messages=settings.handoff.messages)
        self._talk = Talk()
        self._drafts: dict[int, Said] = {}
        self._story = Story()
        self._line: Line | None = None
        self._actions: ActionDesk | None = None
        self._send: Callable[[Message], Awaitable[None]]
        self._spawn: Spawn
        self._start = Start("")
        self._attempt: Attempt | None = None
        self._pending = ""
        self._taping: voicemail.Taping | None = None
        self._to_tape = False
        self.bridged = False
        """A person has the caller."""

    def open(
        self,
        start: Start,
        line: Line,
        actions: ActionDesk | None,
        send: Callable[[Message], Awaitable[None]],
        spawn: Spawn,
    ) -> None:
        """The call begins."""
        self._start, self._line, self._actions = start, line, actions
        self._send, self._spawn = send, spawn
        self._story.caller = start.caller
        number = number_of(start.caller) if self._rings_back else ""
        self._rules = replace(self._rules, caller_number=number)
        self._talk = Talk(call_back=self._rings_back)

    @property
    def spoken_brief(self) -> str:
        """What the person heard last; empty when nobody was asked for."""
        return self._attempt.brief.spoken if self._attempt else ""

    @property
    def attempt(self) -> HandoffRecord | None:
        """The latest attempt as it is recorded."""
        return self._attempt.record if self._attempt else None

    @property
    def _rings_back(self) -> bool:
        gateway = self._settings.gateway
        return bool(gateway.human.call_backs.address or gateway.sip.trunk)

    # --- why, and in which words -----------------------------------------------------------------

    def sentence(self, choice: RoadChoice) -> str:
        """What a caller hears who is put through by this choice."""
        if choice.says:
            return choice.says
        named = choice.name or self._story.offered_for
        return self._engines.reasons.of(named).says if named else answers.TRANSFERRING

    def repeats(self, question: str, history: tuple[tuple[str, str], ...]) -> bool:
        """The caller asks the same thing once too often."""
        return self._settings.handoff.enabled and is_repeated(question, history)

    # --- what the caller says --------------------------------------------------------------------

    def hear(self, reply: Reply) -> None:
        """Give the reply its sentence when its words are for a handoff."""
        said = self._rules.hear(self._talk, reply.question, reply.keys)
        if said is None:
            return
        self._drafts[reply.reply_id] = said
        reply.road, reply.fixed_text = Road.PERSON, said.text
        if reply.committed:
            self.commit(reply)

    def commit(self, reply: Reply) -> None:
        """The caller's turn is over: what its reply promises is done."""
        said = self._drafts.pop(reply.reply_id, None)
        if said is None:
            if reply.question and self._talk.phase is not Phase.NOTHING:
                self._talk = replace(self._talk, phase=Phase.NOTHING)  # they spoke of other things
            return
        number, self._talk = said.talk.number, said.talk
        match said.effect:
            case Effect.KEEP:
                self._spawn(self._keep_call_back(number))
            case Effect.WITHDRAW:
                self._spawn(self._withdraw())
            case Effect.RECORD:
                self._to_tape = True
                self._spawn(self._withdraw("voicemail"))
            case None:
                pass

    def drop(self, reply: Reply) -> None:
        """The reply was not to be heard."""
        self._drafts.pop(reply.reply_id, None)

    # --- what becomes of replies -----------------------------------------------------------------

    @property
    def mood(self) -> str:
        """How the caller seems to feel so far."""
        return self._story.mood

    async def begun(self, reply: Reply) -> None:
        """A reply begins to be heard: one that puts the caller through rings at once."""
        if puts_through(reply):
            await self._ask(reply)

    async def over(self, reply: Reply) -> None:
        """A reply has ended."""
        finished = reply.end_reason in ("completed", "failed")
        if finished and puts_through(reply):
            await self._ask(reply)
        self._story.note(reply)
        if self._to_tape and reply.fixed_text == phrases.SPEAK_NOW:
            await self._begin_tape()
        elif self._pending and self._line is not None and self._line.unfinished is None:
            text, self._pending = self._pending, ""
            await self._line.say(text)

    async def _ask_for_supervisor(self, queue: str) -> None:
        """A supervisor wants a person to have this caller: ring, and tell the caller meanwhile."""
        assert self._line is not None  # noqa: S101 - the gateway speaks of an open call
        spoken = self._line.unfinished
        await self._ask(spoken or Reply(0, "", "", road=Road.PERSON), SUPERVISOR, queue)
        await self._line.say(self._engines.reasons.of(SUPERVISOR).says)

    async def _ask(self, reply: Reply, reason: str = "", queue: str | None = None) -> None:
        """Ask for a person, once a reply; the sentence that says why follows while it rings.

        ``reason`` and ``queue``: those somebody else chose.
        """
        if self._attempt is not None and not self._attempt.record.outcome:
            return
        assert self._line is not None  # noqa: S101 - a reply is over, so the call is open
        reason = reason or self._story.reason(reply)
        reasons, handoff = self._engines.reasons, self._settings.handoff
        brief = self._story.brief(
            reply, reason, reasons, self._conversation.history(), self._actions
        )
        named = reasons.of(reason).queue
        known = self._settings.gateway.human.queues
        target = queue or (named if named in known else handoff.target)
        link = handoff.link.replace("{call_id}", self._start.call_id)
        record = HandoffRecord(
            handoff_id=uuid.uuid4().hex,
            call_id=self._start.call_id,
            asked_at=time.time(),
            reason=reason,
            queue=target,
            spoken=brief.spoken,
            brief=brief.as_data(),
            link=link,
        )
        self._attempt = Attempt(record, reason, brief)
        self._note("asked", "")
        self._talk = self._rules.ringing(self._talk)
        metrics.handoffs.labels(reason=reason).inc()
        await self._send(
            media_stream.Transfer(
                target=target, reason=brief.spoken, cause=reason, link=link, announced_later=True
            )
        )
        await self._line.wait_for_person()
        self._spawn(self._announce(brief.spoken))

    async def _announce(self, words: str) -> None:
        await self._send(media_stream.Announcement(await self._sound(words)))

    async def _sound(self, words: str) -> str:
        """The words as base64 PCM; empty when they cannot be spoken: a person counts more."""
        sound = bytearray()
        try:
            async with aclosing(self._engines.synthesiser.speak(as_spoken(words))) as pieces:
                async for piece in pieces:
                    sound += piece
        except Exception as error:
            log.warning("brief_not_spoken", **as_logged(error))
            return ""
        return base64.b64encode(sound).decode()

    # --- what the gateway says -------------------------------------------------------------------

    async def take(self, message: Message) -> bool:
        """A message of the gateway about people; false when it is none."""
        match message:
            case media_stream.Transfer(state="wanted"):
                await self._ask_for_supervisor(message.target)
            case media_stream.Transfer(target=media_stream.SUPERVISOR, state=state) if state:
                self.bridged = state == "bridged"
                await self._line_is(not self.bridged)
            case media_stream.Transfer(state=state) if state:
                await self._follow(message)
            case media_stream.CallBack(state=state) if state:
                await self._called_back(message)
            case media_stream.Dtmf(digit="#") if self._taping is not None:
                await self._end_tape()
            case media_stream.Dtmf() if self._taping is not None:
                pass
            case _:
                return False
        return True

    async def _line_is(self, ours: bool) -> None:
        if self._line is not None:
            await self._line.change_line(ours)

    async def _follow(self, told: media_stream.Transfer) -> None:
        assert self._line is not None  # noqa: S101 - the gateway speaks of an open call
        log.info("transfer_changed", state=told.state, reason=told.reason)
        self._note(told.state, told.reason)
        match told.state:
            case "waiting":
                self._talk, text = self._rules.waiting(
                    self._talk, told.position, told.wait_s, told.offers
                )
                await self._say(text)
            case "bridged":
                self.bridged = True
                self._talk = self._rules.over(self._talk)
                if self._attempt is not None:
                    self._attempt.bridged = True
                self._close("person")
                await self._line.change_line(False)
            case "transferred":  # the call ends now
                self.bridged = True
                self._close("transferred")
            case "failed":
                await self._line.change_line(True)
                self._close("agent")
                self._talk, text = self._rules.failed(self._talk, told.reason, told.offers)
                await self._line.say(text)

    async def resume(self, reason: str, agreed: str = "") -> None:
        """The caller is back from a person, who may have ``agreed`` something with them."""
        assert self._line is not None  # noqa: S101
        self.bridged = False
        self._note("resumed", reason)
        await self._line.change_line(True)
        if agreed:
            self._conversation.add("", f"A colleague spoke with you, and agreed: {agreed}")
        if reason in ("hung_up_early", "lost"):
            self._close("agent", again=True)
            early = reason == "hung_up_early"
            why = phrases.LEFT_EARLY if early else phrases.CUT_OFF
            self._talk, text = self._rules.lost(self._talk, why)
            await self._line.say(text)
        else:
            await self._line.say(answers.TRANSFER_OVER)

    async def _called_back(self, told: media_stream.CallBack) -> None:
        talk = replace(self._talk, number=told.number or self._talk.number)
        if told.state == "kept":
            self._note("call_back", "")
            self._close("call_back", again=True)
            self._talk, text = self._rules.kept(talk)
        else:
            log.warning("call_back_refused", reason=told.reason)
            self._talk, text = self._rules.refused(talk, told.reason)
        await self._say(text)

    async def _keep_call_back(self, number: str) -> None:
        last = self._attempt
        reason = last.reason if last else "asked"
        words = last.brief.spoken if last else ""
        named = self._engines.reasons.of(reason).queue
        queues = self._settings.gateway.human.queues
        await self._send(
            media_stream.CallBack(
                number=number,
                target=named if named in queues else "",
                reason=words,
                announcement=await self._sound(f"A call-back. {words}") if words else "",
                cause=reason,
                link=last.record.link if last else "",
            )
        )

    async def _withdraw(self, outcome: str = "withdrawn") -> None:
        if self._attempt is not None and not self._attempt.record.outcome:
            self._close(outcome)
            await self._send(media_stream.Withdraw(outcome))

    async def _say(self, text: str) -> None:
        """Say it, after what is being said now."""
        assert self._line is not None  # noqa: S101
        if self._line.unfinished is None:
            await self._line.say(text)
        else:
            self._pending = text

    # --- a message -------------------------------------------------------------------------------

    def heard_audio(self, audio: bytes) -> None:
        """The caller's sound; goes on a tape while one runs."""
        if self._taping is not None and self._taping.take(audio):
            self._spawn(self._end_tape())

    async def _begin_tape(self) -> None:
        assert self._line is not None  # noqa: S101
        self._to_tape = False
        last = self._attempt.record if self._attempt else None
        try:
            self._taping = voicemail.begin(
                self._settings.handoff.voicemail,
                self._start.call_id,
                self._start.caller,
                last.queue if last else "",
                last.reason if last else "asked",
            )
        except OSError as error:
            log.error("message_not_taken", reason=error.strerror)
            await self._line.say(f"{phrases.NOT_REACHED} {phrases.ANYTHING_ELSE}")
            return
        await self._line.change_line(False)

    async def _end_tape(self) -> None:
        assert self._line is not None  # noqa: S101
        taping, self._taping = self._taping, None
        if taping is None:
            return
        try:
            kept = await taping.end()
        except OSError as error:  # it is not promised that anybody will hear it
            log.error("message_not_kept", reason=error.strerror)
            await self._line.change_line(True)
            await self._line.say(f"{phrases.NOT_REACHED} {phrases.ANYTHING_ELSE}")
            return
        await self._line.change_line(True)
        if kept is None:
            await self._line.say(phrases.NO_MESSAGE)
            return
        self._note("voicemail", "")
        self._close("voicemail", again=True)
        await self._line.say(phrases.MESSAGE_KEPT)
        self._spawn(taping.transcribe(self._engines.transcriber))

    async def close(self) -> None:
        """The call is over: what was said on the tape until now is a message too."""
        taping, self._taping = self._taping, None
        if taping is not None:
            await self._keep_unfinished(taping)
        if self._attempt is not None and not self._attempt.record.outcome:
            self._close("left")

    async def _keep_unfinished(self, taping: voicemail.Taping) -> None:
        try:
            if await taping.end() is None:
                return
            self._close("voicemail", again=True)
            async with asyncio.timeout(TRANSCRIBE_AT_END_S):
                await taping.transcribe(self._engines.transcriber)
        except TimeoutError:
            log.error("message_not_transcribed", reason="late")
        except OSError as error:
            log.error("message_not_kept", reason=error.strerror)

    # --- the record ------------------------------------------------------------------------------

    def _note(self, state: str, reason: str) -> None:
        if self._attempt is None:
            return
        step = {"at": round(time.time(), 3), "state": state, "reason": reason}
        record = self._attempt.record
        self._attempt.record = replace(record, state=state, steps=(*record.steps, step))
        self._engines.records.record_handoff(self._attempt.record)

    def _close(self, outcome: str, *, again: bool = False) -> None:
        """How the attempt ended; ``again``: it is known better now."""
        if self._attempt is None or (self._attempt.record.outcome and not again):
            return
        self._attempt.record = replace(self._attempt.record, outcome=outcome)
        self._engines.records.record_handoff(self._attempt.record)
