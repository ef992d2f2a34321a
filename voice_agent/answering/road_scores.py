"""How like the examples of each road a request is. Pure.

A road's score is the smooth maximum of the likenesses to its examples,
``t * log(sum(exp(l / t)))``: a kernel density with one width for all (Parzen, 1962) on a scale that
calibration can read. There is nothing to train: an example counts as soon as it is embedded. A
likeness is the cosine of the embeddings, and a little more when both are put in the same form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from voice_agent.answering.request_form import Form, form_of
from voice_agent.answering.road_examples import ROADS, Roads
from voice_agent.reply import Road

Floats = npt.NDArray[np.floating]

WIDTH = 0.08
"""Of the kernel, in cosine: examples this much farther off than the nearest count a third."""
SAME_FORM = 0.08
"""What the same form adds to the cosine."""


class RoadScores:
    """The examples of all roads, embedded."""

    def __init__(self, roads: Roads, vectors: Floats) -> None:
        """``vectors``: a row of length one for each of :func:`texts_of`, in that order."""
        groups = roads.groups()
        rows = [number for number, (_, group) in enumerate(groups) for _ in group.asked]
        self._groups = groups
        self._group_of = np.array(rows)
        self._road_of = np.array([ROADS.index(groups[row][0]) for row in rows])
        self._vectors = vectors
        self._forms = np.array([form_of(text) for text in texts_of(roads)])

    def scores(self, requests: Floats, forms: Sequence[Form]) -> Floats:
        """A row for each request, a column for each of ``ROADS``; higher is more alike."""
        same = np.array(forms)[:, None] == self._forms[None, :]
        likenesses = requests @ self._vectors.T + SAME_FORM * same
        return np.stack(
            [_smooth_maximum(likenesses[:, self._road_of == road]) for road in range(len(ROADS))],
            axis=1,
        )

    def nearest_group(self, request: Floats, road: Road) -> int | None:
        """The number of the group of a road that one request is most like; see ``Roads.groups``."""
        cosines = np.where(self._road_of == ROADS.index(road), self._vectors @ request, -np.inf)
        best = int(np.argmax(cosines))
        return int(self._group_of[best]) if np.isfinite(cosines[best]) else None


def texts_of(roads: Roads) -> list[str]:
    """The examples in the order their vectors are expected in."""
    return [text for _, group in roads.groups() for text in group.asked]


def _smooth_maximum(likenesses: Floats) -> Floats:
    highest = likenesses.max(axis=1, keepdims=True)
    total = np.exp((likenesses - highest) / WIDTH).sum(axis=1)
    return np.asarray(highest[:, 0] + WIDTH * np.log(total))
