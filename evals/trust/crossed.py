"""A confusion table whose labels differ: what was true down, what was judged across. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from evals.trust.part import Row, Table


def crossed(title: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Counts of (true, judged) pairs, labels in the order of their first use."""
    counts = Counter(pairs)
    across = tuple(dict.fromkeys(judged for _, judged in pairs))
    rows: tuple[Row, ...] = tuple(
        (true, *(counts[true, judged] for judged in across))
        for true in dict.fromkeys(true for true, _ in pairs)
    )
    return Table(title, ("true \\ judged", *across), rows)
