"""The two calls of ``make demo``: what is said in them, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from evals.likeness import carried
from evals.playing import QUIET_MS
from evals.rig import Rig
from voice_agent.speech.spoken_text import as_spoken

CARRIED = 0.5
"""Likeness above which a voice was carried by the bridge (see ``evals.likeness``)."""
INTERRUPT_AFTER_MS = 1200


@dataclass(frozen=True, slots=True)
class Line:
    """Something the caller says; the answer must hold every one of ``must_say``."""

    name: str
    words: str
    must_say: tuple[str, ...] = ()
    interrupts: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """One call. The last line is said to the person whom the line before it brings."""

    caller: str
    person: str
    lines: tuple[Line, ...]
    person_says: str
    quiet_ms: float = QUIET_MS
    """So much silence is taken for the end of an answer."""
    handover_s: float = 16.0
    """From the last words to the agent until a person has answered and heard the brief."""

    @property
    def to_person(self) -> Line:
        """What the caller says to the person."""
        return self.lines[-1]


QUESTIONS = Script(
    "caller",
    "person",
    (
        Line("delivery", "How much does standard delivery cost?", ("$4.95",)),
        Line("returns", "How many days do I have to return something?", ("60 days",)),
        Line("dishwasher", "What does it cost to install a dishwasher?"),
        Line("express", "Sorry, what does express delivery cost?", ("$12.95",), interrupts=True),
        Line("person", "Can I speak to a person, please?"),
        Line("to-person", "Hello, my sofa has arrived damaged and I would like a refund."),
    ),
    "Good morning, this is the service desk. I have read your question and I can help.",
)
REFUND = Script(
    "customer",
    "colleague",
    (
        Line("order", "Where is my order?", ("order number",)),
        Line(
            "order-number",
            "My order number is two zero four one eight six three.",
            ("date of birth",),
        ),
        Line(
            "birth-date",
            "I was born on March the fourteenth, nineteen eighty.",
            ("oak dining table", "on its way", "January 12"),
        ),
        Line("refund", "Give me my money back for this order.", ("How much",)),
        Line("amount", "One hundred and fifty dollars.", ("more than I may decide",)),
        Line("to-colleague", "Hello, the table comes too late, so I had to buy another one."),
    ),
    "Good morning, this is the refunds team. I see the order in front of me.",
    quiet_ms=2 * QUIET_MS,  # "one moment" is not the answer yet
    handover_s=30.0,  # the brief has an order number in it
)
"""Of the sample back office: that order is a customer's of that birthday, and more than
``configs/actions.yaml`` lets the agent refund is for a person."""
CALLS = (QUESTIONS, REFUND)


def scenario(script: Script, files: dict[str, Path]) -> list[dict[str, Any]]:
    """The caller's steps."""
    steps: list[dict[str, Any]] = []
    for line in script.lines:
        file = str(files[line.name].resolve())
        if line is script.to_person:
            steps.append({"wait_s": script.handover_s})
        if line.interrupts:
            steps.append({"interrupt": file, "after_ms": INTERRUPT_AFTER_MS})
        else:
            steps.append({"say": file})
    return [*steps, {"wait_s": 2}, {"hang_up": True}]


def judged(
    script: Script,
    heard: dict[str, Any],
    human: dict[str, Any],
    bench: Rig,
    files: dict[str, Path],
    human_voice: Path,
) -> dict[str, Any]:
    """The report of a call: every turn with what its answer lacks, the bridge, and its checks."""
    turns = []
    lines = {line.name: line for line in script.lines}
    for turn in heard["turns"]:
        line = lines[Path(turn["said"]).stem]
        if line is script.to_person:
            continue  # the person's, not the agent's
        missing = [fact for fact in line.must_say if not holds(turn["answer"] or "", fact)]
        turns.append(
            turn | {"said": line.words, "must_say": list(line.must_say), "missing": missing}
        )
    recording = bench.folder / f"{script.caller}.wav"
    _, right = _channels(recording)
    _, human_heard = _channels(bench.folder / f"{script.person}.wav")
    bridge = {
        "answered": bool(human["calls"]) and human["calls"][0]["answered_at"] is not None,
        "caller_heard_person": round(carried(right, _at_8_khz(human_voice)), 3),
        "person_heard_caller": round(
            carried(human_heard, _at_8_khz(files[script.to_person.name])), 3
        ),
    }
    checks = {
        "call completed": not heard["error"],
        "greeting heard": heard["greeting_ms"] is not None,
        "all turns spoken": len(turns) == len(script.lines) - 1,
        "every turn answered": all(turn["answered"] for turn in turns),
        "bridge carried the caller to the person": bridge["person_heard_caller"] >= CARRIED,
        "bridge carried the person to the caller": bridge["caller_heard_person"] >= CARRIED,
    }
    return {
        "checks": checks,
        "greeting_ms": heard["greeting_ms"],
        "call_id": heard["call_id"],
        "turns": turns,
        "bridge": bridge,
        "recording": str(recording),
        "error": heard["error"],
    }


def checks_of_questions(report: dict[str, Any]) -> dict[str, bool]:
    """What else must hold of the first call."""
    turns = report["turns"]
    stops = [turn["barge_in_stop_ms"] for turn in turns if turn["interrupts"]]
    return {
        "answers hold what the knowledge says": not any(turn["missing"] for turn in turns),
        "interruption silenced the agent": bool(stops) and all(ms is not None for ms in stops),
    }


def checks_of_refund(report: dict[str, Any], told: dict[str, Any] | None) -> dict[str, bool]:
    """What else must hold of the second; ``told``: what the back office was told of it."""
    turns = report["turns"]
    looked_up = told is not None and any(
        each["action"] == "order_status" for each in told["actions"]
    )
    brief = "They want a refund: order number FH2041863, amount $150.00."
    return {
        "the order was looked up for its customer": looked_up
        and not any(turn["missing"] for turn in turns[:-1]),
        "a refund above the limit was left to a person": not any(
            turn["missing"] for turn in turns[-1:]
        ),
        "nothing was refunded": told is not None
        and not any(each["action"] == "refund" for each in told["actions"]),
        "the person's brief says what is wanted": told is not None and brief in told["summary"],
        "the back office was told of the call": told is not None
        and told["disposition"] == "handed_over",
    }


def holds(answer: str, fact: str) -> bool:
    """Whether an answer says a fact, however its numbers are written."""
    return fact.lower() in answer.lower() or as_spoken(fact).lower() in as_spoken(answer).lower()


def _channels(path: Path) -> tuple[Any, Any]:
    if not path.is_file():  # nobody was rung
        return np.zeros(0, np.int16), np.zeros(0, np.int16)
    samples, _ = sf.read(path, dtype="int16", always_2d=True)
    return samples[:, 0], samples[:, 1]


def _at_8_khz(path: Path) -> Any:
    samples, rate_hz = sf.read(path, dtype="int16")
    return soxr.resample(samples, rate_hz, 8000)
