"""What a search is for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ANY_NEARNESS = -1.0
ALWAYS = 9999_12_31
"""The day, as `day_number` writes it, of what is valid without an end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question and its conditions.

    `question` is looked for by words and meaning; `context` is what else was said lately, oldest
    first, where subjects are named. Passages that are not valid on `day` (ISO date), or are of
    another known `language` (ISO 639-1), are left out; empty means any. `least` is the cosine
    similarity below which a passage does not answer; passages about a subject that was surely
    named need a little less, because a question that was misheard is still about it. `shorter` are
    readings of the question that are tried before it (see `knowledge.query.Query`).
    """

    question: str
    context: tuple[str, ...] = ()
    day: str = ""
    language: str = ""
    least: float = ANY_NEARNESS
    shorter: tuple[str, ...] = ()


def day_number(day: str, otherwise: int = 0) -> int:
    """An ISO date as a number that sorts like it: 2026-03-01 is 20260301; else ``otherwise``."""
    digits = day[:10].replace("-", "")
    return int(digits) if len(digits) == 8 and digits.isdigit() else otherwise
