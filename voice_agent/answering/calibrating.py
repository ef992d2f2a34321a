"""Fit a calibration to requests whose roads are known, and say how honest it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice_agent.answering.calibration import (
    Bin,
    Calibration,
    Floats,
    calibration_error,
    fit,
    reliability,
)
from voice_agent.answering.road_chooser import RoadChooser
from voice_agent.answering.road_examples import ROADS
from voice_agent.answering.routed_requests import RoutedRequest
from voice_agent.knowledge.query import make_query
from voice_agent.reply import Road

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and how it does on requests that it was not fitted to (in turn, in fifths).

    ``before`` and ``after`` are choices by their confidence, without and with it; errors are the
    mean distances of confidence and truth, ``right`` the share of right choices.
    """

    calibration: Calibration
    before: list[Bin]
    after: list[Bin]
    error_before: float
    error_after: float
    right: float


def calibrate(chooser: RoadChooser, requests: Sequence[RoutedRequest], embedder: str) -> Fitted:
    """Fit to requests (blocking: about 7 ms each).

    Raises:
        CalibrationError: a road has too few of them.
    """
    roads = [request.road for request in requests]
    scores, strange = chooser.scored([make_query(r.history, r.text).text for r in requests])
    fitted = fit(scores, strange, roads)
    truth = np.array([ROADS.index(road) for road in roads])
    unfitted = Calibration().probabilities(scores, strange)
    held_out = _held_out(scores, strange, roads)
    before, after = _bins(unfitted, truth), _bins(held_out, truth)
    return Fitted(
        fitted.model_copy(update={"embedder": embedder, "examples": chooser.examples}),
        before,
        after,
        calibration_error(before),
        calibration_error(after),
        float((held_out.argmax(axis=1) == truth).mean()),
    )


def _held_out(scores: Floats, strange: Floats, roads: Sequence[Road]) -> Floats:
    """The probabilities of each fifth of the requests, fitted to the others."""
    probabilities = np.zeros_like(scores)
    fold_of = np.arange(len(roads)) % FOLDS
    for fold in range(FOLDS):
        here = np.flatnonzero(fold_of == fold).tolist()
        rest = np.flatnonzero(fold_of != fold).tolist()
        fitted = fit(scores[rest], strange[rest], [roads[row] for row in rest])
        probabilities[here] = fitted.probabilities(scores[here], strange[here])
    return probabilities


def _bins(probabilities: Floats, truth: npt.NDArray[np.intp]) -> list[Bin]:
    right = probabilities.argmax(axis=1) == truth
    return reliability(probabilities.max(axis=1).tolist(), right.tolist())
