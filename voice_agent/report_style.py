"""The look of pages that are written to a file and stand by themselves."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path(__file__).with_name("report_style.css")


def style_with(own: Path) -> str:
    """The shared rules, and behind them those of one page's own file."""
    return "".join(path.read_text(encoding="utf-8") for path in (_SHARED, own))
