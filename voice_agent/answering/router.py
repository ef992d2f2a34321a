"""The stage that decides what is done with a request, and what is said when a stage fails.

Deciding takes some milliseconds of embedding, in a task of the reply's own; what words alone
decide is decided at once.
"""

from __future__ import annotations

from typing import Protocol

from pipecat.frames.frames import Frame

from voice_agent.answering import phrases
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.difficulty import is_hard
from voice_agent.answering.road_chooser import Asked
from voice_agent.answering.roads import choose_road
from voice_agent.config import Settings
from voice_agent.frames import ClauseWritten, ReplyAsked, ReplyFailed, ReplyOver, ReplyWritten
from voice_agent.records import metrics
from voice_agent.reply import AfterReply, Clause, Reply, Road, RoadChoice
from voice_agent.reply_stage import ReplyStage

FAILURES_BEFORE_PERSON = 2


class Roads(Protocol):
    """What finds roads by examples (see ``answering.road_chooser.RoadChooser``)."""

    def ruled(self, asked: Asked) -> RoadChoice | None:
        """The road that words alone decide, if they do."""

    async def choose(self, asked: Asked) -> RoadChoice:
        """The road for a request."""


class ToPeople(Protocol):
    """What knows of handing over (see ``handoff.desk.HandoffDesk``)."""

    def sentence(self, choice: RoadChoice) -> str:
        """What a caller hears who is put through by this choice."""

    def repeats(self, question: str, history: tuple[tuple[str, str], ...]) -> bool:
        """The caller asks the same thing once too often."""


class Router(ReplyStage):
    """Sends questions on to be answered or acted on; says everything else itself.

    Without ``roads`` rules alone decide.
    """

    def __init__(
        self,
        settings: Settings,
        conversation: Conversation,
        roads: Roads | None = None,
        people: ToPeople | None = None,
    ) -> None:
        super().__init__()
        self._roads = roads
        self._people = people
        self._acts = settings.actions.enabled
        self._clarified = False
        self._language = settings.speech.transcriber.language
        self._person_available = settings.handoff.enabled
        self._conversation = conversation
        self._failures = 0

    async def handle(self, frame: Frame) -> bool:
        """Take questions that need no passages."""
        match frame:
            case ReplyAsked(reply=reply) if reply.fixed_text:
                if reply.after is AfterReply.TRANSFER:
                    await self._hand_over(reply, reply.fixed_text)
                else:
                    await self._say(reply, reply.fixed_text)
                return True
            case ReplyAsked(reply=reply) if reply.language != self._language:
                reply.road = Road.LANGUAGE
                await self._say(reply, phrases.OTHER_LANGUAGE)
                return True
            case ReplyAsked(reply=reply):
                return await self._choose(reply, frame)
            case _:
                return False

    async def handle_upstream(self, frame: Frame) -> bool:
        """Take failures of the stages below; a reply that went well makes up for earlier ones."""
        if isinstance(frame, ReplyFailed):
            await self._excuse(frame.reply)
            return True
        if isinstance(frame, ReplyOver) and frame.reply.question:
            if not frame.reply.failure:
                self._failures = 0
            if frame.reply.heard:
                self._clarified = frame.reply.road is Road.CLARIFY
        return False

    async def _choose(self, reply: Reply, frame: ReplyAsked) -> bool:
        """Take the request, unless words alone say that it is to be answered."""
        asked = Asked(reply.question, frame.history, self._conversation.last_heard, self._clarified)
        if self._people is not None and self._people.repeats(reply.question, frame.history):
            return await self._take(reply, RoadChoice(Road.PERSON, name="repeated"))
        if self._roads is None:
            return await self._take(
                reply, RoadChoice(choose_road(asked.question, asked.last_heard))
            )
        if (ruled := self._roads.ruled(asked)) is not None:
            return await self._take(reply, ruled)
        self.work_on(reply, self._compare(self._roads, reply, asked, frame))
        return True

    async def _compare(self, roads: Roads, reply: Reply, asked: Asked, frame: ReplyAsked) -> None:
        choice = await roads.choose(asked)
        if not await self._take(reply, choice):
            await self.push_frame(frame)

    async def _take(self, reply: Reply, choice: RoadChoice) -> bool:
        """Follow a road as far as it is this stage's; false when later stages go on with it."""
        reply.choice, reply.hard = choice, is_hard(reply.question)
        reply.road = choice.road
        reply.mark("routed")
        match choice.road:
            case Road.PERSON if choice.because == "doubt":
                await self._say(reply, phrases.UNSURE)
            case Road.PERSON:
                people = self._people
                says = people.sentence(choice) if people else choice.says or phrases.TRANSFERRING
                await self._hand_over(reply, says)
            case Road.GOODBYE:
                reply.after = AfterReply.HANG_UP
                await self._say(reply, phrases.GOODBYE)
            case Road.REPEAT:
                last = self._conversation.last_heard
                await self._say(reply, last or phrases.NOTHING_TO_REPEAT)
            case Road.UNCLEAR:
                await self._say(reply, phrases.NOT_UNDERSTOOD)
            case Road.HELLO:
                await self._say(reply, phrases.HELLO)
            case Road.THANKS:
                await self._say(reply, phrases.WELCOME)
            case Road.CLARIFY:
                await self._say(reply, choice.says or phrases.CLARIFY)
            case Road.VERIFIED | Road.SMALL_TALK | Road.OUT_OF_SCOPE:
                await self._say(reply, choice.says)
            case Road.ACTION if not self._acts:
                reply.road = Road.ANSWER
                return False
            case _:
                return False
        return True

    async def _hand_over(self, reply: Reply, words: str) -> None:
        if not self._person_available:
            reply.after = AfterReply.LISTEN
            await self._say(reply, phrases.TRANSFER_FAILED)
            return
        reply.after = AfterReply.TRANSFER
        await self._say(reply, words)

    async def _excuse(self, reply: Reply) -> None:
        """Say that something went wrong, whatever of the reply has been said already."""
        metrics.errors.labels(code=reply.failure).inc()
        if reply.road is Road.FAILED:
            # Even the excuse cannot be spoken: let the person, or the gateway's own voice, do it.
            reply.after = AfterReply.TRANSFER if self._person_available else AfterReply.HANG_UP
            reply.written = True
            await self.push_frame(ReplyWritten(reply))
            return
        reply.road = Road.FAILED
        self._failures += 1
        if self._failures < FAILURES_BEFORE_PERSON:
            await self._say(reply, phrases.TROUBLE)
        elif self._person_available:
            await self._hand_over(reply, phrases.TROUBLE_TRANSFER)
        else:
            reply.after = AfterReply.HANG_UP
            await self._say(reply, phrases.TROUBLE_GOODBYE)

    async def _say(self, reply: Reply, text: str) -> None:
        clause = Clause(text, fixed=True)
        reply.clauses.append(clause)
        reply.mark("retrieved")
        reply.mark("first_token")
        reply.mark("first_clause")
        await self.push_frame(ClauseWritten(reply, clause))
        reply.written = True
        await self.push_frame(ReplyWritten(reply))
