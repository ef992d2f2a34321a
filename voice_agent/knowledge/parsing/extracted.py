"""What the readers of PDF, DOCX and HTML give: Markdown, and what the file says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of one file as Markdown, its title and its language, empty where it tells none."""

    text: str
    title: str = ""
    language: str = ""


class Unreadable(Exception):
    """A file that cannot be read; the message is the reason, in one line."""
