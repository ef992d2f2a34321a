"""The agent's side of whoever supervises a call: what they are told, and what they ask for."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any

from telephony.media_stream import MAX_NOTE_BYTES, Message, Note, Overheard, Steer
from voice_agent.answering.conversation import Conversation
from voice_agent.config import Settings, secrets_of
from voice_agent.console.turn_view import turn_view
from voice_agent.engines import Engines
from voice_agent.records.record_types import TurnRecord
from voice_agent.records.turns import turn_began_at
from voice_agent.reply import Reply
from voice_agent.safety.masking import mask_identifiers, mask_within
from voice_agent.safety.output_guard import OutputGuard
from voice_agent.safety.safe_library import SafeLibrary
from voice_agent.silent_assistant import SilentAssistant
from voice_agent.steering import Steering, Voice

_LEFT_OUT_FIRST = ("sources", "guards", "stages_ms", "agent", "heard", "caller")
"""Of a turn too long for a note, until it is short enough."""


class SupervisorDesk:
    """Notes to supervisors, their steering, and the silent assistant, of one call."""

    def __init__(
        self,
        settings: Settings,
        engines: Engines,
        conversation: Conversation,
        voice: Voice,
        send: Callable[[Message], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        """
        Args:
            settings: the whole tree.
            engines: shared by all calls.
            conversation: what was said on this call.
            voice: speaks a sentence.
            send: a message to the gateway.
            start: runs something that ends with the call.
        """
        guard = OutputGuard(engines.policy, engines.prompt.system, secrets_of(settings))
        self._mask = mask_identifiers(engines.policy.mask.prompts)
        self._send = send
        self._start = start
        self._steering = Steering(engines.policy, guard, conversation, voice, send)
        self._assistant = SilentAssistant(
            engines.transcriber, SafeLibrary(engines.knowledge), self._mask, send
        )
        self._mood = ""

    def hear(self, audio: bytes) -> bytes:
        """Caller audio; what the pipeline is to hear of it."""
        return self._assistant.hear_caller(audio)

    async def take(self, message: Message) -> bool:
        """A message of a supervisor's; false when it is none."""
        match message:
            case Steer():
                await self._steering.take(message)
            case Overheard():
                self._assistant.overhear(message)
            case _:
                return False
        return True

    async def has_caller(self) -> None:
        """The agent has the caller again."""
        await self._assistant.leave()

    async def close(self) -> None:
        """The call is over."""
        await self._assistant.leave()

    def begun(self, reply: Reply, index: int, began_at: float) -> None:
        """The caller begins to hear a reply: the words it answers are known.

        ``index`` is the turn's in the call, which began at ``began_at`` (seconds since 1970).
        """
        if reply.committed:
            data = {
                "turn_id": reply.turn_id,
                "index": index,
                "at_ms": max(0, round((turn_began_at(reply) - began_at) * 1000)),
                "caller": reply.question,
                "state": "speaking",
            }
            self._note("turn", data)

    async def over(self, reply: Reply, record: TurnRecord | None, began_at: float) -> None:
        """A reply has ended, and is on record unless it was never heard."""
        if record is not None:
            view = turn_view(asdict(record), began_at)
            self._note("turn", {**view, "state": "over"})
            if view["risk"] is not None:
                self._note("risk", {"grounding": view["risk"]})
        if reply.choice is not None and not reply.is_consent:
            road, confidence = reply.choice.road.value, round(reply.choice.confidence, 3)
            self._note("road", {"road": road, "confidence": confidence})
        await self._steering.go_on()

    def mood_is(self, mood: str) -> None:
        """How the caller seems to feel; told when it changes."""
        if mood != self._mood:
            self._mood = mood
            self._note("mood", {"mood": mood})

    def _note(self, kind: Any, data: dict[str, Any]) -> None:
        note = Note(kind, short_enough(mask_within(data, self._mask)))
        self._start(self._send_note(note))

    async def _send_note(self, note: Note) -> None:
        await self._send(note)


def short_enough(data: dict[str, Any]) -> dict[str, Any]:
    """The data without its longest parts, in a fixed order, where all of it would be too long."""
    kept = dict(data)
    for name in _LEFT_OUT_FIRST:
        if len(json.dumps(kept)) < MAX_NOTE_BYTES - 256:
            break
        kept.pop(name, None)
    return kept
