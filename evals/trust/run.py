"""Measure the parts, print every figure against what it must reach, and keep it as JSON."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from evals.trust.part import Part, Table
from evals.trust.parts import chosen, measure
from evals.trust.reaches import Held, held, read_reaches
from voice_agent.config import Settings


class NoMaterial(Exception):
    """The folder of material to measure with is not there."""

    code = "material_missing"
    retryable = False
    exit_code = 2


def run(
    settings: Settings,
    data: Path,
    only: Sequence[str],
    *,
    as_json: bool,
    out: Path | None,
    reaches: Path,
) -> int:
    """Measure, print and write; 1 when a reach is missed, else 0.

    Raises:
        NoMaterial, UnknownPart, ReachError: nothing can be measured.
    """
    if not data.is_dir():
        raise NoMaterial(f"{data}: there is no such folder")
    wanted, required = chosen(only), read_reaches(reaches)
    errors = Console(stderr=True, highlight=False)

    def tell(line: str) -> None:
        errors.print(line, markup=False, style="dim")

    parts = []
    seconds: dict[str, float] = {}
    for name in wanted:
        began = time.perf_counter()
        tell(f"{name} …")
        parts.append(measure(name, data, settings, tell))
        seconds[name] = round(time.perf_counter() - began, 1)
    rows = held({k: v for part in parts for k, v in part.figures.items()}, required)
    document = as_document(parts, rows, seconds)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        show(Console(highlight=False), parts, rows, seconds)
    return 1 if any(row.missed for row in rows) else 0


def as_document(
    parts: Sequence[Part], rows: Sequence[Held], seconds: dict[str, float]
) -> dict[str, Any]:
    """One key a figure, then what stands behind them."""
    return {
        **{row.name: round(row.value, 4) for row in rows},
        "reaches": {row.name: str(row.reach) for row in rows if row.reach is not None},
        "missed": [row.name for row in rows if row.missed],
        "parts": {part.name: part.as_json() for part in parts},
        "seconds": seconds,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def show(
    console: Console, parts: Sequence[Part], rows: Sequence[Held], seconds: dict[str, float]
) -> None:
    """Print the parts with their tables."""
    by_name = {row.name: row for row in rows}
    for part in parts:
        console.print(f"\n[bold]{part.name}[/]  [dim]{seconds.get(part.name, 0):.0f} s[/]")
        grid = Grid(box=None, pad_edge=False, show_header=False)
        for name in part.figures:
            row = by_name[name]
            verdict = "" if row.reach is None else "missed" if row.missed else "met"
            style = "red" if verdict == "missed" else "green"
            grid.add_row(name, f"{row.value:.4g}", str(row.reach or ""), f"[{style}]{verdict}[/]")
        console.print(grid)
        for table in part.tables:
            _show_table(console, table)
        for note in part.notes:
            console.print(note, markup=False, style="dim")


def _show_table(console: Console, table: Table) -> None:
    grid = Grid(title=table.title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        grid.add_column(column, justify="left" if number == 0 else "right")
    for row in table.rows:
        grid.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(grid)
