"""Headings and paragraphs from lines of type; running heads and page numbers go (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LARGER = 1.12  # times the size of the body: a heading
_LONGEST_HEADING = 120
_MOST_HEADING_SIZES = 4
_MARGIN = 0.1  # of the page's height, where running heads and feet are
_REPEATED_PAGES = 3
_GAP = 1.35  # times the usual distance of lines begins a paragraph
_FULL_LINE = 0.6  # of the longest; a shorter one may end its paragraph
_NUMBER = re.compile(r"\d+")
_BULLET = re.compile(r"^(?:[•‣◦▪●○■–*·]|\(?\d{1,2}[.)])\s+")
_MARK = re.compile(r"^[•‣◦▪●○■–*·]\s+")
_SENTENCE_END = (".", "!", "?", ":", ";")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")
_BLOCK = re.compile(r"^(\d*)([-+=.)])(?=\s|[-=]*$)")
_CONTENTS = re.compile(r"(?:\s?\.){4,}\s*\d*$")  # an entry of a table of contents


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page. `size` is in points; `bottom` and `top` are shares of the page's height."""

    text: str
    size: float
    bold: bool
    bottom: float
    top: float


def markdown_of_lines(pages: Sequence[Sequence[Line]]) -> tuple[str, str]:
    """Markdown of a document, and its title: the first heading of the largest size, or empty."""
    kept = _without_running_heads(pages)
    body = _body_size(line for page in kept for line in page)
    levels = _heading_levels(kept, body)
    leading = _leading(kept, body)
    blocks: list[str] = []
    paragraph: list[str] = []
    title = ""
    last_heading = ""

    def end_paragraph() -> None:
        if paragraph:
            blocks.append(_joined(paragraph))
            paragraph.clear()

    for page in kept:
        longest = max((len(line.text) for line in page), default=0)
        before: Line | None = None
        for line in page:
            level = levels.get(_kind(line, body), 0) if _may_head(line) else 0
            if level:
                end_paragraph()
                if last_heading and before and _continues(before, line):
                    blocks[-1] = f"{blocks[-1]} {_escaped(line.text)}"
                else:
                    blocks.append(f"{'#' * level} {_escaped(line.text)}")
                last_heading = blocks[-1]
                if level == 1 and not title:
                    title = line.text
            else:
                last_heading = ""
                if before and _begins(before, line, longest, leading):
                    end_paragraph()
                paragraph.append(line.text)
            before = line
    end_paragraph()
    return "\n\n".join(blocks), title


def _without_running_heads(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Lines in the margins that several pages share, numbers apart, and bare page numbers."""
    counts = Counter(
        key for page in pages for key in {_same(line) for line in page if _in_margin(line)}
    )
    return [
        [
            line
            for line in page
            if line.text
            and not _CONTENTS.search(line.text)
            and not (
                _in_margin(line) and (counts[_same(line)] >= _REPEATED_PAGES or line.text.isdigit())
            )
        ]
        for page in pages
    ]


def _in_margin(line: Line) -> bool:
    return line.bottom > 1 - _MARGIN or line.top < _MARGIN


def _same(line: Line) -> str:
    return _NUMBER.sub("0", line.text.lower())


def _body_size(lines: Iterable[Line]) -> float:
    counts: Counter[float] = Counter()
    for line in lines:
        counts[line.size] += len(line.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def _leading(pages: Sequence[Sequence[Line]], body: float) -> float:
    """The usual distance from line to line of the body, as a share of the page's height."""
    distances: Counter[float] = Counter()
    for page in pages:
        for before, line in pairwise(page):
            if before.size == line.size == body and before.bottom > line.bottom:
                distances[round(before.bottom - line.bottom, 3)] += 1
    most = max(distances.values(), default=0)
    return min((d for d, count in distances.items() if count == most), default=1.0)


def _kind(line: Line, body: float) -> tuple[float, bool]:
    """What lines of one rank share: larger type, or bold type of the body's size."""
    return (line.size, False) if line.size >= _LARGER * body else (body, line.bold)


def _may_head(line: Line) -> bool:
    return (
        0 < len(line.text) <= _LONGEST_HEADING
        and any(character.isalpha() for character in line.text)
        and not line.text.endswith((".", ",", ";"))
        and not _MARK.match(line.text)
    )


def _heading_levels(pages: Sequence[Sequence[Line]], body: float) -> dict[tuple[float, bool], int]:
    """Level of each kind of heading line, larger before smaller, bold of the body's size last."""
    lines = [line for page in pages for line in page]
    larger = sorted({line.size for line in lines if line.size >= _LARGER * body}, reverse=True)
    kinds = [(size, False) for size in larger[:_MOST_HEADING_SIZES]]
    bold = sum(len(line.text) for line in lines if line.bold)
    if 0 < bold < 0.3 * sum(len(line.text) for line in lines):
        kinds.append((body, True))
    return {kind: level for level, kind in enumerate(kinds, 1)}


def _continues(before: Line, line: Line) -> bool:
    """Whether a heading goes on in the next line."""
    return before.size == line.size and before.bottom - line.top < 0.6 * (line.top - line.bottom)


def _begins(before: Line, line: Line, longest: int, leading: float) -> bool:
    """Whether a line begins a new paragraph."""
    if _BULLET.match(line.text):
        return True
    distance = before.bottom - line.bottom
    if distance > _GAP * leading or distance < -leading:
        return True
    return before.text.endswith(_SENTENCE_END) and len(before.text) < _FULL_LINE * longest


def _joined(lines: Sequence[str]) -> str:
    """Lines of a paragraph as one, a word that was cut at a line's end made whole."""
    text = lines[0]
    for line in lines[1:]:
        cut = text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower()
        text = text[:-1] + line if cut else f"{text} {line}"
    bullet = _MARK.match(text)
    return f"- {_escaped(text[bullet.end() :])}" if bullet else _escaped(text)


def _escaped(text: str) -> str:
    return _BLOCK.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", text))
