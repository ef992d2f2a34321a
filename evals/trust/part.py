"""What one part of an evaluation found: figures, the tables behind them, and remarks. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Tell = Callable[[str], None]
"""Takes one line about how far the measuring is."""
Row = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below their column names; a confusion table has what was true at the left."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Part:
    """Figures by name: shares of 1, times in ms, counts."""

    name: str
    figures: dict[str, float] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Tables and notes as JSON values; the figures are kept together, across parts."""
        return {
            "tables": [
                {"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows]}
                for t in self.tables
            ],
            "notes": self.notes,
        }


def confusion(
    title: str, pairs: Sequence[tuple[str, str]], order: Sequence[str] | None = None
) -> Table:
    """A table of (true, judged) pairs: true labels down, judged labels across, counts in it."""
    labels = tuple(order or sorted({label for pair in pairs for label in pair}))
    across = tuple(label for label in labels if any(pair[1] == label for pair in pairs))
    counts = Counter(pairs)
    rows: tuple[Row, ...] = tuple(
        (true, *(counts[true, judged] for judged in across))
        for true in labels
        if any(pair[0] == true for pair in pairs)
    )
    return Table(title, ("true \\ judged", *across), rows)


def share(part: float, whole: float) -> float:
    """A share of 1; 0 of nothing."""
    return part / whole if whole else 0.0


def balanced_accuracy(pairs: Sequence[tuple[bool, bool]]) -> float:
    """The mean of the shares judged rightly among what is true and what is not."""
    shares = []
    for truth in (True, False):
        judged = [judgement == truth for true, judgement in pairs if true is truth]
        shares.append(share(sum(judged), len(judged)))
    return sum(shares) / 2


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent do not exceed; 0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def counted(title: str, counts: Mapping[str, int]) -> Table:
    """A table of counts, the highest first."""
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return Table(title, ("what", "how often"), tuple(rows))
