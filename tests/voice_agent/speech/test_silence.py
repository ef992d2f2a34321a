"""A caller hears no more silence around speech than helps."""

from __future__ import annotations

import numpy as np
import pytest

from voice_agent.speech.silence import tail_after, trim

RATE_HZ = 22_050


def _quiet(ms: int) -> np.ndarray:
    return np.zeros(RATE_HZ * ms // 1000, np.float32)


def _loud(ms: int) -> np.ndarray:
    return np.full(RATE_HZ * ms // 1000, 0.5, np.float32)


def _around(audio: np.ndarray) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(audio) > 0.1)
    return loud[0] * 1000 / RATE_HZ, (len(audio) - loud[-1]) * 1000 / RATE_HZ


@pytest.mark.parametrize(("lead_ms", "tail_ms"), [(65, 300), (0, 0), (5, 20), (400, 1000)])
def test_speech_begins_and_ends_with_the_same_silence_whatever_the_voice_left(
    lead_ms: int, tail_ms: int
) -> None:
    audio = np.concatenate([_quiet(lead_ms), _loud(300), _quiet(tail_ms)])
    before, after = _around(trim(audio, RATE_HZ, tail_ms=150))
    assert before == pytest.approx(10, abs=6)
    assert after == pytest.approx(150, abs=6)


def test_a_pause_inside_speech_is_kept() -> None:
    audio = np.concatenate([_loud(100), _quiet(500), _loud(100)])
    assert len(trim(audio, RATE_HZ, tail_ms=0)) >= RATE_HZ * 700 // 1000


@pytest.mark.parametrize("audio", [_quiet(0), _quiet(3), _quiet(500)])
def test_silence_becomes_a_pause(audio: np.ndarray) -> None:
    trimmed = trim(audio, RATE_HZ, tail_ms=100)
    assert len(trimmed) == RATE_HZ // 10
    assert not trimmed.any()


def test_the_cut_audio_does_not_click() -> None:
    trimmed = trim(_loud(200), RATE_HZ, tail_ms=0)
    assert abs(trimmed[-1]) < 0.01


@pytest.mark.parametrize(
    ("shorter", "longer"), [("Sure,", "Sure."), ("Sure", "Sure,"), ("a word", 'he said "no."')]
)
def test_a_sentence_is_followed_by_more_silence_than_a_clause(shorter: str, longer: str) -> None:
    assert tail_after(shorter) < tail_after(longer)
