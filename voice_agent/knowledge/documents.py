"""A document as it is once it has been read, whatever it was read from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One readable document.

    `source` is its path below the documents folder, or its URL; `text` its body as Markdown,
    without front matter, or as it is where `markdown` is false; `digest` the SHA-256 of the
    bytes it was read from. `language` is an ISO 639-1 code, empty when unknown. `valid_from` and
    `valid_until` are ISO dates, both inclusive, empty when open. A `verified` text is an approved
    answer that may be spoken as it is, as `spoken` where that is given. `questions` are ways in
    which callers ask for it.
    """

    document_id: str
    title: str
    source: str
    text: str
    markdown: bool
    digest: str
    language: str = ""
    valid_from: str = ""
    valid_until: str = ""
    verified: bool = False
    spoken: str = ""
    questions: tuple[str, ...] = ()
