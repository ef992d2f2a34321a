"""The stage before the voice: no sentence passes that may not be said, whoever wrote it."""

from __future__ import annotations

import structlog
from pipecat.frames.frames import Frame

from voice_agent.answering.conversation import Conversation
from voice_agent.frames import ClauseForeseen, ClauseWritten
from voice_agent.records import metrics
from voice_agent.reply import Clause, Reply, Road
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.output_guard import Blocked, OutputGuard

log = structlog.get_logger(__name__)


class OutputGuardStage(ReplyStage):
    """Replaces a sentence that may not be said, and ends its reply there."""

    def __init__(self, guard: OutputGuard, conversation: Conversation) -> None:
        super().__init__()
        self._sentences = guard
        self._conversation = conversation
        self._cut: int | None = None
        """The reply of which nothing more is said."""

    async def handle(self, frame: Frame) -> bool:
        """Look at every clause that is not a known sentence."""
        match frame:
            case ClauseForeseen(text=text):
                return self._sentences.judge(text, [text]) is not None
            case ClauseWritten(reply=reply) if reply.reply_id == self._cut:
                reply.clauses[:] = [each for each in reply.clauses if each is not frame.clause]
                return True
            case ClauseWritten(reply=reply, clause=clause) if not clause.fixed:
                self._look_at(reply, clause)
        return False

    def _look_at(self, reply: Reply, clause: Clause) -> None:
        from_data = reply.road is Road.ACTION  # written from a system's answer to this caller
        sources = [clause.text] if from_data else self._sources(reply)
        blocked = self._sentences.judge(clause.text, sources)
        if blocked is None:
            return
        metrics.guarded.labels(side="output", reason=blocked.reason).inc()
        log.warning("output_guarded", reason=blocked.reason, turn_id=reply.turn_id)
        self._cut = reply.reply_id
        _replace(reply, clause, blocked)

    def _sources(self, reply: Reply) -> list[str]:
        found = reply.retrieval.passages if reply.retrieval else ()
        passages = [f"{each.title} {each.heading} {each.text}" for each in (*found, *reply.read)]
        said = [caller for caller, _ in self._conversation.history()]
        return [*passages, reply.question, *said]


def _replace(reply: Reply, clause: Clause, blocked: Blocked) -> None:
    reply.road = Road.REFUSE
    clause.text, clause.passage_ids, clause.fixed = blocked.instead, (), True
    at = next(number for number, each in enumerate(reply.clauses) if each is clause)
    del reply.clauses[at + 1 :]
