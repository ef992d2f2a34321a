"""From the turns of many calls to the figures of a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run, in ms; ``None`` where nothing was measured."""

    turns: int
    answered: int
    p50_ms: float | None
    p95_ms: float | None
    barge_ins: int
    barge_in_p50_ms: float | None
    barge_in_p95_ms: float | None
    greeting_p50_ms: float | None
    transcribe_p50_ms: float | None
    answers_right: float | None
    """Share of the turns whose answer holds what the knowledge says."""
    stages_p50_ms: dict[str, float]


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` (0–1) of ``values`` lie; ``None`` of none."""
    return round(float(np.percentile(values, share * 100)), 1) if values else None


def summarise(calls: Sequence[dict[str, Any]]) -> Summary:
    """The figures of the reports of several calls (``evals.call_report`` with ``right`` added)."""
    turns = [turn for call in calls for turn in call["turns"]]
    latencies = _present(turn["voice_to_voice_ms"] for turn in turns)
    stops = _present(turn["barge_in_stop_ms"] for turn in turns if turn["interrupts"])
    greetings = _present(call["greeting_ms"] for call in calls)
    stages = [turn["stages_ms"] for turn in turns if turn["stages_ms"]]
    names = dict.fromkeys(name for times in stages for name in times)
    judged = [turn["right"] for turn in turns if turn["right"] is not None]
    medians = {
        name: percentile([times[name] for times in stages if name in times], 0.5) or 0.0
        for name in names
    }
    return Summary(
        turns=len(turns),
        answered=len(latencies),
        p50_ms=percentile(latencies, 0.5),
        p95_ms=percentile(latencies, 0.95),
        barge_ins=len(stops),
        barge_in_p50_ms=percentile(stops, 0.5),
        barge_in_p95_ms=percentile(stops, 0.95),
        greeting_p50_ms=percentile(greetings, 0.5),
        transcribe_p50_ms=medians.get("transcribe"),
        answers_right=round(sum(judged) / len(judged), 3) if judged else None,
        stages_p50_ms=medians,
    )


def as_json(summary: Summary) -> dict[str, Any]:
    """For a file."""
    return asdict(summary)


def _present(values: Any) -> list[float]:
    return [float(value) for value in values if value is not None]
