"""What rules for saying written text are made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match
from typing import TypeAlias

Rule: TypeAlias = tuple[re.Pattern[str], Callable[[Match[str]], str]]

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
DASH = r"\s?[-–—]\s?|\s+to\s+"
BEFORE = r"(?<![\w.,:/-])"
AFTER = r"(?![\w/]|[.,:]\d)"


def rule(pattern: str, say: Callable[[Match[str]], str] | str, flags: int = 0) -> Rule:
    """``say`` makes words of a match, or is a template of them (``re.Match.expand``)."""
    if isinstance(say, str):
        words = say
        return re.compile(pattern, flags), lambda match: match.expand(words)
    return re.compile(pattern, flags), say
