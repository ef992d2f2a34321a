"""What the knowledge commands print: an error's one line, progress, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn


class Coded(Protocol):
    """An error with a stable code."""

    code: str


def fail(error: Coded, as_json: bool) -> int:
    """Print an error; gives the exit code 1."""
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": str(error)}}))
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]{escape(str(error))}[/]")
    return 1


def print_json(value: Any) -> None:
    """Print a value for a machine."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


class Bars(Protocol):
    """Shows how far a step is."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """A bar a step on standard error, gone afterwards."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield show


def day_and_time(at: float) -> str:
    """A Unix time in seconds as people here read it; a dash for none."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M") if at else "–"


def iso_time(at: float) -> str:
    """A Unix time in seconds as ISO 8601 in UTC; empty for none."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at else ""
