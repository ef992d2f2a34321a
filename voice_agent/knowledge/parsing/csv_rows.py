"""Rows of a CSV file, one broken row at a time: the rows after it are read (pure)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DELIMITERS = ",;\t|"
_MOST_LINES = 200  # of one row; a quote that is still open then was never meant to open


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of a row, and the number of the line it begins in, from 1."""

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read, and why."""

    line: int
    reason: str


def read_rows(text: str) -> Iterator[Row | BrokenRow]:
    """The rows of a CSV file (RFC 4180), the header first.

    The delimiter is the one that cuts the first line into most fields: comma, semicolon, tab or
    bar. A row whose quotes do not close, or that has not as many fields as the header, is told as
    broken with the line it begins in, and reading goes on with the line after that one.
    """
    lines = text.split("\n")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    width = 0
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        used, outcome = _row_at(lines, at, delimiter, width)
        if isinstance(outcome, Row):
            width = width or len(outcome.fields)
        yield outcome
        at += used


def _row_at(
    lines: Sequence[str], at: int, delimiter: str, width: int
) -> tuple[int, Row | BrokenRow]:
    """How many lines were used, and the row that begins there."""
    number = at + 1
    reason = "a quote that does not close"
    for end in range(number, min(at + _MOST_LINES, len(lines)) + 1):
        joined = "\n".join(lines[at:end])
        if joined.count('"') % 2:
            continue
        try:
            fields = next(csv.reader([joined], delimiter=delimiter, strict=True))
        except csv.Error as error:
            reason = str(error)
            break
        if width and len(fields) != width:
            reason = f"{len(fields)} fields where the header has {width}"
            break
        return end - at, Row(number, tuple(fields))
    return 1, BrokenRow(number, reason)
