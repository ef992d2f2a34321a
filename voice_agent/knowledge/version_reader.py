"""One version's folder, read and checked. A half or damaged one is never used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voice_agent.knowledge import prepared
from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.errors import IndexMissing, IndexUnusable
from voice_agent.knowledge.passage_lines import PassageLines
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.version_writer import IndexedDocument

FORMAT = 2
DATA_FILES = ("documents.jsonl", "passages.jsonl", "vectors.npy")


@dataclass(frozen=True, slots=True)
class Version:
    """One complete index. `vectors` has a row for each passage, in order.

    Both are read from the disk as they are used.
    """

    version: str
    embedder: str
    passages: Sequence[Passage]
    vectors: Vectors
    folder: Path | None = None
    """Where it is kept; None: nowhere."""

    def prepare(self) -> prepared.Prepared:
        """What its passages are compared by besides their meaning: as kept, or made anew."""
        kept = self.folder and prepared.open_kept(self.folder, len(self.passages))
        if kept:
            return kept
        made = prepared.prepare(self.passages)
        if self.folder is not None:
            with suppress(OSError):  # the next one that opens it makes it again
                prepared.keep(made, self.folder)
        return made


class VersionReader:
    """The folder of one version, which may be missing.

    Raises:
        IndexMissing, IndexUnusable: from every method, where it is not kept or not readable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._version = folder.name

    def manifest(self) -> dict[str, Any]:
        """What the version is made of."""
        try:
            described = json.loads((self._folder / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise IndexMissing(f"{self._folder.parent}: no version {self._version}") from error
        except (OSError, ValueError) as error:
            raise self._damaged("manifest.json") from error
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            raise IndexUnusable(
                f"knowledge version {self._version} has another format; "
                "run `voice-agent knowledge build`"
            )
        return described

    def documents(self) -> Iterator[IndexedDocument]:
        """Its documents, in their order there."""
        self.manifest()
        try:
            with (self._folder / "documents.jsonl").open(encoding="utf-8") as lines:
                for line in lines:
                    yield IndexedDocument(**json.loads(line))
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged("documents.jsonl") from error

    def checked(self) -> dict[str, Any]:
        """Its manifest, once every file has matched its checksum."""
        manifest = self.manifest()
        for name in DATA_FILES:
            try:
                intact = sha256(self._folder / name) == manifest["files"][name]
            except (OSError, KeyError, TypeError) as error:
                raise self._damaged(name) from error
            if not intact:
                raise self._damaged(name)
        return manifest

    def open(self) -> Version:
        """The version, checked against its checksums."""
        manifest = self.checked()
        passages = PassageLines(self._folder / "passages.jsonl")
        vectors: Vectors
        if passages:
            vectors = np.load(self._folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
        else:  # nothing cannot be mapped
            vectors = np.load(self._folder / "vectors.npy", allow_pickle=False)
        if vectors.shape != (len(passages), DIMENSIONS):
            raise self._damaged("vectors.npy")
        embedder = str(manifest["embedder"])
        return Version(self._version, embedder, passages, vectors, self._folder)

    def _damaged(self, name: str) -> IndexUnusable:
        return IndexUnusable(
            f"knowledge version {self._version} is damaged ({name}); "
            "run `voice-agent knowledge build`"
        )


def sha256(path: Path) -> str:
    """A file's checksum, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
