"""Whisper's features, computed piece by piece as the caller speaks."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from voice_agent.speech.log_mel import LogMel, lasting, scaled

EXTRACTOR = FeatureExtractor()


def _speech(samples: int) -> np.ndarray:
    loudness = np.linspace(10, 6_000, samples)
    return (np.random.default_rng(samples).normal(0, 1, samples) * loudness).astype(np.int16)


@pytest.mark.parametrize("samples", [400, 1_280, 1_281, 16_159, 80_000])
def test_the_features_are_those_of_faster_whisper(samples: int) -> None:
    speech = _speech(samples)
    theirs = EXTRACTOR(speech.astype(np.float32) / 32768.0)
    ours = scaled(LogMel(EXTRACTOR.mel_filters).frames(speech))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("step", [400, 1_600, 6_400, 7_001])
def test_features_of_a_growing_utterance_are_those_of_the_whole(step: int) -> None:
    speech = _speech(40_000)
    log_mel = LogMel(EXTRACTOR.mel_filters)
    known = None
    for until in range(step, len(speech), step):
        known = lasting(log_mel.frames(speech[:until], known), until)
    np.testing.assert_allclose(log_mel.frames(speech, known), log_mel.frames(speech), atol=1e-5)


def test_more_bands_than_frequencies_leave_no_band_undefined() -> None:
    filters = FeatureExtractor.get_mel_filters(16_000, 400, n_mels=200).astype(np.float32)
    speech = _speech(16_000)
    extractor = FeatureExtractor(feature_size=200)
    theirs = extractor(speech.astype(np.float32) / 32768.0)
    np.testing.assert_allclose(scaled(LogMel(filters).frames(speech)), theirs, atol=1e-5)
