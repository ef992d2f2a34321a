"""From a fetched file to its documents: what it is, who reads it, what its documents are called."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused
from voice_agent.knowledge.parsing.decoding import NotText, decode
from voice_agent.knowledge.parsing.extracted import Extracted, Unreadable
from voice_agent.knowledge.parsing.faq import FaqReader
from voice_agent.knowledge.parsing.formats import (
    SUFFIXES,
    Format,
    Mistyped,
    charset_of,
    format_of,
)
from voice_agent.knowledge.parsing.guard import Guard
from voice_agent.knowledge.parsing.language import code_of, language_of
from voice_agent.knowledge.parsing.markdown import FrontMatter, first_heading, split_front_matter
from voice_agent.knowledge.parsing.markup import has_markup
from voice_agent.knowledge.parsing.parsed import Limits, Parsed
from voice_agent.knowledge.sources.fetched import Fetched

_HEAD_BYTES = 4096
_NAMED_BY_STEM = (Format.MARKDOWN, Format.TEXT)


class Parser:
    """Parses many files; PDF, DOCX and HTML in one guarded process that lives as long as it does.

    Use it in a `with` statement, or close it. Threads may share it.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._guard = Guard(self._limits)

    def parse(self, fetched: Fetched) -> Parsed:
        """The documents of one fetched file: one, or one for each row of a FAQ.

        Raises:
            DocumentRefused: nothing of it can be used; the reason is one line.
        """
        try:
            kind = format_of(fetched.uri, fetched.media_type, _head(fetched.content))
            content = self._content(fetched, kind)
            if kind in (Format.CSV, Format.JSON_LINES):
                return self._faq(fetched, kind, content)
            return Parsed((self._document(fetched, kind, content),))
        except (Mistyped, NotText, Unreadable) as error:
            raise DocumentRefused(fetched.uri, str(error)) from error
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            raise DocumentRefused(fetched.uri, reason) from error

    def _content(self, fetched: Fetched, kind: Format) -> bytes:
        """The bytes, whose number is checked before they are read."""
        most = {
            Format.PDF: self._limits.max_pdf_bytes,
            Format.DOCX: self._limits.max_docx_bytes,
            Format.HTML: self._limits.max_html_bytes,
            Format.CSV: self._limits.max_faq_bytes,
            Format.JSON_LINES: self._limits.max_faq_bytes,
        }.get(kind, self._limits.max_text_bytes)
        found = fetched.content
        size = found.stat().st_size if isinstance(found, Path) else len(found)
        if size > most:
            raise Unreadable(f"{_megabytes(size)} MB, larger than {_megabytes(most)} MB")
        if not isinstance(found, Path):
            return found
        with found.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise Unreadable(f"larger than {_megabytes(most)} MB")
        return content

    def _faq(self, fetched: Fetched, kind: Format, content: bytes) -> Parsed:
        text = decode(content, charset_of(fetched.media_type))
        reader = FaqReader(
            document_id=_document_id(fetched.uri, kind),
            source=fetched.uri,
            to_markdown=self._answer_markdown,
            language=code_of(fetched.language) or language_of(text),
        )
        documents: list[Document] = []
        refused: list[DocumentRefused] = []
        for row in reader.read(text, kind):
            if isinstance(row, Document):
                documents.append(row)
            else:
                refused.append(row)
        if not documents:
            reason = refused[0].reason if refused else "empty"
            raise DocumentRefused(fetched.uri, f"no row of it can be used: {reason}")
        return Parsed(tuple(documents), tuple(refused))

    def _answer_markdown(self, answer: str) -> str:
        return self._guard.read("markup", answer.encode(), markdown=False).text

    def _document(self, fetched: Fetched, kind: Format, content: bytes) -> Document:
        front = FrontMatter()
        markdown = True
        match kind:
            case Format.PDF:
                extracted = self._guard.read("pdf", content)
            case Format.DOCX:
                extracted = self._guard.read("docx", content)
            case Format.HTML:
                charset = charset_of(fetched.media_type)
                extracted = self._guard.read("html", content, charset=charset)
            case _:
                text = decode(content, charset_of(fetched.media_type))
                if kind is Format.MARKDOWN:
                    front, text = split_front_matter(text)
                markdown = kind is Format.MARKDOWN or has_markup(text)
                if has_markup(text):
                    marked = kind is Format.MARKDOWN
                    extracted = self._guard.read("markup", text.encode(), markdown=marked)
                else:
                    extracted = Extracted(text)
        text = extracted.text.strip()
        if not any(character.isalnum() for character in text):
            raise Unreadable("empty")
        heading = first_heading(text) if markdown else ""
        title = front.title or fetched.title or extracted.title or heading or _name(fetched.uri)
        declared = front.language or fetched.language
        return Document(
            document_id=front.document_id or _document_id(fetched.uri, kind),
            title=" ".join(title.split()),
            source=fetched.uri,
            text=text,
            markdown=markdown,
            digest=hashlib.sha256(content).hexdigest(),
            language=code_of(declared) or language_of(text, extracted.language),
            valid_from=front.valid_from,
            valid_until=front.valid_until,
            verified=front.verified,
            spoken=front.spoken,
            questions=front.questions,
        )

    def close(self) -> None:
        """End the guarded process."""
        self._guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def parse(fetched: Fetched, limits: Limits | None = None) -> Parsed:
    """Parse one file; a `Parser` that is kept open is quicker for many.

    Raises:
        DocumentRefused: nothing of it can be used.
    """
    with Parser(limits) as parser:
        return parser.parse(fetched)


def _head(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[:_HEAD_BYTES]
    with content.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _document_id(uri: str, kind: Format) -> str:
    """A URL as it is; a path without the suffix of text, so that other formats stay apart."""
    if "://" in uri or kind not in _NAMED_BY_STEM:
        return uri
    path = PurePosixPath(uri)
    return path.with_suffix("").as_posix() if path.suffix.lower() in SUFFIXES else uri


def _name(uri: str) -> str:
    """A title made of the last part of a path or URL."""
    parts = urlsplit(uri)
    path = unquote(parts.path) if "://" in uri else uri
    stem = PurePosixPath(path).stem or parts.hostname or uri
    return stem.replace("-", " ").replace("_", " ").strip().capitalize()


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f}" if size >= 10_000_000 else f"{size / 1_000_000:.1f}"
