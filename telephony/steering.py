"""A supervisor's words to the agent, and the agent's answer to them."""

from __future__ import annotations

import asyncio
import secrets

from telephony.agent_link import AgentStream
from telephony.clock import Clock, within
from telephony.errors import SteerUnanswered
from telephony.media_stream import Steer, Steered

ANSWER_TIMEOUT_S = 3.0
MAX_WAITING = 8


class Steering:
    """Questions under way; each is answered once or given up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Steered]] = {}

    async def ask(self, stream: AgentStream, text: str, *, say: bool) -> tuple[bool, str]:
        """Whether the agent lets itself be steered so, and why not.

        Raises:
            SteerUnanswered: it does not say in time, or too many questions wait.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise SteerUnanswered("The agent has not answered earlier words yet.")
        steer_id = secrets.token_hex(8)
        answered = self._waiting[steer_id] = asyncio.get_running_loop().create_future()
        stream.send(Steer(steer_id, text, say))
        try:
            answer = await within(self._clock, ANSWER_TIMEOUT_S, _result(answered))
        except TimeoutError as error:
            raise SteerUnanswered("The agent does not answer.") from error
        finally:
            del self._waiting[steer_id]
        return answer.accepted, answer.reason

    def take_answer(self, answer: Steered) -> None:
        """From the agent; one that nobody waits for is dropped."""
        waiting = self._waiting.get(answer.steer_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


async def _result(answered: asyncio.Future[Steered]) -> Steered:
    return await answered
