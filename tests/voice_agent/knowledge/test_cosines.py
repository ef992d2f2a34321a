"""Every row compared, in blocks that any number of threads share."""

from __future__ import annotations

import numpy as np
import pytest

from voice_agent.knowledge.cosines import BLOCK_ROWS, cosines
from voice_agent.knowledge.embedder import DIMENSIONS


@pytest.mark.parametrize("rows", [1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 17])
def test_blocks_give_the_bytes_that_one_pass_gives(rows: int) -> None:
    vectors = np.random.default_rng(rows).standard_normal((rows, DIMENSIONS), dtype=np.float32)
    found = cosines(vectors, vectors[-1])
    assert found.tobytes() == np.vecdot(vectors, vectors[-1]).tobytes()


def test_no_rows_are_near_to_nothing() -> None:
    assert not len(cosines(np.zeros((0, DIMENSIONS), np.float32), np.ones(DIMENSIONS, np.float32)))
