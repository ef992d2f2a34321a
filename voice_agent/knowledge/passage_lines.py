"""A version's passages as they lie on disk: any row in one small read, never all in memory."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import overload

import numpy as np

from voice_agent.knowledge.passages import Passage


def line_of(passage: Passage) -> bytes:
    """A passage as one line of JSON, without its score: always the same bytes."""
    fields = asdict(passage)
    del fields["score"]
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class PassageLines(Sequence[Passage]):
    """The lines of a ``passages.jsonl``; the file may be deleted while this is in use."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            starts = [0]
            for line in file:
                starts.append(starts[-1] + len(line))
            self._starts = np.array(starts, dtype=np.int64)
            # an empty file cannot be mapped
            self._bytes: mmap.mmap | bytes = (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if starts[-1] else b""
            )

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> Passage: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Passage, ...]: ...
    def __getitem__(self, row: int | slice) -> Passage | tuple[Passage, ...]:
        if isinstance(row, slice):
            return tuple(self[each] for each in range(*row.indices(len(self))))
        at = row + len(self) if row < 0 else row
        if not 0 <= at < len(self):
            raise IndexError(row)
        return Passage(**json.loads(self._bytes[self._starts[at] : self._starts[at + 1]]))

    def __iter__(self) -> Iterator[Passage]:
        for row in range(len(self)):
            yield self[row]
