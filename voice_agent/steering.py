"""The agent's side of a supervisor who steers it: what it says or heeds, and what it refuses.

A supervisor's words pass the same policy as the model's: they come over a network, may be mistaken,
and are spoken in the company's name. A refusal says why, in words for the supervisor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from telephony.media_stream import Message, Steer, Steered
from voice_agent.answering.conversation import Conversation
from voice_agent.records import metrics
from voice_agent.reply import Reply
from voice_agent.safety.input_guard import Threat, judge_input
from voice_agent.safety.output_guard import OutputGuard
from voice_agent.safety.policy import Policy

log = structlog.get_logger(__name__)

MAX_CHARACTERS = 500
MAX_WAITING = 3
_REFUSED = {
    Threat.ATTACK: "The agent does not take instructions that change what it is or may do.",
    Threat.PRIVATE: "The agent does not give away others' data or its own instructions.",
    Threat.ABUSE: "The agent does not use such words.",
}


class Voice(Protocol):
    """What of the turn taker is needed."""

    @property
    def unfinished(self) -> Reply | None:
        """The reply being spoken now, if any."""

    async def say(self, text: str) -> None:
        """Speak a known sentence now, as a turn of its own."""


def why_refused(message: Steer, policy: Policy, guard: OutputGuard, known: tuple[str, ...]) -> str:
    """Why the agent does not do this; empty when it does. Pure.

    ``known`` is what has been said on the call: personal data in it may be said again.
    """
    text = " ".join(message.text.split())
    if not text:
        return "There is nothing to say."
    if len(text) > MAX_CHARACTERS:
        return f"At most {MAX_CHARACTERS} characters can be said or heeded at once."
    threat = judge_input(text, policy).threat
    if threat is not Threat.NONE:
        return _REFUSED[threat]
    if blocked := guard.judge(text, known):
        return f"The policy does not allow it ({blocked.reason})."
    return ""


class Steering:
    """What a supervisor wants of one call's agent."""

    def __init__(
        self,
        policy: Policy,
        guard: OutputGuard,
        conversation: Conversation,
        voice: Voice,
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._policy = policy
        self._guard = guard
        self._conversation = conversation
        self._voice = voice
        self._send = send
        self._to_say: deque[str] = deque()

    async def take(self, message: Steer) -> None:
        """Judge, answer, and do it: a sentence is said once the present reply is over."""
        said = tuple(text for turn in self._conversation.history() for text in turn)
        reason = why_refused(message, self._policy, self._guard, said)
        if not reason and message.say and len(self._to_say) >= MAX_WAITING:
            reason = "Other sentences still wait to be said."
        metrics.guarded.labels(side="steer", reason="refused" if reason else "taken").inc()
        log.info("steered", accepted=not reason, say=message.say, pii={"text": message.text})
        await self._send(Steered(message.steer_id, not reason, reason))
        if reason:
            return
        text = " ".join(message.text.split())
        if not message.say:
            self._conversation.heed(text)
        elif self._voice.unfinished is None:
            await self._voice.say(text)
        else:
            self._to_say.append(text)

    async def go_on(self) -> None:
        """A reply is over: say what waits."""
        if self._to_say and self._voice.unfinished is None:
            await self._voice.say(self._to_say.popleft())
