"""The parts of a run: what the callers do in each, and what becomes of their calls.

A part takes as many calls as its time allows; the run is saved after every one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from evals.latency.figures import OURS, STOCK
from evals.latency.material import Said, as_recorded, pausing, questions, sounds, written
from evals.latency.recorded import Recorded
from evals.latency.ring import LineCost, Script, Way, ring
from evals.rig import Rig

QUESTIONS_A_CALL = 5
INTERRUPT_AFTER_MS = (1_300, 80, 900, 400, 1_800)
"""Into the answer's first 100 ms, and later; an answer may be over by the last."""
SOUND_AFTER_MS = (700, 300, 1_200)
LOADS = (1, 2, 4)
_GOODBYE: tuple[dict[str, Any], ...] = ({"wait_s": 1.5}, {"hang_up": True})


class OutOfTime(Exception):
    """The part's time is over before anything was measured."""

    code = "out_of_time"
    retryable = True


@dataclass(frozen=True, slots=True)
class Size:
    """How many of everything. No call begins once ``seconds`` are over; ``curve_s`` of them are
    kept for the curve if there are recorded people, and the stock pipeline is only started with
    ``stock_s`` left to ring it."""

    questions: int
    questions_beside_people: int
    recorded: int
    interruptions: int
    sounds: int
    pauses: int
    loads: tuple[int, ...]
    questions_a_load: int
    stock_rounds: int
    stock_s: float
    questions_a_round: int
    probe_calls: int
    curve_s: float
    seconds: float

    def within(self, seconds: float) -> Size:
        """The same in less time: fewer of everything, but some of each."""
        share = min(1.0, seconds / self.seconds)

        def fewer(count: int, least: int) -> int:
            return min(count, max(least, round(count * share)))

        return replace(
            self,
            questions=fewer(self.questions, 3),
            questions_beside_people=fewer(self.questions_beside_people, 3),
            recorded=fewer(self.recorded, 5),
            interruptions=fewer(self.interruptions, 4),
            sounds=fewer(self.sounds, 4),
            pauses=fewer(self.pauses, 4),
            questions_a_load=fewer(self.questions_a_load, 2),
            stock_rounds=fewer(self.stock_rounds, 2) // 2 * 2,
            questions_a_round=fewer(self.questions_a_round, 2),
            probe_calls=fewer(self.probe_calls, 2),
            curve_s=self.curve_s * share,
            seconds=seconds,
        )


FULL = Size(
    questions=20,
    questions_beside_people=6,
    recorded=25,
    interruptions=12,
    sounds=10,
    pauses=20,
    loads=LOADS,
    questions_a_load=3,
    stock_rounds=4,
    stock_s=120,
    questions_a_round=4,
    probe_calls=6,
    curve_s=240,
    seconds=28 * 60,
)
QUICK = Size(
    questions=3,
    questions_beside_people=0,
    recorded=3,
    interruptions=1,
    sounds=1,
    pauses=2,
    loads=(4,),
    questions_a_load=1,
    stock_rounds=2,
    stock_s=40,
    questions_a_round=2,
    probe_calls=1,
    curve_s=0,
    seconds=212,
)
"""In under four minutes, the last call and stopping included."""


@dataclass(slots=True)
class Bench:
    """One run under way. ``add`` saves a call; ``deadline`` is of ``time.monotonic``."""

    rig: Rig
    size: Size
    people: list[Recorded]
    pausing: list[Recorded]
    sounds: Sequence[Path]
    way: Way
    line: LineCost | None
    add: Callable[[dict[str, Any]], None]
    deadline: float
    asked: list[Said] = field(default_factory=list)

    def prepare(self) -> None:
        """Speak the questions that every part draws on."""
        size = self.size
        most = max(size.questions, 2 * size.interruptions, size.questions_a_round * 2)
        self.asked = questions(self.rig, min(most, 50))

    def call(
        self,
        part: str,
        name: str,
        scripts: Sequence[Script],
        *,
        rig: Rig | None = None,
        stack: str = OURS,
        speech: str = "synthetic",
    ) -> None:
        """Ring once with a caller a script, and keep the reports.

        Raises:
            OutOfTime: too late to begin a call.
            RingError: the callers left no report.
        """
        if time.monotonic() > self.deadline:
            raise OutOfTime("no time was left")
        line = self.line if stack == OURS else None
        for report in ring(rig or self.rig, name, scripts, line, self.way):
            known = {"part": part, "stack": stack, "callers": len(scripts), "speech": speech}
            self.add(report | known)


def ask(bench: Bench) -> None:
    """Questions of the synthetic caller, one after another."""
    size = bench.size
    count = size.questions_beside_people if bench.people else size.questions
    for number, some in enumerate(_portions(bench.asked[:count])):
        bench.call("questions", f"questions-{number}", [_script(some)])


def ask_recorded(bench: Bench) -> None:
    """Recorded people, one after another, as one caller."""
    chosen = written(bench.rig, bench.people[: bench.size.recorded], "person-")
    for number, some in enumerate(_portions(chosen)):
        bench.call("recorded", f"recorded-{number}", [_script(some)], speech="recorded")


def interrupt(bench: Bench) -> None:
    """Every second question falls into the answer to the one before."""
    pairs = bench.size.interruptions
    asked = list(islice(cycle(bench.asked), pairs * 2))
    moments = cycle(INTERRUPT_AFTER_MS)
    for number, some in enumerate(_portions(asked, QUESTIONS_A_CALL // 2 * 2)):
        steps = [
            said.step("interrupt", next(moments)) if place % 2 else said.step()
            for place, said in enumerate(some)
        ]
        bench.call("interruptions", f"interruptions-{number}", [_with(steps, some)])


def make_sounds(bench: Bench) -> None:
    """Backchannels, coughs and noises over answers."""
    made = sounds(bench.rig, bench.sounds)
    count = bench.size.sounds
    every = max(1, len(made) // count)
    chosen = list(islice(cycle(made[::every]), count))
    moments = cycle(SOUND_AFTER_MS)
    asked = cycle(bench.asked)
    for number, some in enumerate(_portions(chosen)):
        steps: list[dict[str, Any]] = []
        said: list[Said] = []
        for sound in some:
            question = next(asked)
            steps += [question.step(), sound.step("sound", next(moments))]
            said += [question, sound]
        bench.call("sounds", f"sounds-{number}", [_with(steps, said)])


def pause(bench: Bench) -> None:
    """Callers who pause within what they say; recorded people where there are any."""
    source = bench.pausing or [as_recorded(said) for said in bench.asked]
    chosen = written(bench.rig, pausing(source, bench.size.pauses), "pause-")
    speech = "recorded" if bench.pausing else "synthetic"
    for number, some in enumerate(_portions(chosen)):
        bench.call("pauses", f"pauses-{number}", [_script(some)], speech=speech)


def load(bench: Bench) -> None:
    """One, two and four callers at once, each with other questions."""
    each = bench.size.questions_a_load
    for callers in bench.size.loads:
        asked = cycle(bench.asked)
        scripts = [_script(list(islice(asked, each))) for _ in range(callers)]
        bench.call("load", f"load-{callers}", scripts)


def against(bench: Bench, stock: Rig) -> None:
    """Ours and the stock pipeline by turns, A B A B, each pair with the same questions."""
    each = bench.size.questions_a_round
    for number in range(bench.size.stock_rounds):
        first = number // 2 * each
        asked = bench.asked[first : first + each] or bench.asked[:each]
        ours = number % 2 == 0
        bench.call(
            "stock",
            f"stock-{number}",
            [_script(asked)],
            rig=bench.rig if ours else stock,
            stack=OURS if ours else STOCK,
        )


def _script(said: Sequence[Said]) -> Script:
    return _with([one.step() for one in said], said)


def _with(steps: Sequence[dict[str, Any]], said: Sequence[Said]) -> Script:
    return Script([*steps, *_GOODBYE], tuple(said))


def _portions(said: Sequence[Said], size: int = QUESTIONS_A_CALL) -> Iterator[Sequence[Said]]:
    for first in range(0, len(said), size):
        yield said[first : first + size]
