"""The stages that do things for the caller: one takes what belongs to an action under way, before
anything else is made of it; one does what the router, or that first one, sends it.
"""

from __future__ import annotations

import structlog
from pipecat.frames.frames import Frame

from voice_agent.answering.actions import phrases
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.phrases import TRANSFER_FAILED
from voice_agent.frames import (
    ActionAsked,
    ClauseWritten,
    ReplyAsked,
    ReplyCommitted,
    ReplyDropped,
    ReplyOver,
    ReplyResumed,
    ReplyStopped,
    ReplyWritten,
)
from voice_agent.reply import AfterReply, Clause, Reply, Road
from voice_agent.reply_stage import ReplyStage

log = structlog.get_logger(__name__)


class ActionsUnderWay(ReplyStage):
    """Sits before the router: "yes" and "the third of May" are for the action that asked."""

    def __init__(self, desk: ActionDesk, language: str) -> None:
        super().__init__()
        self._desk = desk
        self._language = language

    async def handle(self, frame: Frame) -> bool:
        """Take what the caller says to an action; note which of their turns are over."""
        match frame:
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                if reply.language == self._language and self._desk.takes(reply, reply.keys):
                    await self.push_frame(ActionAsked(reply))
                    return True
            case ReplyCommitted(reply=reply):
                self._desk.commit(reply)
            case ReplyDropped(reply=reply):
                if not reply.committed:
                    self._desk.drop(reply)
            case ReplyStopped(reply=reply):
                self._desk.halt(reply)
            case ReplyResumed(reply=reply):
                self._desk.go_on(reply)
        return False

    async def handle_upstream(self, frame: Frame) -> bool:
        """Note what was heard of each reply."""
        if isinstance(frame, ReplyOver):
            await self._desk.over(frame.reply)
        return False


class Actions(ReplyStage):
    """Sits after the router: begins actions, goes on with them, and says how they went."""

    def __init__(
        self, desk: ActionDesk, known: frozenset[str], person_available: bool = True
    ) -> None:
        super().__init__()
        self._desk = desk
        self._known = known
        self._person_available = person_available

    async def handle(self, frame: Frame) -> bool:
        """Take what is to be done."""
        match frame:
            case ActionAsked(reply=reply):
                reply.road = Road.ACTION
                self.work_on(reply, self._answer(reply))
                return True
            case ReplyAsked(reply=reply) if reply.road is Road.ACTION and not reply.fixed_text:
                name = reply.choice.name if reply.choice else ""
                if name in self._known:
                    self._desk.starts(reply, name)
                    self.work_on(reply, self._answer(reply))
                else:
                    self.work_on(reply, self._cannot(reply, name))
                return True
            case _:
                return False

    async def _answer(self, reply: Reply) -> None:
        async def speak(text: str) -> None:
            await self._say(reply, text)

        reply.mark("retrieved")
        await self._desk.answer(reply, speak)
        await self._finish(reply)

    async def _cannot(self, reply: Reply, name: str) -> None:
        """Somebody wants what nobody declared: a person can do it."""
        log.info("action_unknown", action=name)
        reply.after = AfterReply.TRANSFER
        reply.handoff = "action"
        reply.brief = f"They want this done: {name.replace('_', ' ')}." if name else ""
        await self._say(reply, phrases.FOR_A_PERSON)
        await self._finish(reply)

    async def _say(self, reply: Reply, text: str) -> None:
        clause = Clause(text)
        reply.clauses.append(clause)
        reply.mark("first_token")
        reply.mark("first_clause")
        await self.push_frame(ClauseWritten(reply, clause))

    async def _finish(self, reply: Reply) -> None:
        if reply.after is AfterReply.TRANSFER and not self._person_available:
            reply.after = AfterReply.LISTEN
            await self._say(reply, TRANSFER_FAILED)
        reply.written = True
        await self.push_frame(ReplyWritten(reply))
