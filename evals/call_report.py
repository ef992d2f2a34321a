"""One call as the test caller saw it, measured on its own side of the wire.

What is included: *voice-to-voice* runs from the last voiced sample of the recording, as it would
have left a mouth, to the first agent sample at the caller's ear, so packetisation and the codec are
in it, and the sound path from an ear piece to an ear is not. What an ear is depends on the line:
``wire_call`` has a jitter buffer (20–200 ms, adaptive), the lines of ``evals.latency`` hear a
packet the moment it arrives. *Barge-in* runs from the first voiced sample of the interruption to
the end of the agent's sound, on the same axis. The time that audio waits in the stack before it is
on the wire is known (``tx_buffered``) and taken out. Looking late does not matter: see
``wire_audio.placed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

from evals.exchange import (
    BREATH_MS,
    CutIn,
    cut_ins,
    overlap_ms,
    reply_to,
    running_at,
    stopped_after_ms,
    torn,
)
from evals.wire_audio import RATE_HZ, Samples, Span, stretches

JOIN_MS = 150.0
"""Pauses between words; a longer silence ends a stretch of the agent's sound."""


RESUMED_MS = 2_000.0
"""An agent that is silent for longer after a sound has stopped for good."""
REACTION_MS = 1_000.0
"""A silence of the agent that begins so long after a sound still is because of it."""
_REACTION = round(REACTION_MS * RATE_HZ / 1000)
EDGE_MS = 5.0
"""Packets come a little early or late all the time."""
_BREATH = round(BREATH_MS * RATE_HZ / 1000)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something the caller said: its name, where its first to last voiced samples lie, and the
    pauses in it."""

    name: str
    span: Span
    interrupts: bool
    pauses: tuple[Span, ...] = ()
    stalled_ms: float = 0.0
    """The longest hole in it that our own machine made, because it was busy."""

    @property
    def voiced(self) -> list[Span]:
        """Where the caller really speaks."""
        edges = [self.span.start, *(at for p in self.pauses for at in (p.start, p.end))]
        edges.append(self.span.end)
        return [Span(*edges[at : at + 2]) for at in range(0, len(edges), 2)]


@dataclass(slots=True)
class SaidTurn:
    """One thing said, and what came back, in ms on the caller's axis."""

    said: str
    interrupts: bool
    began_s: float
    """When the caller began to speak, seconds since the call was answered."""
    speech_ms: float
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """The caller's pauses, seconds since ``began_s``."""
    voice_to_voice_ms: float | None = None
    """From the caller's last voiced sample to the first sound of the reply; negative when the
    agent spoke before the caller had finished, and went on."""
    barge_in_stop_ms: float | None = None
    """How long the agent went on after the caller's first syllable; ``None``: it was silent."""
    overlap_ms: float = 0.0
    """How long both spoke, up to the next thing the caller said."""
    cut_ins: list[CutIn] = field(default_factory=list)
    reply_began_s: float | None = None
    reply_ms: float | None = None
    longest_gap_ms: float | None = None
    """Longest silence inside the reply, of whatever kind."""
    starved_gap_ms: float | None = None
    """Longest gap inside the reply because packets were missing or late; ``None`` where the line
    does not see packets."""
    torn_gap_ms: float | None = None
    """Longest silence inside the reply in packets that came, at which sound broke off and went on
    at full strength (``wire_audio.torn``): starvation before the wire."""
    caller_stalled_ms: float = 0.0
    """The longest hole that the caller's own machine made in what was said: if it is long, the turn
    says little about the agent."""
    heard: str | None = None
    answer: str | None = None
    sources: list[str] | None = None
    stages_ms: dict[str, float] | None = None
    filler: str = ""
    """What the agent said first, by its own record, because the answer was not there yet:
    ``voice_to_voice_ms`` ends with it."""

    @property
    def answered(self) -> bool:
        return self.voice_to_voice_ms is not None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"answered": self.answered}


@dataclass(slots=True)
class SoundMade:
    """A sound that is no turn (a cough, talk in the background), made while the agent spoke."""

    sound: str
    began_s: float
    sound_ms: float
    agent_ran: bool
    """Whether the agent was speaking; if not, the rest says nothing."""
    silent_for_ms: float = 0.0
    """The agent's longest silence that began while the sound lasted or 1 s after; its own pauses
    between sentences are among them."""
    resumed: bool = True
    """Whether it went on within 2 s."""
    spoke_on_ms: float = 0.0
    """How long the agent's speech went on after the sound began, silences included."""
    heard: str | None = None
    """What the agent took it for, by its own record: it made a turn of it."""
    said_all: bool = False
    """Whether the agent, by its own record, said all of the reply that it was made over."""

    @property
    def stopped_for_good(self) -> bool:
        """The agent left its reply: it fell silent before the end, or answered the sound."""
        return self.agent_ran and (bool(self.heard) or not (self.resumed or self.said_all))

    @classmethod
    def from_json(cls, sound: Mapping[str, Any]) -> SoundMade:
        return cls(**{one.name: sound[one.name] for one in fields(cls)})

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"stopped_for_good": self.stopped_for_good}


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
    sounds: list[SoundMade] = field(default_factory=list)
    network: dict[str, float] = field(default_factory=dict)
    """Packets sent, received, lost and so on, where the line sees them."""

    @property
    def succeeded(self) -> bool:
        return not self.error and all(turn.answered for turn in self.turns)

    def as_json(self) -> dict[str, Any]:
        """For a file. ``turns`` have ``said``, ``heard``, ``answer``, ``sources``,
        ``voice_to_voice_ms`` and ``stages_ms`` among others."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return mine | {
            "turns": [turn.as_json() for turn in self.turns],
            "sounds": [sound.as_json() for sound in self.sounds],
        }

    def measure(
        self,
        spoken: Sequence[Spoken],
        received: Samples,
        *,
        sounds: Sequence[Spoken] = (),
        gaps: Sequence[Span] | None = None,
    ) -> None:
        """Fill in the greeting, the turns and the sounds from what was said and heard on one axis.

        ``gaps`` are where packets were missing or late (``SeesPackets.gaps``), if that is known.
        """
        heard = stretches(received, join_ms=JOIN_MS, relative=False)
        made = sorted([*spoken, *sounds], key=lambda one: one.span.start)
        first_word = made[0].span.start if made else len(received)
        if heard and heard[0].start < first_word:
            self.greeting_ms = round(heard[0].start * 1000 / RATE_HZ, 1)
        for number, said in enumerate(spoken):
            last = number + 1 == len(spoken)
            until = len(received) if last else spoken[number + 1].span.start
            turn, reply = _turn(said, heard, until)
            if reply is not None:
                # Silence is right where the agent gives way, so it is no gap there.
                excused = [
                    Span(one.span.start, one.span.end + _REACTION)
                    for one in made
                    if reply.start <= one.span.start
                ]
                missing = [gap for gap in gaps or () if gap.length_ms > EDGE_MS]
                if gaps is not None:
                    turn.starved_gap_ms = _longest(gaps, reply, excused)
                silent = [one for one in torn(received, reply) if not _meets(one, missing)]
                turn.torn_gap_ms = _longest(silent, reply, excused)
            self.turns.append(turn)
        self.sounds = [_sound(one, heard, made, len(received)) for one in sounds]


def _turn(said: Spoken, heard: Sequence[Span], until: int) -> tuple[SaidTurn, Span | None]:
    span = said.span
    turn = SaidTurn(
        said=said.name,
        interrupts=said.interrupts,
        began_s=round(span.start / RATE_HZ, 3),
        speech_ms=round(span.length_ms, 1),
        pauses=[
            (round((p.start - span.start) / RATE_HZ, 3), round((p.end - span.start) / RATE_HZ, 3))
            for p in said.pauses
        ],
        overlap_ms=round(overlap_ms(said.voiced, heard), 1),
        cut_ins=cut_ins(span, said.pauses, heard),
        caller_stalled_ms=round(said.stalled_ms, 1),
    )
    stopped_ms = stopped_after_ms(span, heard)
    turn.barge_in_stop_ms = None if stopped_ms is None else round(stopped_ms, 1)
    reply = reply_to(span, heard, until)
    if reply is None:
        return turn, None
    turn.voice_to_voice_ms = round(reply.voice_to_voice_ms, 1)
    turn.reply_began_s = round(reply.starts / RATE_HZ, 3)
    turn.reply_ms = round((reply.ends - reply.starts) * 1000 / RATE_HZ, 1)
    turn.longest_gap_ms = round(reply.longest_gap_ms, 1)
    return turn, Span(reply.starts, reply.ends)


def _longest(gaps: Sequence[Span], reply: Span, excused: Sequence[Span]) -> float:
    """The longest gap that lies inside the reply and does not begin where it may, in ms."""
    inside = [
        gap.length_ms
        for gap in gaps
        if reply.start <= gap.start
        and gap.end <= reply.end
        and not any(span.start <= gap.start < span.end for span in excused)
    ]
    return round(max(inside, default=0.0), 1)


def _meets(span: Span, others: Sequence[Span]) -> bool:
    return any(span.start < other.end and other.start < span.end for other in others)


def _sound(made: Spoken, heard: Sequence[Span], others: Sequence[Spoken], length: int) -> SoundMade:
    span = made.span
    later = [one.span.start for one in others if one.span.start > span.start]
    until = min(later, default=length)
    found = SoundMade(
        sound=made.name,
        began_s=round(span.start / RATE_HZ, 3),
        sound_ms=round(span.length_ms, 1),
        agent_ran=bool(running_at(span.start, heard, span.end)),
    )
    if not found.agent_ran:
        return found
    speech = [one for one in heard if one.end > span.start - _BREATH and one.start < until]
    window = range(span.start - _BREATH, span.end + _REACTION)
    for before, after in pairwise(speech):
        if before.end in window:
            found.silent_for_ms = max(found.silent_for_ms, Span(before.end, after.start).length_ms)
    found.silent_for_ms = round(found.silent_for_ms, 1)
    found.spoke_on_ms = round(Span(span.start, speech[-1].end).length_ms, 1)
    # It stopped for good if its last sound fell into the window, or a long silence followed.
    stops = speech[-1].end in window and speech[-1].end < until
    found.resumed = not stops and found.silent_for_ms <= RESUMED_MS
    if stops:
        found.silent_for_ms = round(Span(speech[-1].end, until).length_ms, 1)
    return found
