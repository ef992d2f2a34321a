"""From the turns of a run to its figures. Pure.

A *run* is what ``latency.json`` holds: ``calls``, each with its ``part`` of the bench, the
``stack`` that answered (``ours`` or ``stock``), how many ``callers`` rang at once, its ``turns``
and ``sounds``. A figure is a statistic over samples picked from these, so that the same definition
serves the summary and the comparison of two runs, which draws the samples anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Run: TypeAlias = Mapping[str, Any]
Turn: TypeAlias = Mapping[str, Any]
Values: TypeAlias = NDArray[np.float64]
"""One sample a turn, a pause or a sound; a drawn set of such samples is two-dimensional."""

OURS, STOCK = "ours", "stock"
FOUR = 4
PAUSE_MS = (500.0, 1_500.0)
"""Pauses so long count: shorter ones tempt nobody, longer ones may be taken for an end."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: ``samples`` picks one group of samples or two, ``statistic`` makes a number.

    The statistic works along the last axis, so that a thousand drawn sets cost one call.
    """

    name: str
    title: str
    unit: Literal["ms", "share", "times"]
    samples: Callable[[Run], tuple[Values, ...]]
    statistic: Callable[..., Values]
    better: Literal["less", "more"] = "less"
    drawn: bool = True
    """Whether drawing samples anew says something; it does not of a maximum."""

    def of(self, run: Run) -> float | None:
        """The figure of a run; ``None`` when nothing was measured."""
        samples = self.samples(run)
        if any(len(group) == 0 for group in samples):
            return None
        digits = 1 if self.unit == "ms" else 3
        return round(float(self.statistic(*samples)), digits)


def median(values: Values) -> Values:
    return np.asarray(np.percentile(values, 50, axis=-1))


def p95(values: Values) -> Values:
    return np.asarray(np.percentile(values, 95, axis=-1))


def share(values: Values) -> Values:
    return np.asarray(values.mean(axis=-1))


def largest(values: Values) -> Values:
    return np.asarray(values.max(axis=-1))


def ratio_of_medians(ours: Values, theirs: Values) -> Values:
    return np.asarray(median(ours) / median(theirs))


def calls(
    run: Run, *parts: str, stack: str = OURS, callers: int | None = None
) -> Iterator[Mapping[str, Any]]:
    """The calls of these parts (none named: of all), one stack, and so many callers at once."""
    for call in run.get("calls", ()):
        if (
            (not parts or call.get("part") in parts)
            and call.get("stack", OURS) == stack
            and callers in (None, call.get("callers", 1))
        ):
            yield call


def turns(
    run: Run, *parts: str, stack: str = OURS, callers: int | None = None
) -> Iterator[tuple[Mapping[str, Any], Turn]]:
    """Every turn of ``calls`` with its call."""
    for call in calls(run, *parts, stack=stack, callers=callers):
        for turn in call.get("turns", ()):
            yield call, turn


def headline_part(run: Run) -> str:
    """The part that the headline latency is of: recorded people when there are any, else the
    synthetic caller."""
    recorded = any(latency_of(turn) is not None for _, turn in turns(run, "recorded"))
    return "recorded" if recorded else "questions"


def latency_of(turn: Turn) -> float | None:
    """Voice-to-voice latency in ms; ``None`` without an answer, and where the agent spoke before
    the caller had finished: that is a cut-in and must not count as a fast answer."""
    value = turn.get("voice_to_voice_ms")
    return None if value is None or value < 0 else float(value)


def gap_of(turn: Turn) -> float | None:
    """The longest hole in the agent's speech that is no pause of its own, in ms: packets missing
    or late, or silence inside them at which the sound broke off; ``None`` where nobody knows."""
    known = [turn.get(name) for name in ("starved_gap_ms", "torn_gap_ms")]
    return max((float(gap) for gap in known if gap is not None), default=None)


def latencies(run: Run, *parts: str, stack: str = OURS, callers: int | None = None) -> Values:
    return values_of(
        latency_of(turn) for _, turn in turns(run, *parts, stack=stack, callers=callers)
    )


def _headline(run: Run) -> tuple[Values, ...]:
    return (latencies(run, headline_part(run)),)


def _against_stock(run: Run) -> tuple[Values, ...]:
    return latencies(run, "stock"), latencies(run, "stock", stack=STOCK)


def stops(run: Run) -> tuple[Values, ...]:
    """How long the agent went on after each interruption that it was speaking at, in ms."""
    found = (turn for _, turn in turns(run, "interruptions") if turn.get("interrupts"))
    return (values_of(turn.get("barge_in_stop_ms") for turn in found),)


def pauses_of(run: Run, stack: str = OURS) -> list[tuple[float, bool]]:
    """Every pause of 0.5-1.5 s that one caller made: its length in ms, and whether the agent began
    to speak in it."""
    found = []
    for _, turn in turns(run, "questions", "recorded", "pauses", stack=stack, callers=1):
        into = {int(cut["pause"]) for cut in turn.get("cut_ins") or ()}
        for number, (begin_s, end_s) in enumerate(turn.get("pauses") or ()):
            length_ms = (end_s - begin_s) * 1000
            if PAUSE_MS[0] - 1 <= length_ms <= PAUSE_MS[1] + 1:
                found.append((length_ms, number in into))
    return found


def _cut_ins(run: Run) -> tuple[Values, ...]:
    return (values_of(cut for _, cut in pauses_of(run)),)


def sounds(run: Run) -> list[Mapping[str, Any]]:
    """Every sound made over the agent that it should not mind."""
    return [sound for call in calls(run) for sound in call.get("sounds", ()) if sound["agent_ran"]]


def _false_stops(run: Run) -> tuple[Values, ...]:
    return (values_of(sound["stopped_for_good"] for sound in sounds(run)),)


def _transcribed(run: Run) -> tuple[Values, ...]:
    return (_agent(run, "transcribed_after_ms"),)


def _four_callers(run: Run) -> tuple[Values, ...]:
    return (latencies(run, "load", callers=FOUR),)


def _starved(run: Run) -> tuple[Values, ...]:
    return (values_of(gap_of(turn) for _, turn in turns(run)),)


def _retrieval(run: Run) -> tuple[Values, ...]:
    return (values_of((run.get("retrieval") or {}).get("took_ms", ())),)


def _greetings(run: Run) -> tuple[Values, ...]:
    return (values_of(call.get("greeting_ms") for call in calls(run, callers=1)),)


def _differences(run: Run) -> tuple[Values, ...]:
    found = (turn.get("waterfall") for _, turn in turns(run, callers=1))
    return (np.abs(values_of(one["unexplained_ms"] for one in found if one)),)


def _prepared(run: Run) -> tuple[Values, ...]:
    return (_agent(run, "prepared_right"),)


def _answers(run: Run) -> tuple[Values, ...]:
    return (values_of(turn.get("right") for _, turn in turns(run, "questions")),)


def _agent(run: Run, key: str) -> Values:
    """What the agent's own record says of the turns of one caller who interrupts nobody."""
    found = turns(run, "questions", "recorded", callers=1)
    return values_of((turn.get("agent") or {}).get(key) for _, turn in found)


FIGURES: tuple[Figure, ...] = (
    Figure("p50_ms", "Voice to voice, median", "ms", _headline, median),
    Figure("p95_ms", "Voice to voice, 95th percentile", "ms", _headline, p95),
    Figure(
        "ratio_p50_vs_stock",
        "Median wait, as a part of the stock pipeline's",
        "times",
        _against_stock,
        ratio_of_medians,
    ),
    Figure(
        "false_cut_in_rate", "Cut in at the caller's pauses of 0.5–1.5 s", "share", _cut_ins, share
    ),
    Figure("barge_in_p50_ms", "Silent after an interruption, median", "ms", stops, median),
    Figure("barge_in_p95_ms", "Silent after an interruption, 95th percentile", "ms", stops, p95),
    Figure(
        "false_stop_rate", "Stopped for good by a cough or “mm-hm”", "share", _false_stops, share
    ),
    Figure(
        "transcribe_p50_ms", "Words known after the last one, median", "ms", _transcribed, median
    ),
    Figure(
        "four_callers_p95_ms", "Four callers at once, 95th percentile", "ms", _four_callers, p95
    ),
    Figure(
        "longest_starved_gap_ms",
        "Longest gap in the agent's speech",
        "ms",
        _starved,
        largest,
        drawn=False,
    ),
    Figure(
        "retrieval_p95_ms", "Search among 50,000 passages, 95th percentile", "ms", _retrieval, p95
    ),
    Figure("greeting_p50_ms", "Greeting after answer, median", "ms", _greetings, median),
    Figure(
        "record_difference_p95_ms",
        "Wire against the agent's own record, 95th percentile",
        "ms",
        _differences,
        p95,
    ),
    Figure(
        "prepared_right_rate", "Prepared passages were the right ones", "share", _prepared, share,
        better="more",
    ),
    Figure(
        "answers_right", "Answers hold what the knowledge says", "share", _answers, share,
        better="more",
    ),
)  # fmt: skip
BY_NAME = {figure.name: figure for figure in FIGURES}


def values_of(found: Iterable[float | bool | None]) -> Values:
    """Samples of what is known."""
    return np.array([float(value) for value in found if value is not None], dtype=np.float64)


def written(value: float | None, unit: str) -> str:
    """A figure for a person to read."""
    if value is None:
        return "not measured"
    match unit:
        case "ms":
            return f"{value:,.0f} ms"
        case "share":
            return f"{value * 100:.1f}".removesuffix(".0") + " %"
        case _:
            return f"{value:.2f} ×"
