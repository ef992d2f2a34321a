"""What a file is: by its name, by what the server says, and by how it begins (pure)."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import urlsplit


class Format(StrEnum):
    """The formats that documents are read from."""

    MARKDOWN = "Markdown"
    TEXT = "plain text"
    HTML = "HTML"
    PDF = "PDF"
    DOCX = "DOCX"
    CSV = "CSV"
    JSON_LINES = "JSON lines"


SUFFIXES = {
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".xhtml": Format.HTML,
    ".pdf": Format.PDF,
    ".docx": Format.DOCX,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
}
_MEDIA_TYPES = {
    "text/markdown": Format.MARKDOWN,
    "text/html": Format.HTML,
    "application/xhtml+xml": Format.HTML,
    "application/pdf": Format.PDF,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Format.DOCX,
    "text/csv": Format.CSV,
    "application/x-ndjson": Format.JSON_LINES,
    "application/jsonl": Format.JSON_LINES,
}
_UNTOLD_MEDIA_TYPES = ("", "application/octet-stream", "binary/octet-stream", "text/plain")
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)
_BEGINNINGS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"{\\rtf", "a rich text file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an encrypted or an old Office file"),
    (b"version https://git-lfs.github.com", "a pointer to a file that git LFS keeps elsewhere"),
)
_HTML_BEGINNING = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html[\s>])", re.I | re.S
)


class Mistyped(Exception):
    """A file that is of no format we read, or not of the one it claims; says which."""


def format_of(uri: str, media_type: str, head: bytes) -> Format:
    """The format to read a file as.

    A web server's media type wins over the name, except where it says nothing (`text/plain`,
    `application/octet-stream`). Text that begins as an HTML page is read as one; any other
    disagreement between the claim and the beginning is refused.

    Args:
        uri: path or URL.
        media_type: as the server sent it, with parameters; empty for files.
        head: the first kilobytes.

    Raises:
        Mistyped: with the reason.
    """
    path = urlsplit(uri).path if "://" in uri else uri
    suffix = PurePosixPath(path).suffix.lower()
    media = media_type.partition(";")[0].strip().lower()
    claimed = _MEDIA_TYPES.get(media)
    if claimed is None and media in _UNTOLD_MEDIA_TYPES:
        claimed = SUFFIXES.get(suffix)
        if claimed is None and media_type and "://" in uri and suffix in ("", ".php", ".aspx"):
            claimed = Format.TEXT
    found = _found(head)
    if claimed is None:
        if media not in _UNTOLD_MEDIA_TYPES:
            raise Mistyped(f"not a format that is read ({media})")
        raise Mistyped(f"not a format that is read ({suffix or 'no suffix'})")
    if found == claimed or (found is None and claimed not in (Format.PDF, Format.DOCX)):
        return claimed
    if found is Format.HTML and claimed in (Format.MARKDOWN, Format.TEXT):
        return Format.HTML
    if not head.strip():
        raise Mistyped("empty")
    holds = found or "something else"
    raise Mistyped(f"claims to be {claimed} but holds {holds}")


def charset_of(media_type: str) -> str:
    """The encoding that a media type names; empty when it names none."""
    match = _CHARSET.search(media_type)
    return match[1] if match else ""


def _found(head: bytes) -> Format | str | None:
    """The format, or the name of something that is not read; None when it may be any text."""
    if b"%PDF-" in head[:1024]:
        return Format.PDF
    if head.startswith(b"PK\x03\x04"):
        return Format.DOCX
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if _HTML_BEGINNING.match(head):
        return Format.HTML
    return None
