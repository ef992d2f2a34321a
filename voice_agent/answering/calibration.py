"""From how alike a request is to a probability that can be believed. Pure but for its file.

One sharpness for all roads and a bias for each, which is temperature scaling with the biases of
vector scaling (Guo et al., On Calibration of Modern Neural Networks, 2017), and what strange words
say for out of scope. Fitted by Newton's method; the loss is convex, so the same requests always
give the same calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import Field, ValidationError

from telephony.settings import Section
from voice_agent.answering.road_examples import ROADS
from voice_agent.config import ConfigError
from voice_agent.reply import Road

Floats = npt.NDArray[np.floating]

_STEPS = 100
_ENOUGH = 1e-9
_START_SHARPNESS = 20.0
_HOLD = 0.5
"""Ridge on the biases: a road with few requests keeps near to no bias."""
_HOLD_SHARPNESS = 1e-3
_OUT = ROADS.index(Road.OUT_OF_SCOPE)
FEWEST = 2
"""Requests that each road needs for fitting."""


class CalibrationError(Exception):
    """Requests that no calibration can be fitted to; one line that says why."""

    code = "calibration_impossible"
    retryable = False


class Calibration(Section):
    """What turns scores into probabilities; ``configs/road_calibration.yaml``."""

    sharpness: float = Field(_START_SHARPNESS, gt=0, description="What scores are multiplied by")
    biases: dict[Road, float] = Field(default={}, description="What is added for each road")
    strange: float = Field(0.0, description="Added for out of scope for each strange word")
    embedder: str = Field("", description="Identity of the embedding model it was fitted with")
    examples: str = Field("", description="Digest of the examples it was fitted with")
    requests: int = Field(0, ge=0, description="How many requests it was fitted to")

    def probabilities(self, scores: Floats, strange: Floats) -> Floats:
        """Rows of probabilities over ``ROADS`` for rows of scores and counts of strange words."""
        biases = [self.biases.get(road, 0.0) for road in ROADS]
        values = np.array([self.sharpness, *biases, self.strange])
        return _probable(values, _centred(scores), np.asarray(strange, dtype=float))


@dataclass(frozen=True, slots=True)
class Bin:
    """Choices of about the same confidence, and how many of them were right (shares of 1)."""

    choices: int
    confidence: float
    right: float


def fit(scores: Floats, strange: Floats, roads: Sequence[Road]) -> Calibration:
    """The calibration under which these requests' roads are the most probable.

    Args:
        scores: a row for each request, a column for each of ``ROADS``.
        strange: how many strange words each request has.
        roads: the road each request should take.

    Raises:
        CalibrationError: a road has fewer than two requests.
    """
    truth = np.array([ROADS.index(road) for road in roads])
    few = [road for number, road in enumerate(ROADS) if (truth == number).sum() < FEWEST]
    if few:
        raise CalibrationError(f"each road needs {FEWEST} requests; too few of: {', '.join(few)}")
    centred, counts = _centred(scores), np.asarray(strange, dtype=float)
    values = np.zeros(len(ROADS) + 2)
    values[0] = _START_SHARPNESS
    loss = _loss(values, centred, counts, truth)
    for _ in range(_STEPS):
        step = _newton_step(values, centred, counts, truth)
        share = 1.0
        while (tried := values - share * step)[0] <= 0 or (
            share > _ENOUGH and _loss(tried, centred, counts, truth) > loss
        ):
            share /= 2
        values = tried
        before, loss = loss, _loss(values, centred, counts, truth)
        if before - loss < _ENOUGH:
            break
    sharpness, *biases, weight = (round(float(value), 4) for value in values)
    return Calibration(
        sharpness=sharpness,
        biases=dict(zip(ROADS, biases, strict=True)),
        strange=weight,
        requests=len(roads),
    )


def _probable(values: Floats, centred: Floats, strange: Floats) -> Floats:
    logits = values[0] * centred + values[1:-1]
    logits[:, _OUT] += values[-1] * strange
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _newton_step(
    values: Floats, centred: Floats, strange: Floats, truth: npt.NDArray[np.intp]
) -> Floats:
    probable = _probable(values, centred, strange)
    size, roads = len(values), len(ROADS)
    gradient, curvature = _holds() * (values - _held_at()), np.diag(_holds())
    for row, count, p, road in zip(centred, strange, probable, truth, strict=True):
        moves = np.zeros((roads, size))
        moves[:, 0], moves[:, 1:-1], moves[_OUT, -1] = row, np.eye(roads), count
        gradient += moves.T @ (p - np.eye(roads)[road])
        curvature += moves.T @ (np.diag(p) - np.outer(p, p)) @ moves
    return np.asarray(np.linalg.solve(curvature, gradient))


def _loss(values: Floats, centred: Floats, strange: Floats, truth: npt.NDArray[np.intp]) -> float:
    probable = _probable(values, centred, strange)[np.arange(len(truth)), truth]
    held = (_holds() * (values - _held_at()) ** 2).sum() / 2
    return float(held - np.log(probable + 1e-12).sum())


def _holds() -> Floats:
    return np.array([_HOLD_SHARPNESS, *[_HOLD] * (len(ROADS) + 1)])


def _held_at() -> Floats:
    return np.array([_START_SHARPNESS, *[0.0] * (len(ROADS) + 1)])


def _centred(scores: Floats) -> Floats:
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> list[Bin]:
    """Choices by confidence in ``bins`` equal steps from 0 to 1, the lowest first; none empty."""
    if len(confidences) != len(right):
        raise ValueError("a confidence for each choice")
    gathered: dict[int, list[tuple[float, bool]]] = {}
    for confidence, was_right in zip(confidences, right, strict=True):
        gathered.setdefault(min(bins - 1, int(confidence * bins)), []).append(
            (confidence, was_right)
        )
    return [
        Bin(
            len(choices),
            sum(confidence for confidence, _ in choices) / len(choices),
            sum(was_right for _, was_right in choices) / len(choices),
        )
        for _, choices in sorted(gathered.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The mean distance of confidence and truth (expected calibration error), 0 to 1."""
    choices = sum(each.choices for each in bins)
    if not choices:
        return 0.0
    return sum(each.choices * abs(each.confidence - each.right) for each in bins) / choices


def read_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        ConfigError: one line that says what is wrong with it and how to make it anew.
    """
    hint = "make it anew with `voice-agent answering calibrate`"
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Calibration.model_validate(raw)
    except OSError as error:
        raise ConfigError(
            f"answering.roads: {path} cannot be read: {error.strerror}; {hint}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        raise ConfigError(f"answering.roads: {path} is no calibration; {hint}") from error


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration, complete or not at all.

    Raises:
        ConfigError: it cannot be written there.
    """
    given = calibration.model_dump(mode="json")
    text = (
        "# How sure the router may be; made by `voice-agent answering calibrate`.\n"
        + yaml.safe_dump(given, sort_keys=False)
    )
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
