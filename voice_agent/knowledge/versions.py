"""Index versions on disk: immutable folders named by their content, and which one is current.

    <index>/versions/<id>/manifest.json    what went in, what was refused, checksums
                          passages.jsonl   one passage a line
                          vectors.npy      float32, a row a passage
    <index>/current                        the id of the version that answers

A version is written beside its place and renamed into it, so half of one is never seen. The
vectors Qdrant searches are loaded from here, which keeps its own single-process folder lock
out of the way: any number of agents and commands may read a version at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.errors import BuildRunning, IndexMissing, IndexUnusable
from voice_agent.knowledge.passages import Passage

FORMAT = 1
_UNFINISHED = ".building-"
_DATA_FILES = ("passages.jsonl", "vectors.npy")


@dataclass(frozen=True, slots=True)
class Version:
    """One complete index, read into memory. `vectors` has a row for each passage, in order."""

    version: str
    embedder: str
    passages: tuple[Passage, ...]
    vectors: Vectors


def version_id(parts: Mapping[str, Any]) -> str:
    """Name of the version that these inputs give: 16 hexadecimal digits of their SHA-256."""
    described = json.dumps({"format": FORMAT, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(described.encode()).hexdigest()[:16]


class VersionStore:
    """The versions below one index folder."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._versions = index / "versions"
        self._pointer = index / "current"

    @contextmanager
    def building(self) -> Iterator[None]:
        """Keep other builds out, and clear what a killed one left behind.

        Raises:
            BuildRunning: another process builds this index now.
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
            for leftover in self._versions.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def holds(self, version: str) -> bool:
        """Whether a complete version of this name is kept."""
        return (self._versions / version / "manifest.json").is_file()

    def write(
        self,
        version: str,
        passages: Sequence[Passage],
        vectors: Vectors,
        manifest: Mapping[str, Any],
    ) -> None:
        """Keep a version: complete, or not at all. Replaces a damaged one of the same name.

        Raises:
            IndexUnusable: the disk refuses (full, read-only).
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._versions))
            try:
                with (folder / "passages.jsonl").open("w", encoding="utf-8") as lines:
                    for passage in passages:
                        fields = asdict(passage)
                        del fields["score"]
                        lines.write(json.dumps(fields, ensure_ascii=False) + "\n")
                np.save(folder / "vectors.npy", vectors, allow_pickle=False)
                sums = {name: _sha256(folder / name) for name in _DATA_FILES}
                described = {"format": FORMAT, "version": version, **manifest, "files": sums}
                text = json.dumps(described, indent=1, ensure_ascii=False)
                (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
                for path in folder.iterdir():
                    _sync(path)
                folder.chmod(0o755)
                target = self._versions / version
                if target.exists():
                    shutil.rmtree(target)
                folder.rename(target)
                _sync(self._versions)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise IndexUnusable(f"{self._versions}: cannot be written: {reason}") from error

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

    def manifest(self, version: str) -> dict[str, Any]:
        """What a version is made of.

        Raises:
            IndexMissing, IndexUnusable: it is not kept, or not readable.
        """
        path = self._versions / version / "manifest.json"
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise IndexMissing(f"{self._versions}: no version {version}") from error
        except (OSError, ValueError) as error:
            raise _damaged(version, "manifest.json") from error
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            raise IndexUnusable(
                f"knowledge version {version} has another format; run `voice-agent knowledge build`"
            )
        return described

    def read(self, version: str) -> Version:
        """Read a version, checked against its checksums.

        Raises:
            IndexMissing, IndexUnusable: it is not kept, or is damaged.
        """
        manifest = self.manifest(version)
        folder = self._versions / version
        for name in _DATA_FILES:
            try:
                intact = _sha256(folder / name) == manifest["files"][name]
            except (OSError, KeyError, TypeError) as error:
                raise _damaged(version, name) from error
            if not intact:
                raise _damaged(version, name)
        lines = (folder / "passages.jsonl").read_text(encoding="utf-8").splitlines()
        passages = tuple(Passage(**json.loads(line)) for line in lines)
        vectors: Vectors = np.load(folder / "vectors.npy", allow_pickle=False)
        if vectors.shape != (len(passages), DIMENSIONS):
            raise _damaged(version, "vectors.npy")
        return Version(version, str(manifest["embedder"]), passages, vectors)


def _damaged(version: str, name: str) -> IndexUnusable:
    return IndexUnusable(
        f"knowledge version {version} is damaged ({name}); run `voice-agent knowledge build`"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
