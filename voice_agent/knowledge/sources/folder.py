"""A folder of files. What has its old size and time of change is not read again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)

DOCUMENTS = "documents"
"""Name of the source that `knowledge.documents` is."""

_MOST_DIGESTED_BYTES = 200_000_000  # larger files are refused unread when they are parsed
_SETTLED_NS = 2_000_000_000  # a file changed so lately may change again within the same instant


class FolderSource:
    """Every file below a folder that is not hidden, in the order of their paths."""

    def __init__(
        self,
        name: str,
        folder: Path,
        prefix: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """A source called `name`; documents are named `name/path`, or with another `prefix`."""
        self._name = name
        self._folder = folder
        self._prefix = f"{name}/" if prefix is None else prefix
        self._now = now

    @classmethod
    def of_documents(cls, folder: Path) -> FolderSource:
        """The folder of documents; they are named by their path below it, and nothing before."""
        return cls(DOCUMENTS, folder, prefix="")

    @property
    def name(self) -> str:
        """The name that settings give it."""
        return self._name

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """New and changed files as paths, to be read by whoever parses them."""
        unreadable: list[OSError] = []
        if not self._folder.is_dir():
            yield FetchFailed(str(self._folder), "no such folder of documents", retryable=True)
            return
        listed: set[str] = set()
        for path in self._files(unreadable):
            uri = self._prefix + path.relative_to(self._folder).as_posix()
            listed.add(uri)
            yield self._fetch_one(uri, path, known.get(uri))
        for error in unreadable:
            reason = f"cannot be listed: {error.strerror}"
            yield FetchFailed(str(error.filename), reason, retryable=True)
        if not unreadable:
            yield from (Gone(uri) for uri in known if uri not in listed)

    def _files(self, unreadable: list[OSError]) -> list[Path]:
        found: list[Path] = []
        for parent, folders, names in os.walk(self._folder, onerror=unreadable.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found.extend(Path(parent) / name for name in names if not name.startswith("."))
        return sorted(found)

    def _fetch_one(self, uri: str, path: Path, known: Validators | None) -> FetchResult:
        try:
            if not path.resolve().is_relative_to(self._folder.resolve()):
                reason = "a link that leads out of the documents folder"
                return FetchFailed(uri, reason, retryable=False)
            if not path.is_file():
                return FetchFailed(uri, "not a readable file", retryable=False)
            status = path.stat()
            settled = self._now() * 1e9 - status.st_mtime_ns > _SETTLED_NS
            mtime_ns = status.st_mtime_ns if settled else 0
            if known and mtime_ns and (known.size, known.mtime_ns) == (status.st_size, mtime_ns):
                return Unchanged(uri)
            digest = _digest(path) if status.st_size <= _MOST_DIGESTED_BYTES else ""
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return FetchFailed(uri, reason, retryable=True)
        validators = Validators(digest=digest, size=status.st_size, mtime_ns=mtime_ns)
        if known and digest and digest == known.digest:
            return Unchanged(uri, validators if validators != known else None)
        return Fetched(
            uri=uri,
            content=path,
            media_type="",
            validators=validators,
            fetched_at=self._now(),
            modified_at=status.st_mtime_ns / 1e9,
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
