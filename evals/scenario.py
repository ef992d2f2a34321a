"""What a test caller does on a call, as data: a list of steps, each a JSON object.

* ``{"say": "a.wav"}``: wait until the agent has been quiet, say it, wait for the reply to begin;
* ``{"interrupt": "b.wav", "after_ms": 1500}``: say it that long into the reply, whatever it says;
* ``{"continue": "c.wav", "after_ms": 450}``: say it that long after the last words ended, whatever
  the agent does meanwhile: one turn with a pause in it;
* ``{"sound": "cough.wav", "after_ms": 800}``: make a sound that is no turn, that long into the
  reply, and wait for no answer;
* ``{"hold_s": 2, "after_ms": 1000}``: put the agent on hold for so long; without ``after_ms`` now;
* ``{"press": "12#"}``, ``{"wait_s": 3}``, ``{"hang_up": true}``.

Whatever is said or sounded may tell where the speech in its file lies, in seconds, where that is
known better than the sound's energy tells: ``"begin_s"``, ``"end_s"``, ``"pauses": [[1.2, 1.9]]``.
``say``, ``interrupt`` and ``continue`` may press keys meanwhile: ``"press": "1"`` with
``"press_at_ms": 300``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from evals.wire_audio import KnownEnds, Utterance, read_utterance


class ScenarioError(ValueError):
    """A scenario that cannot be played; the message is one line that says why."""

    code = "scenario_invalid"
    retryable = False


@dataclass(frozen=True, slots=True)
class Say:
    """Say it once the agent has been quiet; with ``after_ms``, that long into the agent's reply;
    with ``after_end_ms``, that long after the end of what was said last."""

    utterance: Utterance
    after_ms: float | None = None
    after_end_ms: float | None = None
    press: str = ""
    press_at_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that wants no answer, ``after_ms`` into the agent's reply."""

    utterance: Utterance
    after_ms: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Put the agent on hold for so long, ``after_ms`` into its reply or now."""

    seconds: float
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


Step: TypeAlias = Say | Sound | Hold | Press | Wait | HangUp


def read_scenario(steps: Any, folder: Path) -> list[Step]:
    """The steps of a scenario; its files are relative to ``folder``.

    Raises:
        ScenarioError: a step that is none.
        AudioFileError: a recording that cannot be said.
    """
    if not isinstance(steps, list) or not steps:
        raise ScenarioError("a scenario is a list of steps")
    read = [_read_step(step, number, folder) for number, step in enumerate(steps, 1)]
    for number, (before, step) in enumerate(pairwise([None, *read]), 1):
        goes_on = isinstance(step, Say) and step.after_end_ms is not None
        if goes_on and not isinstance(before, Say):
            raise ScenarioError(f"step {number} continues, but nothing is said before it")
    return read


def _read_step(step: Any, number: int, folder: Path) -> Step:
    match step:
        case {"say": str(name)}:
            press, at_ms = _keys(step, number)
            return Say(_utterance(name, step, number, folder), None, None, press, at_ms)
        case {"interrupt": str(name), "after_ms": int() | float() as after_ms}:
            press, at_ms = _keys(step, number)
            said = _utterance(name, step, number, folder)
            return Say(said, float(after_ms), None, press, at_ms)
        case {"continue": str(name), "after_ms": int() | float() as after_ms}:
            press, at_ms = _keys(step, number)
            said = _utterance(name, step, number, folder)
            return Say(said, None, float(after_ms), press, at_ms)
        case {"sound": str(name), "after_ms": int() | float() as after_ms}:
            return Sound(_utterance(name, step, number, folder), float(after_ms))
        case {"hold_s": int() | float() as seconds, "after_ms": int() | float() as after_ms}:
            return Hold(float(seconds), float(after_ms))
        case {"hold_s": int() | float() as seconds, **rest} if "after_ms" not in rest:
            return Hold(float(seconds))
        case {"press": str(digits)}:
            return Press(digits)
        case {"wait_s": int() | float() as seconds}:
            return Wait(float(seconds))
        case {"hang_up": True}:
            return HangUp()
    known = "say, interrupt, continue, sound, hold_s, press, wait_s, hang_up"
    raise ScenarioError(f"step {number} is none of {known}")


def _keys(step: dict[str, Any], number: int) -> tuple[str, float]:
    match step.get("press", ""), step.get("press_at_ms", 0):
        case str(press), int() | float() as at_ms if at_ms >= 0:
            return press, float(at_ms)
    raise ScenarioError(f"step {number}: press is a string of keys, press_at_ms a time")


def _utterance(name: str, step: dict[str, Any], number: int, folder: Path) -> Utterance:
    match step:
        case {"begin_s": int() | float() as begin_s, "end_s": int() | float() as end_s}:
            pauses = []
            for pause in step.get("pauses") or []:
                match pause:
                    case [int() | float() as start_s, int() | float() as stop_s]:
                        pauses.append((float(start_s), float(stop_s)))
                    case _:
                        raise ScenarioError(f"step {number}: a pause is [begin, end] in seconds")
            ends = KnownEnds(float(begin_s), float(end_s), tuple(pauses))
            return read_utterance(folder / name, ends)
    if {"begin_s", "end_s", "pauses"} & set(step):
        raise ScenarioError(f"step {number}: pauses, begin_s and end_s go together, in seconds")
    return read_utterance(folder / name)
