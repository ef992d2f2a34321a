"""The stage that says what the agent is to whoever asks: by approved text, and never by a model."""

from __future__ import annotations

from pipecat.frames.frames import Frame

from voice_agent.answering import phrases
from voice_agent.answering.roads import choose_road
from voice_agent.frames import ReplyAsked
from voice_agent.records import metrics
from voice_agent.reply import AfterReply, Reply, Road, RoadChoice
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.candour import asks_what_it_is, without_that_question
from voice_agent.safety.policy import Policy

NAME = "what_it_is"


class Candour(ReplyStage):
    """Sits before everything that reads words, so that no offer, action or attack under way takes
    the question for something else."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy

    async def handle(self, frame: Frame) -> bool:
        """Give the reply its sentence; every frame goes on."""
        match frame:
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                if asks_what_it_is(reply.question):
                    self._answer(reply)
        return False

    def _answer(self, reply: Reply) -> None:
        metrics.guarded.labels(side="input", reason=NAME).inc()
        truth = self._policy.what_it_is
        rest = without_that_question(reply.question)
        if choose_road(rest, "") is Road.PERSON:
            reply.road, reply.after = Road.PERSON, AfterReply.TRANSFER
            reply.fixed_text = f"{truth} {phrases.TRANSFERRING}"
        else:
            reply.road = Road.VERIFIED
            reply.fixed_text = truth
        reply.choice = RoadChoice(reply.road, name=NAME, says=reply.fixed_text)
