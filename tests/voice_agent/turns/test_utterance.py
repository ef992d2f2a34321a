"""Audio addressed by audio time, and where its sound ends."""

from __future__ import annotations

import numpy as np
import pytest

from tests.voice_agent.fakes import FRAME, voice
from voice_agent.turns.utterance import RecentAudio, last_voiced_ms, level_db


def test_a_sample_arrives_before_the_end_of_its_frame() -> None:
    audio = RecentAudio(1000)
    for number in range(1, 6):
        audio.append(b"\0" * FRAME, number * 20, 50.0 + number * 0.02)
    assert audio.arrived_at(100) == pytest.approx(50.1)
    assert audio.arrived_at(65) == pytest.approx(50.065)


def test_nothing_has_arrived_before_the_first_frame() -> None:
    assert RecentAudio(1000).arrived_at(20) == 0.0


def test_sound_ends_where_it_falls_into_the_background() -> None:
    speech = np.frombuffer(voice(500), np.int16)
    hiss = np.random.default_rng(1).normal(0, 40, 16 * 300).astype(np.int16)
    assert last_voiced_ms(np.concatenate((speech, hiss))) == pytest.approx(500, abs=10)
    assert last_voiced_ms(hiss[:0]) == 0


def test_levels_are_in_decibels_of_full_scale() -> None:
    full = np.full(320, 32767, np.int16)
    assert level_db(full.tobytes()) == pytest.approx(0, abs=0.1)
    assert level_db((full // 10).tobytes()) == pytest.approx(-20, abs=0.1)
    assert level_db(b"") == -96.0
