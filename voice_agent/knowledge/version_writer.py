"""The files of a version that is being written, a part at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.passage_lines import line_of
from voice_agent.knowledge.passages import Passage


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document in a version; `digest` is the SHA-256 of all that it gives to the index."""

    id: str
    title: str
    source: str
    digest: str
    passages: int = 0


class VersionWriter:
    """The files of a version that is being written, a part at a time."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.manifest = dict(manifest)
        self.documents = 0
        self.passages = 0
        self._listed = (folder / "documents.jsonl").open("wb")
        self._lines = (folder / "passages.jsonl").open("wb")
        self._vectors = (folder / "vectors.npy").open("wb")
        self._write_header()

    def __enter__(self) -> VersionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._vectors.seek(0)
            self._write_header()
        finally:
            for file in (self._listed, self._lines, self._vectors):
                file.close()

    def add_document(self, document: IndexedDocument) -> None:
        """List a document."""
        self._listed.write(json.dumps(asdict(document)).encode() + b"\n")
        self.documents += 1

    def add_passages(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        """Add passages with a row of ``vectors`` for each."""
        if vectors.shape != (len(passages), DIMENSIONS):
            raise ValueError(f"{len(passages)} passages, vectors {vectors.shape}")
        for passage in passages:
            self._lines.write(line_of(passage))
        self._vectors.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self.passages += len(passages)

    def _write_header(self) -> None:
        # numpy leaves room in the header, so that a longer number of rows takes the same bytes
        np.lib.format.write_array_header_1_0(
            self._vectors,
            {"descr": "<f4", "fortran_order": False, "shape": (self.passages, DIMENSIONS)},
        )
