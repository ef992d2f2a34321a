"""Reading the company's documents; a document that cannot be used is refused by name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voice_agent.knowledge.errors import DocumentRefused, NothingToIndex

SUFFIXES = (".md", ".markdown", ".txt")
MAX_BYTES = 2_000_000  # a book; a support page beyond this is an export that went wrong
_MAX_CONTROL_SHARE = 0.01
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f�]")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_FIRST_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


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


def find_documents(folder: Path) -> list[Path]:
    """Every file below a folder that is not hidden, in a stable order.

    Raises:
        NothingToIndex: the folder does not exist or cannot be listed.
    """
    if not folder.is_dir():
        raise NothingToIndex(f"{folder}: no such folder of documents")
    found = [
        Path(parent) / name
        for parent, folders, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and not _hidden(Path(parent).relative_to(folder))
    ]
    return sorted(found)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_documents(folder: Path) -> tuple[list[Document], list[DocumentRefused]]:
    """Read a folder of Markdown and plain text.

    Returns:
        The documents, and a refusal with a reason for every file that is not one of them.

    Raises:
        NothingToIndex: the folder does not exist.
    """
    documents: list[Document] = []
    refused: list[DocumentRefused] = []
    for path in find_documents(folder):
        try:
            document = read_document(folder, path)
            _refuse_copy(document, documents)
        except DocumentRefused as refusal:
            refused.append(refusal)
        else:
            documents.append(document)
    return documents, refused


def read_document(folder: Path, path: Path) -> Document:
    """Read one file below `folder`.

    Raises:
        DocumentRefused: the file is not text, is empty, too large, unreadable or mislabelled.
    """
    source = path.relative_to(folder).as_posix()
    if path.suffix.lower() not in SUFFIXES:
        raise DocumentRefused(source, f"not Markdown or plain text ({path.suffix or 'no suffix'})")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DocumentRefused(source, "a link that leads out of the documents folder")
        if not path.is_file():
            raise DocumentRefused(source, "not a readable file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentRefused(source, f"cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise DocumentRefused(source, f"larger than {MAX_BYTES // 1_000_000} MB")
    text = _decode(source, content)
    markdown = path.suffix.lower() != ".txt"
    metadata, body = _front_matter(source, text) if markdown else ({}, text)
    if not any(character.isalnum() for character in body):
        raise DocumentRefused(source, "empty")
    heading = _FIRST_HEADING.search(body) if markdown else None
    title = metadata.get("title") or (heading and heading[1]) or _title_from(path)
    document_id = metadata.get("id") or path.relative_to(folder).with_suffix("").as_posix()
    return Document(
        document_id=str(document_id).strip(),
        title=" ".join(str(title).split()),
        source=source,
        text=body.strip(),
        markdown=markdown,
        digest=hashlib.sha256(content).hexdigest(),
    )


def _decode(source: str, content: bytes) -> str:
    """Text of a file: UTF-8, UTF-16 with its mark, else the Windows code page.

    Raises:
        DocumentRefused: the bytes are not text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in content:
        raise DocumentRefused(source, "binary, not text")
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(_CONTROL.findall(text)) > _MAX_CONTROL_SHARE * len(text):
            break
        return _CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    raise DocumentRefused(source, "binary or in an unknown encoding, not text")


def _front_matter(source: str, text: str) -> tuple[dict[str, Any], str]:
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    try:
        metadata = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise DocumentRefused(source, f"front matter is not valid YAML: {reason}") from error
    if metadata is not None and not isinstance(metadata, dict):
        raise DocumentRefused(source, "front matter is not a list of `key: value` lines")
    return metadata or {}, text[match.end() :]


def _title_from(path: Path) -> str:
    return path.stem.replace("-", " ").replace("_", " ").strip().capitalize()


def _refuse_copy(document: Document, accepted: Iterable[Document]) -> None:
    for other in accepted:
        if other.document_id == document.document_id:
            raise DocumentRefused(
                document.source, f"its id `{document.document_id}` belongs to {other.source}"
            )
        if other.digest == document.digest:
            raise DocumentRefused(document.source, f"a copy of {other.source}")
