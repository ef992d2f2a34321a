"""Markdown and HTML taken out of text that is to be said. Pure."""

from __future__ import annotations

import re

from voice_agent.speech.spoken_numbers import ordinal

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " "})


def without_markup(text: str) -> str:
    """One line of plain text; list items and headings end like sentences."""
    text = text.translate(_QUOTES).replace("…", "...")
    text = re.sub(r"!?\[([^\]\n]*)\]\(([^)\s]*)(?:\s[^)]*)?\)", r"\1", text)
    text = re.sub(r"<(https?://[^>\s]+|[^>\s@]+@[^>\s]+)>", r"\1", text)
    text = re.sub(r"</?[A-Za-z][^<>]{0,200}>", " ", text)
    text = re.sub(r"```\w*\n?|`", "", text)
    text = re.sub(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<![\w*])[*_](?=\S)([^*_\n]+?)(?<=\S)[*_](?![\w*])", r"\1", text)
    lines = [_line(line) for line in text.splitlines()]
    return " ".join(line for line in lines if line)


def _line(line: str) -> str:
    line = line.strip()
    if re.fullmatch(r"[-*_=|:\s]+", line):
        return ""
    bare = re.sub(r"^(?:#{1,6}\s+|>\s*|[-*•+]\s+|\[[ xX]\]\s*)+", "", line)
    numbered = re.match(r"(\d{1,2})[.)]\s+(?=\S)", bare)
    if numbered:
        bare = f"{ordinal(int(numbered.group(1)))}, {bare[numbered.end() :]}"
    if bare.startswith("|"):
        bare = ", ".join(cell.strip() for cell in bare.strip("|").split("|") if cell.strip())
    marked = bare != line or line.startswith("|")
    return f"{bare}." if marked and bare and bare[-1] not in ".!?,;:" else bare
