"""Who hears whom, and the mixing that follows from it. Pure: one call of each a tick.

A further party (a supervisor who listens, whispers or barges in) is one more row in ``hearing``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from telephony.audio import SILENCE, mixed
from telephony.call import CallStage, HumanStage


class Party(StrEnum):
    """A source or a listener of audio in a call."""

    CALLER = "caller"
    AGENT = "agent"
    HUMAN = "human"
    PROMPT = "prompt"
    """Speaks only: what the gateway plays to the caller when nobody is there."""
    ANNOUNCEMENT = "announcement"
    """Speaks only: what the agent has the human agent told before the bridge."""


Hearing: TypeAlias = Mapping[Party, frozenset[Party]]
"""For each listener, the parties it hears."""

_NOBODY: frozenset[Party] = frozenset()


def hearing(stage: CallStage, human: HumanStage) -> Hearing:
    """Who hears whom at this point of a call.

    The agent hears the caller whenever it has the caller, so that its clock and its voice activity
    never stop; while a human has the caller it hears silence.
    """
    if stage is CallStage.BRIDGED:
        return {
            Party.CALLER: frozenset({Party.HUMAN}),
            Party.AGENT: _NOBODY,
            Party.HUMAN: frozenset({Party.CALLER}),
        }
    announced = frozenset({Party.ANNOUNCEMENT}) if human is HumanStage.ANNOUNCING else _NOBODY
    if stage is CallStage.CLOSING:
        return {Party.CALLER: frozenset({Party.PROMPT}), Party.AGENT: _NOBODY, Party.HUMAN: _NOBODY}
    return {
        Party.CALLER: frozenset({Party.AGENT, Party.PROMPT}),
        Party.AGENT: frozenset({Party.CALLER}),
        Party.HUMAN: announced,
    }


def heard_by(listener: Party, frames: Mapping[Party, bytes], who: Hearing) -> bytes:
    """The frame for one listener: the sum of those it hears, never itself."""
    speakers = who.get(listener, _NOBODY) - {listener}
    return mixed(frames.get(speaker, SILENCE) for speaker in sorted(speakers))
