"""Who hears whom, and the mixing that follows from it. Pure: one call of each a tick."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from telephony.audio import SILENCE, faded_in, faded_out, mixed
from telephony.call import CallStage, HumanStage, SupervisorMode


class Party(StrEnum):
    """A source or a listener of audio in a call."""

    CALLER = "caller"
    AGENT = "agent"
    HUMAN = "human"
    SUPERVISOR = "supervisor"
    PROMPT = "prompt"
    """Speaks only: what the gateway plays to the caller when nobody is there."""
    ANNOUNCEMENT = "announcement"
    """Speaks only: what the agent has the human agent told before the bridge."""
    CALLERS_EAR = "callers_ear"
    """Speaks only: all the caller is given to hear, in step with what leaves for them. An agent
    alone with a caller speaks ahead of the clock, so that its own frames are none of a tick's."""


Hearing: TypeAlias = Mapping[Party, frozenset[Party]]
"""For each listener, the parties it hears."""

_NOBODY: frozenset[Party] = frozenset()
_CALLER = frozenset({Party.CALLER})
_HUMAN = frozenset({Party.HUMAN})
_SUPERVISOR = frozenset({Party.SUPERVISOR})


def hearing(
    stage: CallStage,
    human: HumanStage,
    supervisor: SupervisorMode | None = None,
    *,
    assistant: bool = False,
) -> Hearing:
    """Who hears whom at this point of a call.

    The agent hears the caller whenever it has the caller, so that its clock and its voice activity
    never stop; while a human or a supervisor has the caller it hears silence, unless it assists
    them (``assistant``). It never hears a supervisor: their words are not the caller's.
    """
    who = _without_supervisor(stage, human, assistant)
    bridged = human is HumanStage.BRIDGED
    match supervisor:
        case None:
            return who
        case SupervisorMode.LISTEN:
            return who | {Party.SUPERVISOR: _CALLER | {Party.CALLERS_EAR}}
        case SupervisorMode.WHISPER:
            return who | {
                Party.HUMAN: who[Party.HUMAN] | _SUPERVISOR,
                Party.SUPERVISOR: _CALLER | {Party.CALLERS_EAR},
            }
        case SupervisorMode.BARGE:
            return who | {
                Party.CALLER: who[Party.CALLER] | _SUPERVISOR,
                Party.HUMAN: who[Party.HUMAN] | (_SUPERVISOR if bridged else _NOBODY),
                Party.SUPERVISOR: who[Party.CALLER] | _CALLER,
            }
        case SupervisorMode.TAKEOVER:
            return {
                Party.CALLER: _SUPERVISOR | {Party.PROMPT},
                Party.AGENT: _CALLER if assistant else _NOBODY,
                Party.HUMAN: who[Party.HUMAN] | (_SUPERVISOR if bridged else _NOBODY),
                Party.SUPERVISOR: _CALLER | (_HUMAN if bridged else _NOBODY),
            }


def _without_supervisor(
    stage: CallStage, human: HumanStage, assistant: bool
) -> dict[Party, frozenset[Party]]:
    if stage is CallStage.BRIDGED:
        return {
            Party.CALLER: _HUMAN,
            Party.AGENT: _CALLER if assistant else _NOBODY,
            Party.HUMAN: _CALLER,
        }
    announced = frozenset({Party.ANNOUNCEMENT}) if human is HumanStage.ANNOUNCING else _NOBODY
    if stage is CallStage.CLOSING:
        return {Party.CALLER: frozenset({Party.PROMPT}), Party.AGENT: _NOBODY, Party.HUMAN: _NOBODY}
    return {
        Party.CALLER: frozenset({Party.AGENT, Party.PROMPT}),
        Party.AGENT: _CALLER,
        Party.HUMAN: announced,
    }


def heard_by(listener: Party, frames: Mapping[Party, bytes], who: Hearing) -> bytes:
    """The frame for one listener: the sum of those it hears, never itself."""
    speakers = who.get(listener, _NOBODY) - {listener}
    return mixed(frames.get(speaker, SILENCE) for speaker in sorted(speakers))


def heard_while_changing(
    listener: Party, frames: Mapping[Party, bytes], before: Hearing, now: Hearing
) -> bytes:
    """The one frame in which who hears whom changes: who leaves is faded out and who comes is
    faded in, so that neither clicks."""
    was, comes = before.get(listener, _NOBODY), now.get(listener, _NOBODY)
    parts = [frames.get(speaker, SILENCE) for speaker in sorted(was & comes - {listener})]
    parts += [faded_out(frames.get(speaker, SILENCE)) for speaker in sorted(was - comes)]
    parts += [faded_in(frames.get(speaker, SILENCE)) for speaker in sorted(comes - was)]
    return mixed(parts)
