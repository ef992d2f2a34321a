"""A caller hears no more silence around speech than helps."""

from __future__ import annotations

import numpy as np
import pytest

from voice_agent.speech.silence import Trimmer, tail_after

RATE_HZ = 22_050


def _quiet(ms: int) -> np.ndarray:
    return np.zeros(RATE_HZ * ms // 1000, np.float32)


def _loud(ms: int) -> np.ndarray:
    return np.full(RATE_HZ * ms // 1000, 0.5, np.float32)


def _trimmed(audio: np.ndarray, tail_ms: int, pieces: int = 1) -> np.ndarray:
    trimmer = Trimmer(RATE_HZ)
    kept = [trimmer.feed(piece) for piece in np.array_split(audio, pieces)]
    return np.concatenate([*kept, trimmer.finish(tail_ms)])


def _around(audio: np.ndarray) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(audio) > 0.1)
    return loud[0] * 1000 / RATE_HZ, (len(audio) - loud[-1]) * 1000 / RATE_HZ


@pytest.mark.parametrize(("lead_ms", "tail_ms"), [(65, 300), (0, 0), (5, 20), (400, 1000)])
def test_speech_begins_and_ends_with_the_same_silence_whatever_the_voice_left(
    lead_ms: int, tail_ms: int
) -> None:
    audio = np.concatenate([_quiet(lead_ms), _loud(300), _quiet(tail_ms)])
    before, after = _around(_trimmed(audio, 150))
    assert before == pytest.approx(10, abs=6)
    assert after == pytest.approx(150, abs=6)


def test_a_pause_inside_speech_is_kept() -> None:
    audio = np.concatenate([_loud(100), _quiet(500), _loud(100)])
    assert len(_trimmed(audio, 0)) >= RATE_HZ * 700 // 1000


@pytest.mark.parametrize("audio", [_quiet(0), _quiet(3), _quiet(500)])
def test_silence_becomes_a_pause(audio: np.ndarray) -> None:
    trimmed = _trimmed(audio, 100)
    assert len(trimmed) == RATE_HZ // 10
    assert not trimmed.any()


def test_the_cut_audio_does_not_click() -> None:
    noisy = np.concatenate([_quiet(50), _loud(200), np.full(4000, 0.002, np.float32)])
    trimmed = _trimmed(noisy, 20)
    assert abs(trimmed[0]) < 0.01
    assert abs(trimmed[-1]) < 0.0005


@pytest.mark.parametrize("pieces", [2, 7, 40, 400])
def test_it_does_not_matter_in_how_many_pieces_speech_comes(pieces: int) -> None:
    audio = np.concatenate([_quiet(65), _loud(300), _quiet(90), _loud(40), _quiet(300)])
    whole, pieced = _trimmed(audio, 150), _trimmed(audio, 150, pieces)
    assert len(pieced) == pytest.approx(len(whole), abs=RATE_HZ // 100)
    assert np.sum(pieced > 0.1) == pytest.approx(np.sum(whole > 0.1), abs=RATE_HZ // 100)


@pytest.mark.parametrize(
    ("shorter", "longer"), [("Sure,", "Sure."), ("Sure", "Sure,"), ("a word", 'he said "no."')]
)
def test_a_sentence_is_followed_by_more_silence_than_a_clause(shorter: str, longer: str) -> None:
    assert tail_after(shorter) < tail_after(longer)
