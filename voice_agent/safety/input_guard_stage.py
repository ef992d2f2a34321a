"""The stage before the router: masks a caller's words, and turns attacks away.

What belongs to an action under way, or to a talk about a person, has been taken before it.
"""

from __future__ import annotations

import structlog
from pipecat.frames.frames import Frame

from voice_agent.answering import phrases
from voice_agent.frames import PassagesForeseen, QuestionForeseen, ReplyAsked, ReplyOver
from voice_agent.records import metrics
from voice_agent.reply import Reply, Road
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.input_guard import Judgement, Threat, judge_input
from voice_agent.safety.masking import mask_identifiers
from voice_agent.safety.personal_data_rules import is_card_number
from voice_agent.safety.policy import Policy

log = structlog.get_logger(__name__)


class InputGuard(ReplyStage):
    """Card numbers and the like end here; an attack is answered with a sentence of the policy.

    What a turn may do is decided by the stages below, outside the language model, whatever this
    one lets through.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy
        self._mask = mask_identifiers(policy.mask.prompts)
        self._abusive_turns = 0

    async def handle(self, frame: Frame) -> bool:
        """Look at what the caller said; every frame goes on."""
        match frame:
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                self._look_at(reply)
            case QuestionForeseen() if not isinstance(frame, PassagesForeseen):
                return await self._foresee(frame)
        return False

    async def handle_upstream(self, frame: Frame) -> bool:
        """Count the turns in which a caller was abusive; speculations do not count."""
        if isinstance(frame, ReplyOver) and frame.reply.committed:
            abused = frame.reply.fixed_text.startswith(
                (self._policy.abuse, self._policy.abuse_again)
            )
            self._abusive_turns = self._abusive_turns + 1 if abused else 0
        return False

    async def _foresee(self, frame: QuestionForeseen) -> bool:
        """Nothing is prepared for an attack; for the rest, without what is masked."""
        if judge_input(frame.text, self._policy).threat is not Threat.NONE:
            return True
        text = self._mask(frame.text)
        if text != frame.text:
            await self.push_frame(QuestionForeseen(text, frame.history))
            return True
        return False

    def _look_at(self, reply: Reply) -> None:
        if is_card_number(reply.keys):
            reply.road, reply.fixed_text, reply.keys = Road.REFUSE, self._policy.card_keyed, ""
            return
        judgement = judge_input(reply.question, self._policy)
        reply.question = self._mask(reply.question)
        if judgement.threat is Threat.NONE:
            return
        metrics.guarded.labels(side="input", reason=judgement.threat.value).inc()
        log.warning("input_guarded", threat=judgement.threat.value, sign=judgement.sign)
        reply.road = Road.REFUSE
        reply.fixed_text = self._words_for(judgement)

    def _words_for(self, judgement: Judgement) -> str:
        match judgement.threat:
            case Threat.ABUSE if self._abusive_turns:
                return f"{self._policy.abuse_again} {phrases.OFFER_PERSON}"
            case Threat.ABUSE:
                return self._policy.abuse
            case Threat.PRIVATE:
                return self._policy.private
            case _:
                return self._policy.attack
