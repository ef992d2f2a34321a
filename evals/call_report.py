"""One call as the test caller saw it, measured on its own side of the wire.

What is included: *voice-to-voice* runs from the last voiced sample of the recording, as it would
have left a mouth, to the first agent sample out of the caller's own jitter buffer (20–200 ms,
adaptive), so packetisation, both jitter buffers and the codec are in it, and the sound path from an
ear piece to an ear is not. *Barge-in* runs from the first voiced sample of the interruption to the
end of the agent's sound, on the same axis. The time that audio waits in the stack before it is on
the wire is known (``tx_buffered``) and taken out. Looking late does not matter: see
``wire_audio.placed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.wire_audio import RATE_HZ, Samples, Span, reply_to, stopped_after_ms, stretches

JOIN_MS = 150.0
"""Pauses between words; a longer silence ends a stretch of the agent's sound."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something the caller said: its name, and where its first to last voiced samples lie."""

    name: str
    span: Span
    interrupts: bool


@dataclass(slots=True)
class SaidTurn:
    """One thing said, and what came back, in ms on the caller's axis."""

    said: str
    interrupts: bool
    began_s: float
    """When the caller began to speak, seconds since the call was answered."""
    speech_ms: float
    voice_to_voice_ms: float | None = None
    barge_in_stop_ms: float | None = None
    reply_began_s: float | None = None
    reply_ms: float | None = None
    longest_gap_ms: float | None = None
    heard: str | None = None
    answer: str | None = None
    sources: list[str] | None = None
    stages_ms: dict[str, float] | None = None

    @property
    def answered(self) -> bool:
        return self.voice_to_voice_ms is not None


@dataclass(slots=True)
class CallReport:
    """One call as the caller saw it. ``error`` is empty when it went as the scenario has it."""

    uri: str
    call_id: str = ""
    answered_at: float = 0.0
    greeting_ms: float | None = None
    duration_s: float = 0.0
    ended_by: str = ""
    error: str = ""
    status: int = 0
    digits_heard: str = ""
    turns: list[SaidTurn] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        return not self.error and all(turn.answered for turn in self.turns)

    def as_json(self) -> dict[str, Any]:
        """For a file. ``turns`` have ``said``, ``heard``, ``answer``, ``sources``,
        ``voice_to_voice_ms`` and ``stages_ms`` among others."""
        fields = ("uri", "call_id", "answered_at", "greeting_ms", "duration_s", "ended_by")
        more = ("error", "status", "digits_heard")
        turns = [
            {name: getattr(turn, name) for name in SaidTurn.__slots__} | {"answered": turn.answered}
            for turn in self.turns
        ]
        return {name: getattr(self, name) for name in fields + more} | {"turns": turns}

    def measure(self, spoken: Sequence[Spoken], received: Samples) -> None:
        """Fill in the greeting and the turns from what was said and heard on one axis."""
        heard = stretches(received, join_ms=JOIN_MS, relative=False)
        first_word = spoken[0].span.start if spoken else len(received)
        if heard and heard[0].start < first_word:
            self.greeting_ms = round(heard[0].start * 1000 / RATE_HZ, 1)
        for number, said in enumerate(spoken):
            last = number + 1 == len(spoken)
            until = len(received) if last else spoken[number + 1].span.start
            self.turns.append(_turn(said, heard, until))


def _turn(said: Spoken, heard: Sequence[Span], until: int) -> SaidTurn:
    turn = SaidTurn(
        said=said.name,
        interrupts=said.interrupts,
        began_s=round(said.span.start / RATE_HZ, 3),
        speech_ms=round(said.span.length_ms, 1),
    )
    stopped_ms = stopped_after_ms(said.span, heard)
    turn.barge_in_stop_ms = None if stopped_ms is None else round(stopped_ms, 1)
    if (reply := reply_to(said.span, heard, until)) is not None:
        turn.voice_to_voice_ms = round(reply.voice_to_voice_ms, 1)
        turn.reply_began_s = round(reply.starts / RATE_HZ, 3)
        turn.reply_ms = round((reply.ends - reply.starts) * 1000 / RATE_HZ, 1)
        turn.longest_gap_ms = round(reply.longest_gap_ms, 1)
    return turn
