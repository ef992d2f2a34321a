"""Index versions on disk: immutable folders named by their content, and which one is current.

    <index>/versions/<id>/manifest.json    what made it, what was refused, checksums
                          documents.jsonl  one document a line: id, title, source, digest
                          passages.jsonl   one passage a line
                          vectors.npy      float32, a row a passage
                          prepared-1/      what follows from the passages (see `prepared`)
    <index>/current                        the id of the version that answers

A version is written beside its place and renamed into it, so half of one is never seen. Writing
and reading are by the row: 50,000 passages take no more memory than 1,000. The vectors Qdrant
searches are loaded from here, which keeps its own single-process folder lock out of the way: any
number of agents and commands may read a version at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_agent.knowledge import prepared
from voice_agent.knowledge.embedder import Vectors
from voice_agent.knowledge.errors import BuildRunning, IndexMissing, IndexUnusable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.version_reader import (
    DATA_FILES,
    FORMAT,
    Version,
    VersionReader,
    sha256,
)
from voice_agent.knowledge.version_writer import IndexedDocument, VersionWriter

_UNFINISHED = ".building-"


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version in the list of those kept; `problem` says why one cannot be used."""

    version: str
    built_at: float
    documents: int = 0
    passages: int = 0
    refused: int = 0
    bytes: int = 0
    problem: str = ""


def version_id(parts: Mapping[str, Any], documents: Iterable[IndexedDocument] = ()) -> str:
    """Name of the version that these inputs give: 16 hexadecimal digits of their SHA-256."""
    described = json.dumps({"format": FORMAT, **parts}, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(described.encode("utf-8", "replace"))
    for document in documents:
        named = [document.id, document.title, document.source, document.digest]
        digest.update(json.dumps(named).encode())
    return digest.hexdigest()[:16]


class VersionStore:
    """The versions below one index folder."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._versions = index / "versions"
        self._pointer = index / "current"

    @contextmanager
    def building(self) -> Iterator[None]:
        """Keep other builds out, and clear what a killed one left behind.

        A disk that fills meanwhile is one clear line.

        Raises:
            BuildRunning: another process builds this index now.
            IndexUnusable: the index folder cannot be written.
        """
        with self.changing():
            for leftover in self._versions.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            for pointer in self._index.glob(".current-*"):
                pointer.unlink(missing_ok=True)
            try:
                yield
            except sqlite3.Error as error:
                raise IndexUnusable(f"{self._index}: cannot be written: {error}") from error

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep builds, promotions and rollbacks apart.

        Raises:
            BuildRunning: another process changes this index now.
            IndexUnusable: the index folder cannot be written.
        """
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            lock = (self._index / ".build.lock").open("w")
        except OSError as error:
            raise IndexUnusable(f"{self._index}: cannot be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BuildRunning(
                    f"{self._index}: another build is running; wait for it"
                ) from None
            yield

    def holds(self, version: str) -> bool:
        """Whether a complete version of this name is kept."""
        return bool(version) and (self._versions / version / "manifest.json").is_file()

    def intact(self, version: str) -> bool:
        """Whether a complete version of this name is kept and matches its checksums."""
        try:
            self._of(version).checked()
        except (IndexMissing, IndexUnusable):
            return False
        return True

    @contextmanager
    def writing(self, version: str, manifest: Mapping[str, Any]) -> Iterator[VersionWriter]:
        """Keep a version: complete when the block ends, or not at all.

        Replaces a damaged one of the same name. What the writer's ``manifest`` holds at the end
        is kept with it.

        Raises:
            IndexUnusable: the disk refuses (full, read-only).
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._versions))
            try:
                with VersionWriter(folder, manifest) as writer:
                    yield writer
                self._keep(folder, version, writer)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise IndexUnusable(f"{self._versions}: cannot be written: {reason}") from error

    def write(
        self,
        version: str,
        passages: Sequence[Passage],
        vectors: Vectors,
        manifest: Mapping[str, Any],
    ) -> None:
        """Keep a version that is in memory already (see `writing`).

        Raises:
            IndexUnusable: the disk refuses (full, read-only).
        """
        with self.writing(version, manifest) as writer:
            writer.add_passages(passages, vectors)

    def _keep(self, folder: Path, version: str, writer: VersionWriter) -> None:
        sums = {name: sha256(folder / name) for name in DATA_FILES}
        described = {
            "format": FORMAT,
            "version": version,
            "documents": writer.documents,
            "passages": writer.passages,
            **writer.manifest,
            "files": sums,
        }
        text = json.dumps(described, indent=1, ensure_ascii=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8", errors="replace")
        prepared.prepare_kept(folder, writer.passages)
        for path in folder.iterdir():
            _sync(path)
        folder.chmod(0o755)
        target = self._versions / version
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
        _sync(self._versions)

    def promote(self, version: str) -> None:
        """Make a kept version the current one, in one atomic step.

        Raises:
            IndexMissing: no complete version of this name is kept.
            IndexUnusable: the disk refuses.
        """
        if not self.holds(version):
            raise IndexMissing(f"{self._versions}: no version {version}")
        try:
            handle, name = tempfile.mkstemp(prefix=".current-", dir=self._index)
            with os.fdopen(handle, "w") as file:
                file.write(version + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(self._pointer)
            _sync(self._index)
        except OSError as error:
            raise IndexUnusable(f"{self._pointer}: cannot be written: {error.strerror}") from error

    def current(self) -> str:
        """The name of the current version; one small read.

        Raises:
            IndexMissing: nothing has been built.
        """
        try:
            version = self._pointer.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            version = ""
        if not version:
            raise IndexMissing(
                f"{self._index}: no knowledge index; run `voice-agent knowledge build`"
            )
        return version

    def current_or_none(self) -> str | None:
        """The name of the current version, if there is one."""
        try:
            return self.current()
        except IndexMissing:
            return None

    def kept(self) -> list[KeptVersion]:
        """Every version on the disk, newest first."""
        found = []
        for path in self._versions.glob("*/manifest.json"):
            folder = path.parent
            if folder.name.startswith("."):
                continue
            sizes = [each.stat().st_size for each in folder.rglob("*") if each.is_file()]
            built_at = path.stat().st_mtime
            try:
                manifest = self.manifest(folder.name)
            except (IndexMissing, IndexUnusable) as error:
                found.append(KeptVersion(folder.name, built_at, problem=str(error)))
                continue
            found.append(
                KeptVersion(
                    folder.name,
                    built_at,
                    manifest["documents"],
                    manifest["passages"],
                    int(manifest.get("refused_count", len(manifest.get("refused", ())))),
                    sum(sizes),
                )
            )
        return sorted(found, key=lambda kept: (kept.built_at, kept.version), reverse=True)

    def find(self, name: str) -> str:
        """The whole name of a kept version, of which the first digits will do.

        Raises:
            IndexMissing: none, or more than one, begins so.
        """
        if name in ("", "current"):
            return self.current()
        matching = [v.version for v in self.kept() if v.version.startswith(name)]
        if name in matching:
            return name
        if len(matching) > 1:
            raise IndexMissing(f"{self._versions}: {len(matching)} versions begin with {name}")
        if not matching:
            raise IndexMissing(f"{self._versions}: no version {name}")
        return matching[0]

    def remove(self, version: str) -> None:
        """Delete a version that is not current. Programs that have read it are not disturbed.

        Raises:
            IndexUnusable: it is the current one, or the disk refuses.
        """
        if version == self.current_or_none():
            raise IndexUnusable(f"knowledge version {version} answers calls; it is not removed")
        try:
            # the manifest goes first: without it the rest is no version
            (self._versions / version / "manifest.json").unlink(missing_ok=True)
            shutil.rmtree(self._versions / version)
        except FileNotFoundError:
            return
        except OSError as error:
            raise IndexUnusable(f"{self._versions}: cannot be written: {error.strerror}") from error

    def manifest(self, version: str) -> dict[str, Any]:
        """What a version is made of.

        Raises:
            IndexMissing, IndexUnusable: it is not kept, or not readable.
        """
        return self._of(version).manifest()

    def documents(self, version: str) -> Iterator[IndexedDocument]:
        """The documents of a version, in their order there.

        Raises:
            IndexMissing, IndexUnusable: it is not kept, or not readable.
        """
        return self._of(version).documents()

    def read(self, version: str) -> Version:
        """Open a version, checked against its checksums.

        Raises:
            IndexMissing, IndexUnusable: it is not kept, or is damaged.
        """
        return self._of(version).open()

    def _of(self, version: str) -> VersionReader:
        return VersionReader(self._versions / version)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
