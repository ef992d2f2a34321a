"""``voice-agent bench compare A B``: is B worse than A, or is it chance?

Every figure is worked out again from samples drawn with replacement from the turns of both runs;
the middle 95 % of the differences is the interval (the percentile bootstrap: Efron & Tibshirani,
An Introduction to the Bootstrap, ch. 13). Turns count as independent, although those of one call
are a little alike.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from evals.latency.budgets import Budget, BudgetError, held, read_budgets
from evals.latency.figures import FIGURES, Figure, Run, Values, written
from evals.latency.run_file import RunFileError, read_run

DRAWS = 2_000
SEED = 20
FEWEST = 5
"""Fewer samples than these say nothing about chance."""
SAME = ("processor", "cores", "transcriber", "language model", "voice", "embedder")
"""What must be the same on both sides for times to be comparable."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two runs. ``low`` to ``high`` holds B - A in 95 of 100 repetitions; ``None``
    where there are too few samples."""

    figure: Figure
    a: float | None
    b: float | None
    low: float | None
    high: float | None
    significantly_worse: bool
    """Worse by more than the tolerance and by more than chance."""
    broken: bool
    """B misses its budget."""

    def as_json(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "figure": self.figure.name,
            "a": self.a,
            "b": self.b,
            "low": self.low,
            "high": self.high,
            "significantly_worse": self.significantly_worse,
            "broken": self.broken,
        }


def compare(a: Run, b: Run, budgets: Mapping[str, Budget], seed: int = SEED) -> list[Difference]:
    """Every figure that either run measured, in the order of ``FIGURES``."""
    verdicts = {row.figure.name: row.verdict for row in held(_summary(b), budgets)}
    differences = []
    for figure in FIGURES:
        values = figure.of(a), figure.of(b)
        if values == (None, None):
            continue
        budget = budgets.get(figure.name)
        low, high = interval(figure, a, b, seed)
        worse_by = budget.worse_by if budget else None
        differences.append(
            Difference(
                figure,
                *values,
                low,
                high,
                significantly_worse=_worse(figure, *values, low, high, worse_by),
                broken=verdicts[figure.name] == "missed",
            )
        )
    return differences


def _summary(run: Run) -> dict[str, float | None]:
    return {figure.name: figure.of(run) for figure in FIGURES}


def interval(figure: Figure, a: Run, b: Run, seed: int = SEED) -> tuple[float | None, float | None]:
    """The 95 % interval of the figure's difference B - A, the same for the same ``seed``."""
    before, after = figure.samples(a), figure.samples(b)
    if not figure.drawn or any(len(group) < FEWEST for group in (*before, *after)):
        return None, None
    chance = np.random.default_rng(seed)
    drawn = [figure.statistic(*(_draws(g, chance) for g in groups)) for groups in (before, after)]
    low, high = np.percentile(drawn[1] - drawn[0], (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)


def _draws(values: Values, chance: np.random.Generator) -> Values:
    return values[chance.integers(0, len(values), (DRAWS, len(values)))]


def _worse(
    figure: Figure,
    a: float | None,
    b: float | None,
    low: float | None,
    high: float | None,
    worse_by: float | None,
) -> bool:
    if a is None or b is None or low is None or high is None or worse_by is None:
        return False
    if figure.better == "less":
        return b - a > worse_by and low > 0
    return a - b > worse_by and high < 0


def differing(a: Run, b: Run) -> list[str]:
    """What makes times of the two runs hard to compare, one line each."""
    lines = [
        f"{name}: {a['machine'].get(name, 'unknown')} / {b['machine'].get(name, 'unknown')}"
        for name in SAME
        if a["machine"].get(name) != b["machine"].get(name)
    ]
    if a.get("line") != b.get("line"):
        lines.append(f"line: {a.get('line')} / {b.get('line')}")
    if a["summary"]["speech"] != b["summary"]["speech"]:
        lines.append(f"speech: {a['summary']['speech']} / {b['summary']['speech']}")
    for name, run in (("A", a), ("B", b)):
        if not run.get("complete"):
            lines.append(f"{name} was stopped early")
    return lines


def run(a: Path, b: Path, budgets_file: Path, json_output: bool) -> int:
    """The command. 0: B holds; 1: it breaks a budget or is significantly worse; 2: bad files."""
    console = Console(stderr=json_output)
    try:
        before, after = read_run(a), read_run(b)
        budgets = read_budgets(budgets_file)
    except (RunFileError, BudgetError) as error:
        print(f"bench compare: {error}", file=sys.stderr)
        return error.exit_code
    differences = compare(before, after, budgets)
    warnings = differing(before, after)
    if json_output:
        rows = [difference.as_json() for difference in differences]
        print(json.dumps({"differs": warnings, "figures": rows}, indent=2))
    for warning in warnings:
        console.print(f"[yellow]differs[/] {warning}")
    console.print(_table(differences, a, b))
    return int(any(one.broken or one.significantly_worse for one in differences))


def _table(differences: list[Difference], a: Path, b: Path) -> Table:
    table = Table(title="B against A, with the 95 % interval of the difference", box=box.SIMPLE)
    table.add_column("figure")
    for title in (f"A: {a.name}", f"B: {b.name}", "B - A", "95 %"):
        table.add_column(title, justify="right")
    table.add_column("", no_wrap=True)
    for one in differences:
        unit = one.figure.unit
        span = "" if one.low is None else f"{_signed(one.low, unit)} … {_signed(one.high, unit)}"
        known = one.a is not None and one.b is not None
        change = _signed((one.b or 0) - (one.a or 0), unit) if known else ""
        verdict = "[red]worse[/]" if one.significantly_worse else ""
        if one.broken:
            verdict = f"{verdict} [red]budget[/]".strip()
        table.add_row(
            one.figure.title, written(one.a, unit), written(one.b, unit), change, span, verdict
        )
    return table


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    match unit:
        case "ms":
            return f"{value:+,.0f}"
        case "share":
            return f"{value * 100:+.1f} pt"
        case _:
            return f"{value:+.2f}"
