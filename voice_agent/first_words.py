"""The agent's part of how a call begins: it greets when it is its turn, says that it is a machine
where the law wants that, and understands what the caller answers to the gateway's question.

Until the gateway has been heard to its end the agent is deaf: what it would hear is the caller
talking over a notice, or the notice's own echo. Whether the call is recorded is the gateway's to
know; an agent that hangs changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

from telephony.media_stream import Consent, Disclosed, Message, Opening, Start
from voice_agent.answering import phrases
from voice_agent.answering.actions.consent import Consent as Judged
from voice_agent.answering.actions.consent import heard_whole, judge_consent
from voice_agent.config import AnsweringSettings
from voice_agent.reply import CONSENT, AfterReply, Reply, Road, RoadChoice
from voice_agent.safety.policy import Policy
from voice_agent.safety.recording_talk import asks_if_recorded, wants_no_recording

Answer: TypeAlias = Literal["yes", "no", "unclear"]
DISCLOSED_AT_MOST = 5
"""Tries, with a caller who talks over the sentence each time."""


class Voice(Protocol):
    """What of the turn taker is needed."""

    @property
    def unfinished(self) -> Reply | None:
        """The reply being spoken now, if any."""

    async def say(self, text: str) -> None:
        """Speak a known sentence now, as a turn of its own."""

    async def wait_for_person(self) -> None:
        """The caller need not speak."""

    async def change_line(self, ours: bool) -> None:
        """The caller talks to the agent again."""


class FirstWords:
    """How one call begins, and what it has to do with recording. ``open`` it first."""

    def __init__(
        self,
        settings: AnsweringSettings,
        policy: Policy,
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._send = send
        self._asked = self._answered = self._over = False
        self._recorded = False
        self._disclosures_left = 0
        self._answers: dict[int, Answer] = {}
        """By reply: what its words are to the question; told once they are the caller's last."""

    def open(self, start: Start, voice: Voice) -> None:
        """The call begins."""
        self._start, self._voice = start, voice
        self._over = not start.opening
        self._recorded = start.recorded
        self._disclosures_left = DISCLOSED_AT_MOST if start.disclose else 0

    async def begin(self) -> None:
        """The pipeline is ready: greet, unless the gateway speaks first."""
        if self._over:
            await self._voice.say(self._greeting(again=self._start.resumed))
        else:
            await self._voice.wait_for_person()

    def hear(self, audio: bytes) -> bytes:
        """Caller audio; what the pipeline is to hear of it."""
        return audio if self._over or self._asked else bytes(len(audio))

    async def take(self, message: Message) -> bool:
        """A message about the opening; false when it is none."""
        if not isinstance(message, Opening):
            return False
        if message.state == "asked":
            self._asked = True
        elif not self._over:
            self._over, self._recorded = True, message.recorded
            await self._voice.change_line(ours=True)
            if not self._answered:
                notice = "" if message.permission == "notice_heard" else self._settled()
                await self._voice.say(f"{notice} {self._greeting()}".strip())
        else:
            self._recorded = message.recorded
        return True

    # --- the caller's words ----------------------------------------------------------------------

    def look_at(self, reply: Reply) -> None:
        """Give the reply its sentence when its words are about being recorded."""
        if self._asked and not self._over:
            answer = _answer_in(reply.question)
            self._answers[reply.reply_id] = answer
            said = phrases.THANK_YOU if answer == "yes" else self._policy.not_recorded
            name = "recording_unanswered" if answer == "unclear" else CONSENT
            self._say(reply, name, f"{said} {self._greeting()}")
        elif wants_no_recording(reply.question):
            self._answers[reply.reply_id] = "no"
            stops = self._recorded
            text = self._policy.recording_stopped if stops else self._policy.not_recorded
            self._say(reply, "recording_refused", text)
        elif asks_if_recorded(reply.question):
            text = self._policy.recorded if self._recorded else self._policy.not_recorded
            self._say(reply, "recording_asked", text)

    async def commit(self, reply: Reply) -> None:
        """These words were the caller's last ones: the gateway learns what they say."""
        answer = self._answers.pop(reply.reply_id, None)
        if answer is None:
            return
        self._answered = True
        if answer == "no":
            self._recorded = False
        await self._send(Consent(answer))

    def drop(self, reply: Reply) -> None:
        """The caller went on speaking."""
        if not reply.committed:
            self._answers.pop(reply.reply_id, None)

    async def over(self, reply: Reply) -> None:
        """A reply has ended: what had to be disclosed and was not heard is said again."""
        if not self._disclosures_left or not self._over:
            return
        if heard_whole(self._policy.disclosure, reply.heard):
            self._disclosures_left = 0
            await self._send(Disclosed())
            return
        self._disclosures_left -= 1
        heard_out = reply.end_reason in ("completed", "failed") and reply.after is AfterReply.LISTEN
        if heard_out and self._voice.unfinished is None:
            await self._voice.say(self._policy.disclosure)

    # --- parts -----------------------------------------------------------------------------------

    def _greeting(self, *, again: bool = False) -> str:
        greeting = phrases.BACK_AGAIN if again else self._settings.greeting
        return f"{self._policy.disclosure} {greeting}" if self._disclosures_left else greeting

    def _settled(self) -> str:
        return phrases.THANK_YOU if self._recorded else self._policy.not_recorded

    @staticmethod
    def _say(reply: Reply, name: str, text: str) -> None:
        reply.road, reply.fixed_text = Road.VERIFIED, text
        reply.choice = RoadChoice(Road.VERIFIED, name=name, says=text)


def _answer_in(words: str) -> Answer:
    if wants_no_recording(words):
        return "no"
    match judge_consent(words):
        case Judged.YES:
            return "yes"
        case Judged.NO:
            return "no"
        case _:
            return "unclear"


def sentences(settings: AnsweringSettings, policy: Policy) -> tuple[str, ...]:
    """What a call may begin with; worth keeping as sound."""
    greetings = (f"{policy.disclosure} {settings.greeting}", settings.greeting)
    before = (phrases.THANK_YOU, policy.not_recorded)
    return (
        *greetings,
        f"{policy.disclosure} {phrases.BACK_AGAIN}",
        *(f"{said} {greeting}" for said in before for greeting in greetings),
        policy.disclosure,
        policy.not_recorded,
        policy.recorded,
        policy.recording_stopped,
    )
