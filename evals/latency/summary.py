"""The summary of a run, as ``latency.json`` begins with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals.latency.figures import (
    FIGURES,
    OURS,
    STOCK,
    Run,
    calls,
    gap_of,
    headline_part,
    latencies,
    median,
    p95,
    pauses_of,
    sounds,
    stops,
    turns,
    values_of,
)


def summarise(run: Run) -> dict[str, Any]:
    """The summary of a run, for ``latency.json``: every figure (``None`` where nothing was
    measured), how many turns, answers and so on stand behind them, and a row per load."""
    part = headline_part(run)
    asked = [turn for _, turn in turns(run, part)]
    return {
        "turns": len(asked),
        "answered": sum(turn.get("voice_to_voice_ms") is not None for turn in asked),
        "fillers": sum(bool(turn.get("filler")) for turn in asked),
        **{figure.name: figure.of(run) for figure in FIGURES},
        "speech": {"questions": "synthetic", "recorded": "recorded"}[part],
        "barge_ins": len(stops(run)[0]),
        "pauses": len(pauses_of(run)),
        "sounds": len(sounds(run)),
        "by_speech": {
            name: row
            for name, key in (("synthetic", "questions"), ("recorded", "recorded"))
            if (row := _row(run, key))["turns"]
        },
        "stock": _row(run, "stock", stack=STOCK),
        "ours_beside_stock": _row(run, "stock"),
        "load": load_rows(run),
        "waterfall_p50_ms": waterfall_medians(run),
        "stages_p50_ms": _stage_medians(run),
    }


def load_rows(run: Run) -> list[dict[str, Any]]:
    """Latency against the number of callers at once, fewest first."""
    loads = sorted({call.get("callers", 1) for call in calls(run, "load")})
    rows = []
    for callers in loads:
        gaps = values_of(gap_of(turn) for _, turn in turns(run, "load", callers=callers))
        gap = round(float(gaps.max()), 1) if len(gaps) else None
        row = _row(run, "load", callers=callers)
        rows.append({"callers": callers, **row, "longest_starved_gap_ms": gap})
    return rows


def waterfall_medians(run: Run) -> dict[str, float]:
    """The median of each part of the wait, in the order in which it is spent."""
    found = [turn.get("waterfall") for _, turn in turns(run, headline_part(run))]
    return _medians([one["parts"] | {"unexplained": one["unexplained_ms"]} for one in found if one])


def _stage_medians(run: Run) -> dict[str, float]:
    found = (turn for _, turn in turns(run, headline_part(run)))
    return _medians([turn["stages_ms"] for turn in found if turn.get("stages_ms")])


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: round(float(np.median([row[name] for row in rows if name in row])), 1)
        for name in names
    }


def _row(run: Run, part: str, *, stack: str = OURS, callers: int | None = None) -> dict[str, Any]:
    found = [turn for _, turn in turns(run, part, stack=stack, callers=callers)]
    waits = latencies(run, part, stack=stack, callers=callers)
    return {
        "turns": len(found),
        "answered": sum(turn.get("voice_to_voice_ms") is not None for turn in found),
        "p50_ms": round(float(median(waits)), 1) if len(waits) else None,
        "p95_ms": round(float(p95(waits)), 1) if len(waits) else None,
    }
