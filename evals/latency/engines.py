"""`voice-agent bench engines`: which language-model server suits this machine, and why."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.latency.engines_measure import Prompts, Samples, cases, measure
from evals.latency.engines_serving import (
    MISSING,
    NAMES,
    TITLES,
    EnginesError,
    Name,
    Tuning,
    available,
    chosen,
    running,
)
from evals.machine import describe
from voice_agent.answering.language_model import LanguageModelError
from voice_agent.config import Settings
from voice_agent.models import ModelsError

OUT = Path("var/bench/engines.json")
FORMAT = 1
REPEATS = 5
SWEEP_REPEATS = 3
SWEEP = (
    *(Tuning(threads, batch) for threads in (1, 2) for batch in (1, 2)),
    Tuning(1, 2, batch_tokens=32),
    Tuning(1, 2, batch_tokens=128),
)
QUIET_SHARE = 0.25
"""Other work may take so much of the machine before the figures are called indicative."""
WORTH = 0.9
"""Another engine or setting is recommended when a caller waits less than this share as long."""
FIGURES: tuple[tuple[str, str], ...] = (
    ("cold_ms", "first token, prompt never seen, ms"),
    ("prefill_tokens_s", "reads, tokens a second"),
    ("warm_ms", "first token, only the question new, ms"),
    ("warm_clause_ms", "first clause, only the question new, ms"),
    ("decode_tokens_s", "writes, tokens a second"),
    ("freed_reading_ms", "free after a caller leaves while it reads, ms"),
    ("freed_writing_ms", "free after a caller leaves while it writes, ms"),
    ("four_first_p50_ms", "four calls at once, first token, p50, ms"),
    ("four_first_p95_ms", "four calls at once, first token, p95, ms"),
    ("four_tokens_s", "four calls at once, all writing, tokens a second"),
    ("memory_mb", "memory, MB"),
    ("load", "load average afterwards"),
)
DIGITS = {"decode_tokens_s": 1, "four_tokens_s": 1, "load": 1}


def run(
    settings: Settings,
    *,
    engines: list[str] | None = None,
    json_output: bool = False,
    sweep: bool = False,
    repeats: int = REPEATS,
    out: Path = OUT,
) -> int:
    """Measure, write ``out``, print a table (or the JSON) and one line of advice.

    Args:
        settings: models, prompt and documents are taken from here.
        engines: names to measure; all that are on this machine when absent.
        json_output: print what is written instead of the table.
        sweep: also try llama.cpp's threads and batch.
        repeats: times each figure is taken; the median counts.
        out: where the figures go.

    Returns:
        0; 1 when an engine failed.

    Raises:
        EnginesError: unknown or missing engine, no documents (exit code 2).
    """
    names = chosen(engines, available())
    prompts = Prompts(settings, cases(settings))
    busy = busy_share()
    tuning = Tuning(settings.answering.model.threads, settings.answering.model.batch_threads)
    rows: list[dict[str, Any]] = []
    for name in names:
        tunings = [tuning]
        if sweep and name != "vllm":
            tunings += [one for one in SWEEP if one != tuning]
        rows += [
            _row(name, one, settings, prompts, repeats, brief=one != tuning) for one in tunings
        ]
    report: dict[str, Any] = {
        "format": FORMAT,
        "machine": describe(settings),
        "busy_share": round(busy, 2),
        "engines": rows,
        "advice": advice(rows),
        "missing": {name: MISSING[name] for name in NAMES if name not in available()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if json_output:
        print(json.dumps(report, indent=1))
    else:
        _show(report, out)
    return 1 if any("failed" in row for row in rows) else 0


def _row(
    name: Name, tuning: Tuning, settings: Settings, prompts: Prompts, repeats: int, *, brief: bool
) -> dict[str, Any]:
    row: dict[str, Any] = {"engine": name, "tuning": "" if name == "vllm" else str(tuning)}

    def tell(what: str) -> None:
        print(f"{_named(row)}: {what}", file=sys.stderr, flush=True)

    tell("starting")
    began = time.monotonic()
    try:
        with running(name, settings, tuning) as server:
            row["start_s"] = round(time.monotonic() - began, 1)
            times = SWEEP_REPEATS if brief else repeats
            samples: Samples = asyncio.run(
                measure(server, prompts, times, only_reading_and_writing=brief, tell=_once(tell))
            )
            row |= samples.medians()
            row["memory_mb"] = round(server.memory_mb())
    except (EnginesError, LanguageModelError, ModelsError, OSError) as error:
        row["failed"] = str(error)
        tell(f"failed: {error}")
    row["load"] = round(os.getloadavg()[0], 1)
    return row


def _once(tell: Any) -> Any:
    told: set[str] = set()

    def tell_once(what: str) -> None:
        if what not in told:
            told.add(what)
            tell(what)

    return tell_once


def busy_share(seconds: float = 1.0) -> float:
    """How much of all cores other work takes just now, 0 to 1; 0 where that cannot be known."""
    before = _processor_time()
    time.sleep(seconds)
    after = _processor_time()
    total = sum(after) - sum(before)
    if total <= 0:
        return 0.0
    idle = sum(after[3:5]) - sum(before[3:5])  # idle and waiting for the disk
    return 1 - idle / total


def _processor_time() -> list[int]:
    try:
        with open("/proc/stat", encoding="ascii") as file:
            return [int(field) for field in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return []


def advice(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line: which engine and settings, and why. Pure.

    One caller's first clause after a prompt read ahead decides, because that is what is heard.
    The packaged engine with today's settings stays unless another is clearly faster.
    """
    measured = [row for row in rows if "warm_clause_ms" in row]
    if not measured:
        return "no engine could be measured"
    usual = next((row for row in measured if row["engine"] == "wheel"), measured[0])
    best = min(measured, key=lambda row: row["warm_clause_ms"])
    if best is not usual and best["warm_clause_ms"] > WORTH * usual["warm_clause_ms"]:
        best = usual
    others = [row for row in measured if row is not best]
    why = f"its first clause comes {best['warm_clause_ms']:.0f} ms after a warm prompt"
    if best is usual and others:
        why += ", and nothing measured is a tenth faster"
    elif others:
        why += f" instead of {usual['warm_clause_ms']:.0f} ms ({_named(usual)})"
    said = f"use {_named(best)}: {why}"
    in_crowd = [row for row in measured if "four_first_p95_ms" in row]
    quickest = min(in_crowd, key=lambda row: row["four_first_p95_ms"], default=best)
    if quickest is not best and quickest["four_first_p95_ms"] < WORTH * best.get(
        "four_first_p95_ms", float("inf")
    ):
        said += (
            f"; with four calls at once {_named(quickest)} answers sooner "
            f"(p95 {quickest['four_first_p95_ms']:.0f} ms to the first token)"
        )
    return said


def _named(row: Mapping[str, Any]) -> str:
    title = next(title for name, title in TITLES.items() if name == row["engine"])
    return f"{title} ({row['tuning']})" if row.get("tuning") else title


def _show(report: Mapping[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("median")
    for row in report["engines"]:
        table.add_column(_named(row), justify="right", overflow="fold")
    for key, title in FIGURES:
        cells = [
            f"{row[key]:.{DIGITS.get(key, 0)}f}" if key in row else "" for row in report["engines"]
        ]
        table.add_row(title, *cells)
    Console().print(table)
    print()
    for row in report["engines"]:
        if "failed" in row:
            print(f"{_named(row)}: {row['failed']}")
    for name, how in report["missing"].items():
        print(f"not on this machine: {TITLES[name]}; to have it: {how}")
    if report["busy_share"] > QUIET_SHARE:
        print(
            f"Other work took {report['busy_share']:.0%} of the machine "
            f"(load {report['machine'].get('load', '?')}): these figures are indicative."
        )
    print(f"{report['advice']}\n{out}")
