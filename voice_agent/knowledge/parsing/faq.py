"""Frequent questions from CSV and JSON lines: each row a document, a broken one refused alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused
from voice_agent.knowledge.parsing.csv_rows import BrokenRow, read_rows
from voice_agent.knowledge.parsing.extracted import Unreadable
from voice_agent.knowledge.parsing.formats import Format
from voice_agent.knowledge.parsing.language import code_of, language_of
from voice_agent.knowledge.parsing.markup import has_markup, without_entities

_COLUMNS = frozenset(
    "question answer spoken valid_from valid_until verified language questions id title".split()
)
_YES = frozenset(("true", "yes", "y", "1"))
_NO = frozenset(("false", "no", "n", "0", ""))
_LONGEST_FIELD = 100_000
_BETWEEN_QUESTIONS = "|"


class RowRefused(Exception):
    """One row cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class FaqReader:
    """Reads one FAQ file.

    `document_id` and `source` are the file's; a row's own id is its `id`, or else a digest of its
    question, so that rows keep theirs when others come and go. `to_markdown` makes Markdown of an
    answer with HTML in it. A row too short to tell its language has the file's `language`.
    """

    document_id: str
    source: str
    to_markdown: Callable[[str], str]
    language: str = ""

    def read(self, text: str, kind: Format) -> Iterator[Document | DocumentRefused]:
        """Every row, as a document or as a refusal with the number of its line.

        Fields: `question` and `answer`, optionally `spoken`, `valid_from`, `valid_until` (ISO
        dates, inclusive), `verified` (true or false), `language`, `questions` (other ways to ask,
        a list or with `|` between), `id`, `title`. Others are ignored.

        Raises:
            DocumentRefused: a CSV file whose first row does not name `question` and `answer`.
        """
        seen: dict[str, int] = {}
        for line, fields in self._csv(text) if kind is Format.CSV else _json_lines(text):
            try:
                if isinstance(fields, str):
                    raise RowRefused(fields)
                document = self._document(fields)
                first = seen.setdefault(document.document_id, line)
                if first != line:
                    raise RowRefused(f"the same question or id as line {first}")
            except RowRefused as refusal:
                yield DocumentRefused(f"{self.source}:{line}", str(refusal))
            else:
                yield document

    def _csv(self, text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Line number, and the fields of a row or the reason why it has none."""
        rows = read_rows(text)
        first = next(rows, None)
        header = () if first is None or isinstance(first, BrokenRow) else first.fields
        names = ["_".join(name.lower().split()) for name in header]
        if "question" not in names or "answer" not in names:
            raise DocumentRefused(self.source, "its first row has no `question` and `answer`")
        for row in rows:
            if isinstance(row, BrokenRow):
                yield row.line, row.reason
            else:
                yield row.line, dict(zip(names, row.fields, strict=True))

    def _document(self, fields: Mapping[str, Any]) -> Document:
        question = _text(fields, "question")
        answer = _text(fields, "answer")
        for name, value in (("question", question), ("answer", answer)):
            if not any(character.isalnum() for character in value):
                raise RowRefused(f"no {name}")
        valid_from, valid_until = _date(fields, "valid_from"), _date(fields, "valid_until")
        if valid_from and valid_until and valid_until < valid_from:
            raise RowRefused(f"valid until {valid_until}, before it is valid from {valid_from}")
        markdown = has_markup(answer)
        if markdown:
            try:
                answer = self.to_markdown(answer)
            except (Unreadable, DocumentRefused) as error:
                raise RowRefused(f"its answer: {getattr(error, 'reason', error)}") from error
            if not any(character.isalnum() for character in answer):
                raise RowRefused("nothing of its answer can be seen")
        name = _text(fields, "id") or hashlib.sha256(question.lower().encode()).hexdigest()[:12]
        told = {key: fields[key] for key in sorted(_COLUMNS & fields.keys())}
        described = json.dumps(told, ensure_ascii=False, sort_keys=True)
        return Document(
            document_id=f"{self.document_id}:{name}",
            title=_text(fields, "title") or question,
            source=self.source,
            text=answer if markdown else without_entities(answer),
            markdown=markdown,
            digest=hashlib.sha256(described.encode()).hexdigest(),
            language=code_of(_text(fields, "language"))
            or language_of(f"{question}\n{answer}", self.language),
            valid_from=valid_from,
            valid_until=valid_until,
            verified=_truth(fields, "verified"),
            spoken=_text(fields, "spoken"),
            questions=tuple(dict.fromkeys((question, *_questions(fields)))),
        )


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"not valid JSON: {str(error)[:80]}"
            continue
        yield number, fields if isinstance(fields, dict) else "not a JSON object"


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowRefused(f"its {name} is not text")
    text = str(value).strip()
    if len(text) > _LONGEST_FIELD:
        raise RowRefused(f"its {name} is longer than {_LONGEST_FIELD} characters")
    return text


def _date(fields: Mapping[str, Any], name: str) -> str:
    text = _text(fields, name)
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise RowRefused(f"its {name} `{text[:40]}` is not a date like 2026-01-31") from None


def _truth(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if isinstance(value, bool):
        return value
    text = _text(fields, name).lower()
    if text not in _YES | _NO:
        raise RowRefused(f"its {name} `{text[:40]}` is neither true nor false")
    return text in _YES


def _questions(fields: Mapping[str, Any]) -> list[str]:
    value = fields.get("questions")
    if isinstance(value, list):
        if not all(isinstance(question, str) for question in value):
            raise RowRefused("its questions are not a list of texts")
        return [question.strip() for question in value if question.strip()]
    parts = _text(fields, "questions").split(_BETWEEN_QUESTIONS)
    return [part.strip() for part in parts if part.strip()]
