"""What a test caller does on a call, as data: a list of steps, each a JSON object.

* ``{"say": "a.wav"}``: wait until the agent has been quiet, say it, wait for the reply to begin;
* ``{"interrupt": "b.wav", "after_ms": 1500}``: say it that long into the reply, whatever it says;
* ``{"press": "12#"}``, ``{"wait_s": 3}``, ``{"hang_up": true}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from evals.wire_audio import Utterance, read_utterance


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message is one line that says why."""

    code = "scenario_invalid"
    retryable = False


@dataclass(frozen=True, slots=True)
class Say:
    """Say it once the agent has been quiet; with ``after_ms``, that long into the agent's reply."""

    utterance: Utterance
    after_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Press:
    digits: str


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call now, without waiting for the agent to finish."""


Step: TypeAlias = Say | Press | Wait | HangUp


def read_scenario(steps: Any, folder: Path) -> list[Step]:
    """The steps of a scenario; its files are relative to ``folder``.

    Raises:
        ScenarioError: a step that is none.
        AudioFileError: a recording that cannot be said.
    """
    if not isinstance(steps, list) or not steps:
        raise ScenarioError("a scenario is a list of steps")
    return [_read_step(step, number, folder) for number, step in enumerate(steps, 1)]


def _read_step(step: Any, number: int, folder: Path) -> Step:
    match step:
        case {"say": str(name)}:
            return Say(read_utterance(folder / name))
        case {"interrupt": str(name), "after_ms": int() | float() as after_ms}:
            return Say(read_utterance(folder / name), float(after_ms))
        case {"press": str(digits)}:
            return Press(digits)
        case {"wait_s": int() | float() as seconds}:
            return Wait(float(seconds))
        case {"hang_up": True}:
            return HangUp()
    raise ScenarioError(f"step {number} is none of say, interrupt, press, wait_s, hang_up")
