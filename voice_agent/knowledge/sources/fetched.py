"""What a source of documents gives, and the interface a connector of one's own implements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voice_agent.knowledge.errors import KnowledgeError


class SourceUnusable(KnowledgeError):
    """A configured source cannot even be made: its connector or its secret is missing."""

    code = "source_unusable"


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells, without reading it, whether a document has changed since it was fetched.

    `digest` is the SHA-256 of its bytes; `etag` and `last_modified` are kept as the server sent
    them (a git source keeps the id of the blob as `etag`); `size` is in bytes. `mtime_ns` is 0
    where the time of the last change cannot be trusted.
    """

    digest: str = ""
    etag: str = ""
    last_modified: str = ""
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """One new or changed document as the source has it, not parsed yet.

    `uri` is its name in every report: a path below the source, or a URL. `content` may be a path,
    so that a file too large is refused before it is read. `fetched_at` and `modified_at` are Unix
    times in seconds, `modified_at` 0 where the source does not tell. `title` and `language` are
    what the source itself says, and win over what the content says.
    """

    uri: str
    content: bytes | Path
    media_type: str
    validators: Validators
    fetched_at: float
    modified_at: float = 0.0
    title: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A document that is as it was. `validators` are given when they are worth keeping anew."""

    uri: str
    validators: Validators | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A document that was known and that the source has no more."""

    uri: str


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A document, or a whole source, that could not be fetched; what is known of it stays."""

    uri: str
    reason: str
    retryable: bool


FetchResult = Fetched | Unchanged | Gone | FetchFailed


class Source(Protocol):
    """Where documents come from.

    A connector of one's own is a class with this interface in any importable file, made with
    the name and the options of its settings:

        knowledge:
          sources:
            - {kind: custom, name: wiki, connector: "our_package.wiki:Wiki", options: {space: HELP}}

        class Wiki:
            def __init__(self, name: str, options: Mapping[str, Any]) -> None: ...
            def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]: ...

    It keeps to four rules. Each document is told once. Nothing that goes wrong with a document is
    raised: it is told as `FetchFailed`, so that the others go on. A document is `Gone` only when
    the source answered and does not list it. Whatever is done over HTTP is done with
    `sources.web.Web`, which bounds sizes, times, redirects and retries.
    """

    @property
    def name(self) -> str:
        """The name that settings give it; unique."""

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """Tell what became of every document of this source.

        Args:
            known: validators of the documents that this source gave before, by their `uri`.
        """
