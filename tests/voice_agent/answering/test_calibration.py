"""A confidence that can be believed: fitting, what it promises, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voice_agent.answering.calibration import (
    Calibration,
    CalibrationError,
    calibration_error,
    fit,
    read_calibration,
    reliability,
    write_calibration,
)
from voice_agent.answering.calibration_plot import plot
from voice_agent.answering.road_examples import ROADS
from voice_agent.config import ConfigError
from voice_agent.reply import Road

OUT = ROADS.index(Road.OUT_OF_SCOPE)


def _drawn(
    truth: Calibration, requests: int, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, list[Road]]:
    """Requests whose roads are as probable as a calibration says."""
    random = np.random.default_rng(seed)
    scores = random.normal(0.5, 0.1, (requests, len(ROADS)))
    strange = random.integers(0, 3, requests).astype(float)
    chances = truth.probabilities(scores, strange)
    return scores, strange, [ROADS[random.choice(len(ROADS), p=row)] for row in chances]


def test_fitting_finds_what_the_requests_were_drawn_with() -> None:
    truth = Calibration(sharpness=12.0, biases={Road.PERSON: 1.0}, strange=0.8)
    fitted = fit(*_drawn(truth, 4000))
    assert fitted.sharpness == pytest.approx(12.0, rel=0.1)
    assert fitted.strange == pytest.approx(0.8, abs=0.2)
    gap = fitted.biases[Road.PERSON] - fitted.biases[Road.ANSWER]
    assert gap == pytest.approx(1.0, abs=0.25)
    assert fitted.requests == 4000


def test_fitted_confidence_is_true_of_requests_it_was_not_fitted_to() -> None:
    truth = Calibration(sharpness=12.0, strange=0.8)
    fitted = fit(*_drawn(truth, 2000))
    scores, strange, roads = _drawn(truth, 2000, seed=2)

    def error(calibration: Calibration) -> float:
        sure = calibration.probabilities(scores, strange)
        right = [ROADS[row.argmax()] is road for row, road in zip(sure, roads, strict=True)]
        return calibration_error(reliability(sure.max(axis=1).tolist(), right))

    assert error(fitted) < 0.05 < error(Calibration(sharpness=60.0))


def test_the_same_requests_give_the_same_calibration() -> None:
    drawn = _drawn(Calibration(sharpness=12.0), 200)
    assert fit(*drawn) == fit(*drawn)


def test_requests_that_examples_tell_apart_for_sure_still_give_a_calibration() -> None:
    roads = [road for road in ROADS for _ in range(3)]
    scores = np.array([[1.0 if road is each else 0.0 for each in ROADS] for road in roads])
    fitted = fit(scores, np.zeros(len(roads)), roads)
    assert np.isfinite(fitted.sharpness)
    assert (fitted.probabilities(scores, np.zeros(len(roads))).max(axis=1) > 0.95).all()


def test_a_road_with_too_few_requests_is_named() -> None:
    roads = [road for road in ROADS if road is not Road.PERSON] * 2
    with pytest.raises(CalibrationError, match="person"):
        fit(np.zeros((len(roads), len(ROADS))), np.zeros(len(roads)), roads)


def test_probabilities_add_up_and_strange_words_speak_for_out_of_scope() -> None:
    scores = np.array([[0.5] * len(ROADS), [0.5] * len(ROADS)])
    familiar, strange = Calibration(strange=1.0).probabilities(scores, np.array([0.0, 2.0]))
    assert familiar.sum() == pytest.approx(1.0)
    assert strange.sum() == pytest.approx(1.0)
    assert strange[OUT] > familiar[OUT]


def test_bins_hold_every_choice_once() -> None:
    bins = reliability([0.05, 0.55, 0.58, 1.0], [False, True, False, True])
    assert [(b.choices, b.right) for b in bins] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert calibration_error(bins) == pytest.approx((0.05 + 2 * 0.065 + 0.0) / 4)
    assert calibration_error([]) == 0.0


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    calibration = Calibration(sharpness=40.0, biases={Road.ANSWER: 0.5}, embedder="e", requests=9)
    path = tmp_path / "new" / "calibration.yaml"
    write_calibration(path, calibration)
    assert read_calibration(path) == calibration
    assert [each.name for each in path.parent.iterdir()] == ["calibration.yaml"]


@pytest.mark.parametrize("content", ["sharpness: -1", "sharpness: [", "biases: {moon: 1}", "7"])
def test_a_damaged_file_says_how_to_make_it_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="answering calibrate"):
        read_calibration(path)


def test_the_picture_says_in_words_what_it_shows() -> None:
    bins = reliability([0.9, 0.9], [True, False])
    picture = plot(bins, bins, 0.85, "Roads & truth")
    assert picture.startswith("<svg")
    assert "Roads &amp; truth" in picture
    assert "Of choices about 90% sure 50% were right." in picture
    assert "answers alone from 0.85" in picture
