"""What parsing one fetched file gives, and the limits it is parsed under."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of one file, and what in it was refused: rows of a FAQ, by line number."""

    documents: tuple[Document, ...]
    refused: tuple[DocumentRefused, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Sizes are checked before a file is read, and again while it is.

    A text beyond `max_text_bytes` is an export that went wrong; a book has a tenth of it.
    """

    max_text_bytes: int = 20_000_000
    max_faq_bytes: int = 200_000_000
    max_html_bytes: int = 5_000_000
    max_pdf_bytes: int = 50_000_000
    max_docx_bytes: int = 50_000_000
    max_unpacked_bytes: int = 100_000_000
    max_unpacked_ratio: int = 200
    max_pages: int = 2_000
    max_seconds: float = 60.0
    max_memory_bytes: int = 1_500_000_000
