"""Charts as inline SVG, by hand: no script, colours from the page's style. Pure.

Every chart carries its message in words (``title`` and ``desc``), for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import count

import numpy as np

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 26, 30, 46
TICKS = 5
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order. ``style`` is a class of the page's style sheet; ``notes`` says of each
    point what it is."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    notes: Sequence[str] = ()
    joined: bool = True
    marked: bool = True


@dataclass(slots=True)
class Plot:
    """Axes from 0 to ``x_max`` and ``y_max``, and what is drawn on them."""

    title: str
    words: str
    x_title: str
    y_title: str
    x_max: float
    y_max: float
    y_percent: bool = False
    x_ticks: Sequence[float] = ()
    body: list[str] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)

    def x(self, value: float) -> float:
        share = min(max(value / self.x_max, 0.0), 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = min(max(value / self.y_max, 0.0), 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def bars(self, name: str, style: str, edges: Sequence[float], heights: Sequence[float]) -> None:
        """Bars from ``edges[n]`` to ``edges[n + 1]``."""
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            if height:
                x, y = self.x(left), self.y(height)
                wide, high = self.x(right) - x, self.y(0) - y
                self.body.append(
                    f'<rect class="bar {style}" x="{x + 0.5:.1f}" y="{y:.1f}" '
                    f'width="{max(wide - 1, 1):.1f}" height="{high:.1f}"/>'
                )
        self.keys.append((name, style))

    def line(self, series: Series) -> None:
        places = [(self.x(x), self.y(y)) for x, y in series.points]
        if series.joined and len(places) > 1:
            path = " ".join(f"{x},{y}" for x, y in places)
            self.body.append(f'<polyline class="line {series.style}" points="{path}"/>')
        if series.marked:
            for number, (x, y) in enumerate(places):
                note = series.notes[number] if series.notes else ""
                self.body.append(
                    f'<circle class="dot {series.style}" cx="{x}" cy="{y}" r="4">'
                    f"<title>{escape(note)}</title></circle>"
                )
        self.keys.append((series.name, series.style))

    def limit(
        self, label: str, *, x: float | None = None, y: float | None = None, row: int = 0
    ) -> None:
        """A dashed line at a budget, named beside it; upright ones at a ``row`` of their own."""
        if x is not None and x <= self.x_max:
            at = self.x(x)
            self.body.append(
                f'<line class="limit" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
                f'<text class="note" x="{at + 4}" y="{(TOP + HEIGHT - BOTTOM) / 2 + 20 * row}">'
                f"{escape(label)}</text>"
            )
        if y is not None and y <= self.y_max:
            at = self.y(y)
            self.body.append(
                f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
                f'<text class="note end" x="{WIDTH - RIGHT}" y="{at - 5}">{escape(label)}</text>'
            )

    def svg(self) -> str:
        number = next(_NUMBERS)
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-labelledby="t{number} d{number}"><title id="t{number}">{escape(self.title)}'
            f'</title><desc id="d{number}">{escape(self.words)}</desc>',
            *self._axes(),
            *self.body,
            "</svg>",
        ]
        keys = "".join(
            f'<li><span class="key {style}"></span>{escape(name)}</li>' for name, style in self.keys
        )
        return f'{"".join(parts)}<ul class="keys">{keys}</ul>'

    def _axes(self) -> list[str]:
        base = self.y(0)
        lines = []
        for value in ticks(self.y_max):
            y = self.y(value)
            label = f"{value:.0%}" if self.y_percent else f"{value:,.0f}"
            lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            lines.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4}">{label}</text>')
        for value in self.x_ticks or ticks(self.x_max):
            lines.append(
                f'<text class="tick mid" x="{self.x(value)}" y="{base + 18}">{value:,.0f}</text>'
            )
        lines.append(
            f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
        )
        middle = (LEFT + WIDTH - RIGHT) / 2
        lines.append(
            f'<text class="tick mid" x="{middle}" y="{HEIGHT - 8}">{escape(self.x_title)}</text>'
        )
        lines.append(f'<text class="tick" x="4" y="14">{escape(self.y_title)}</text>')
        return lines


_NUMBERS = count(1)


def ticks(most: float) -> list[float]:
    """Round values from 0 up to ``most``, about ``TICKS`` of them."""
    if most <= 0:
        return [0.0]
    step = most / TICKS
    power = 10.0 ** np.floor(np.log10(step))
    step = next(nice * power for nice in _NICE if nice * power >= step * 0.999)
    return [float(value) for value in np.arange(0, most * 1.001, step)]


def ceiling(most: float) -> float:
    """A round value not below ``most``, to end an axis at."""
    steps = ticks(most)
    step = steps[1] if len(steps) > 1 else 1.0
    return float(np.ceil(most / step - 0.001) * step) if most > 0 else 1.0


def histogram(
    values: Sequence[float], edges: Sequence[float]
) -> tuple[list[float], list[tuple[float, float]]]:
    """The share of ``values`` between each two ``edges``, and the points of their cumulative
    distribution."""
    counts, _ = np.histogram(values, edges)
    ordered = sorted(values)
    steps = [(value, (place + 1) / len(ordered)) for place, value in enumerate(ordered)]
    first = [(0.0, 0.0), (ordered[0], 0.0)] if ordered else []
    return [float(number) / max(1, len(values)) for number in counts], [*first, *steps]
