"""Markdown files: what their front matter says, and their body (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import yaml

from voice_agent.knowledge.parsing.extracted import Unreadable

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_MOST_FRONT_MATTER = 20_000
_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a document says of itself; see `documents.Document` for each field."""

    document_id: str = ""
    title: str = ""
    language: str = ""
    valid_from: str = ""
    valid_until: str = ""
    verified: bool = False
    spoken: str = ""
    questions: tuple[str, ...] = ()


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """The front matter of a Markdown file and the body after it.

    Raises:
        Unreadable: it is not YAML, or a field in it is not what it should be.
    """
    match = _FRONT_MATTER.match(text)
    if match is None:
        return FrontMatter(), text
    if len(match[1]) > _MOST_FRONT_MATTER:
        raise Unreadable("front matter is too long")
    try:
        fields = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise Unreadable(f"front matter is not valid YAML: {reason}") from error
    if fields is not None and not isinstance(fields, dict):
        raise Unreadable("front matter is not a list of `key: value` lines")
    return _checked(fields or {}), text[match.end() :]


def first_heading(text: str) -> str:
    """The text of the first heading of the first level; empty when there is none."""
    match = _FIRST_HEADING.search(text)
    return match[1] if match else ""


def _checked(fields: dict[Any, Any]) -> FrontMatter:
    verified = fields.get("verified", False)
    if not isinstance(verified, bool):
        raise Unreadable("front matter: `verified` is neither true nor false")
    questions = fields.get("questions") or []
    if not isinstance(questions, list) or not all(isinstance(q, str) for q in questions):
        raise Unreadable("front matter: `questions` is not a list of texts")
    valid_from, valid_until = _date(fields, "valid_from"), _date(fields, "valid_until")
    if valid_from and valid_until and valid_until < valid_from:
        raise Unreadable(f"front matter: valid until {valid_until}, before {valid_from}")
    return FrontMatter(
        document_id=_text(fields, "id"),
        title=_text(fields, "title"),
        language=_text(fields, "language"),
        valid_from=valid_from,
        valid_until=valid_until,
        verified=verified,
        spoken=_text(fields, "spoken"),
        questions=tuple(questions),
    )


def _text(fields: dict[Any, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise Unreadable(f"front matter: `{name}` is not text")
    return " ".join(str(value).split())


def _date(fields: dict[Any, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = _text(fields, name)
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise Unreadable(f"front matter: `{name}` is not a date like 2026-01-31") from None
