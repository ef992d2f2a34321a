"""A calibration as a picture: how often choices of each confidence were right. SVG, pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from voice_agent.answering.calibration import Bin

SIZE, EDGE = 460, 56
_SPAN = SIZE - 2 * EDGE
_LARGEST, _SMALLEST = 15.0, 3.0


def plot(before: Sequence[Bin], after: Sequence[Bin], threshold: float, title: str) -> str:
    """An SVG document: grey before the calibration, blue after it; on the diagonal is honest.

    A dot's area shows how many choices it stands for.
    """
    words = " ".join(
        f"Of choices about {b.confidence:.0%} sure {b.right:.0%} were right." for b in after
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" '
            'font-family="sans-serif" font-size="12" role="img">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(words)}</desc>",
            f'<rect width="{SIZE}" height="{SIZE}" fill="#fff"/>',
            f'<text x="{EDGE}" y="26" font-size="14">{escape(title)}</text>',
            *_axes(),
            _stroke(0, 0, 1, 1, "#999", "4 3"),
            _stroke(threshold, 0, threshold, 1, "#c33", "4 3"),
            f'<text x="{_x(threshold) - 4:.0f}" y="{EDGE + 12}" text-anchor="end" fill="#c33">'
            f"answers alone from {threshold:.2f}</text>",
            *_dots(before, "#aaa", "before"),
            *_dots(after, "#1565c0", "after"),
            "</svg>",
            "",
        )
    )


def _axes() -> list[str]:
    lines = []
    for step in range(6):
        share = step / 5
        below, beside = _y(0) + 18, _x(0) - 8
        lines += [
            _stroke(share, 0, share, 1, "#e5e5e5"),
            _stroke(0, share, 1, share, "#e5e5e5"),
            f'<text x="{_x(share):.0f}" y="{below}" text-anchor="middle">{share:.1f}</text>',
            f'<text x="{beside}" y="{_y(share) + 4:.0f}" text-anchor="end">{share:.1f}</text>',
        ]
    middle = SIZE / 2
    return [
        *lines,
        f'<text x="{middle:.0f}" y="{SIZE - 12}" text-anchor="middle">confidence</text>',
        f'<text transform="rotate(-90 16 {middle:.0f})" x="16" y="{middle:.0f}" '
        'text-anchor="middle">share that was right</text>',
    ]


def _dots(bins: Sequence[Bin], colour: str, name: str) -> list[str]:
    most = max((each.choices for each in bins), default=1)
    return [
        f'<circle cx="{_x(b.confidence):.1f}" cy="{_y(b.right):.1f}" '
        f'r="{max(_SMALLEST, _LARGEST * (b.choices / most) ** 0.5):.1f}" fill="{colour}" '
        f'fill-opacity="0.6"><title>{name}: {b.choices} choices, {b.confidence:.2f} sure, '
        f"{b.right:.2f} right</title></circle>"
        for b in bins
    ]


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{_x(x1):.1f}" y1="{_y(y1):.1f}" x2="{_x(x2):.1f}" y2="{_y(y2):.1f}" '
        f'stroke="{colour}"{dashed}/>'
    )


def _x(share: float) -> float:
    return EDGE + share * _SPAN


def _y(share: float) -> float:
    return SIZE - EDGE - share * _SPAN
