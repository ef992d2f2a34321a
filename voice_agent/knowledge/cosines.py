"""How near every passage is to a question, on the cores that are idle."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from voice_agent.knowledge.embedder import Vectors

BLOCK_ROWS = 8_192
_MOST_HELPERS = 4


def cosines(vectors: Vectors, meaning: Vectors) -> Vectors:
    """The cosine of each of ``(rows, 384)`` vectors of length one with one of them, ``(384,)``.

    Row by row, never as one product: the same bytes on any number of cores, busy or not.
    """
    found = np.empty(len(vectors), dtype=np.float32)
    if len(vectors) <= BLOCK_ROWS:
        np.vecdot(vectors, meaning, out=found)
        return found

    def compare(start: int) -> None:
        rows = slice(start, start + BLOCK_ROWS)
        np.vecdot(vectors[rows], meaning, out=found[rows])

    for _ in _helpers().map(compare, range(0, len(vectors), BLOCK_ROWS)):
        pass
    return found


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(_MOST_HELPERS, os.cpu_count() or 1), "cosines")
