"""Delays and false cut-ins of the turn engine on recorded speech."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Never

import numpy as np
import pytest
import soundfile

from evals.latency.recorded import Recorded
from evals.latency.turn_curve import main, table, variants, voice_lag_ms
from evals.latency.turn_outcome import Outcome, PauseSeen, outcome, percentile, point
from evals.latency.turn_replay import (
    LEAD_MS,
    Commit,
    Costs,
    Heard,
    Judges,
    over_the_telephone,
    replay,
)
from evals.wire_audio import RATE_HZ, Samples, Span
from voice_agent.config import TurnSettings

SETTINGS = TurnSettings(end_silence_ms=240, max_silence_ms=1600, complete_threshold=0.8)


def heard(*speaks: tuple[int, int], frames: int = 300) -> Heard:
    """Somebody who speaks from ms to ms of the recording, as the detector would have it."""
    spans = [Span(RATE_HZ * a // 1000, RATE_HZ * b // 1000) for a, b in speaks]
    pauses = tuple(Span(a.end, b.start) for a, b in pairwise(spans))
    recorded = Recorded("r", np.zeros(1, np.int16), spans[0].start, spans[-1].end, pauses)
    ends = [(number + 1) * 20 - LEAD_MS for number in range(frames)]
    voice = tuple(float(any(a < end <= b for a, b in speaks)) for end in ends)
    levels = tuple(-24.0 if each else -90.0 for each in voice)
    return Heard(recorded, np.zeros(frames * 320, np.int16), voice, levels)


def unloaded() -> Never:
    raise AssertionError("no model is needed here")


class Fixed(Judges):
    """Answers known beforehand, at the models' edge; counts how often it is asked."""

    def __init__(
        self, folder: Path, text: str, probability: float, trails_off: float = -4.5
    ) -> None:
        super().__init__(unloaded, "fixed", unloaded, "", folder / "bench" / "turns.sqlite")
        self.text, self.probability, self.asked = text, probability, 0
        self.trails_off = trails_off

    def _transcribe(self, samples: Samples) -> str:
        self.asked += 1
        return self.text

    def _complete(self, samples: Samples) -> str:
        return str(self.probability)

    def _trailing(self, text: str, samples: Samples) -> str:
        return str(self.trails_off)


def test_a_sure_end_is_committed_soon_and_a_doubtful_one_late(tmp_path: Path) -> None:
    caller = heard((0, 1000))
    delays = []
    for number, probability in enumerate((0.99, 0.01)):
        with Fixed(tmp_path / str(number), "How much is it", probability) as judges:
            commits = replay(caller, SETTINGS, judges, Costs())
        assert [commit.text for commit in commits] == ["How much is it"]
        delays.append(outcome(caller, commits).delay_ms)
    assert delays == [pytest.approx(240, abs=20), pytest.approx(1600, abs=20)]


def test_a_commit_waits_for_its_words(tmp_path: Path) -> None:
    with Fixed(tmp_path, "Yes please", 0.99) as judges:
        late = replay(heard((0, 1000)), SETTINGS, judges, Costs(transcribe_ms=800))
    (only,) = late
    assert only.at_ms >= LEAD_MS + 1000 + SETTINGS.speculate_ms + 800


def test_a_pause_that_sounds_like_an_end_is_a_false_cut_in(tmp_path: Path) -> None:
    caller = heard((0, 2000), (2800, 4600))
    with Fixed(tmp_path, "I have a sofa", 0.995) as judges:
        result = outcome(caller, replay(caller, SETTINGS, judges, Costs()))
    assert result.pauses == (PauseSeen(800.0, pytest.approx(240, abs=20), "I have a sofa"),)
    assert result.delay_ms == pytest.approx(240, abs=20)
    with Fixed(tmp_path / "b", "I have a sofa", 0.01) as judges:
        result = outcome(caller, replay(caller, SETTINGS, judges, Costs()))
    assert [pause.cut_in_ms for pause in result.pauses] == [None]


def test_words_that_trail_off_are_waited_for(tmp_path: Path) -> None:
    caller = heard((0, 2000))
    delays = []
    for number, trails_off in enumerate((-8.0, -4.5, -1.0)):
        with Fixed(tmp_path / str(number), "I have a sofa", 0.8, trails_off) as judges:
            delays.append(outcome(caller, replay(caller, SETTINGS, judges, Costs())).delay_ms)
    first, second, third = (delay or 0.0 for delay in delays)
    assert 0 < first < second < third


def test_answers_are_kept_by_content(tmp_path: Path) -> None:
    silence, other = np.zeros(160, np.int16), np.ones(160, np.int16)
    with Fixed(tmp_path, "Hello", 0.5) as judges:
        assert [judges.transcribe(each) for each in (silence, silence, other)] == ["Hello"] * 3
        assert judges.asked == 2
    with Fixed(tmp_path, "Else", 0.5) as again:
        assert again.transcribe(silence) == "Hello"
        assert again.complete(silence) == 0.5
        assert again.asked == 0


def test_which_commits_count_as_what() -> None:
    caller = heard((0, 1000), (1800, 2600))
    at = [LEAD_MS + ms for ms in (500, 1850, 3000, 3500)]
    result = outcome(caller, [Commit(ms, "w") for ms in at])
    assert result.pauses[0].cut_in_ms == 850  # noticed a little after the caller went on
    assert (result.strays, result.delay_ms) == (1, 400)
    assert outcome(caller, []).delay_ms is None


def test_only_the_pauses_in_question_count_and_spliced_utterances_not_twice() -> None:
    short, own, new = PauseSeen(300, 250, ""), PauseSeen(700, None, ""), PauseSeen(800, 300, "")
    plain = Outcome("a", 260, (short, own), 0)
    spliced = Outcome("a+800ms", 900, (short, own, new), 1)
    figures = point(SETTINGS, [plain, spliced], frozenset({"a+800ms"}))
    assert (figures.pauses, figures.false_cut_ins, figures.false_cut_in_rate) == (2, 1, 0.5)
    assert (figures.ends, figures.missed, figures.strays) == (1, 0, 1)
    assert (figures.delay_p50_ms, figures.delay_p95_ms) == (260, 260)
    nothing = point(SETTINGS, [], frozenset())
    assert (nothing.false_cut_in_rate, nothing.delay_p50_ms) == (None, None)


def test_how_late_the_detector_lets_go() -> None:
    assert voice_lag_ms(heard((0, 1000)), 0.35) == 0
    late = heard((0, 1000))
    voice = tuple(each or float(80 <= number < 84) for number, each in enumerate(late.voice))
    slow = Heard(late.recorded, late.audio, voice, late.level_db)
    assert voice_lag_ms(slow, 0.35) == 80


def test_telephone_audio_is_twice_as_many_samples_and_still_the_same_sound() -> None:
    at = np.arange(RATE_HZ) / RATE_HZ
    tone = np.rint(8000 * np.sin(2 * np.pi * 400 * at)).astype(np.int16)
    wide = over_the_telephone(tone)
    assert len(wide) == 2 * len(tone)
    assert np.sqrt(np.mean(wide.astype(float) ** 2)) == pytest.approx(8000 / 2**0.5, rel=0.02)


def test_every_dial_is_turned_alone_and_the_table_shows_it() -> None:
    turned = variants(SETTINGS)
    assert turned[0] == SETTINGS
    assert all(
        (each.complete_threshold == SETTINGS.complete_threshold)
        or (each.end_silence_ms == SETTINGS.end_silence_ms)
        for each in turned
    )
    row = {"threshold": 0.5, "end_silence_ms": 240, "delay_p50_ms": 260.0, "delay_p95_ms": None}
    row |= {"missed": 0, "ends": 3, "false_cut_in_rate": None, "false_cut_ins": 0, "pauses": 0}
    assert table({"points": [row, row]}).row_count == 2
    assert percentile([], 50) is None


def test_material_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--speech", str(tmp_path)]) == 2
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE_HZ, np.int16), RATE_HZ)
    assert main(["--speech", str(tmp_path)]) == 2
    assert main(["--speech", str(tmp_path), "--config", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 3
