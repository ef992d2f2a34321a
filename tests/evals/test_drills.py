"""How a drill hears, judges, and comes again every day."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from evals.drills import record
from evals.drills.hearing import clicks, longest_gap_ms, tone_begins_s
from evals.drills.kill_switch import Takeover, judged
from evals.drills.record import keep, kept, next_drill, watch
from evals.wire_audio import RATE_HZ, Samples
from telephony.audio import faded_in, faded_out
from voice_agent.config import DrillSettings


def tone(hz: float, ms: int, level: int = 8_000) -> Samples:
    at = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.rint(level * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def test_a_tone_is_told_from_another_near_to_it() -> None:
    heard = np.concatenate((tone(200, 500), tone(300, 500)))
    assert tone_begins_s(heard, 300, 0.0, 200) == pytest.approx(0.5, abs=0.021)
    assert tone_begins_s(heard, 1_370, 0.0) is None
    assert tone_begins_s(tone(200, 500), 300, 0.0, 200) is None


def test_silence_is_a_gap_and_a_cut_is_a_click() -> None:
    quiet = np.zeros(RATE_HZ * 80 // 1000, np.int16)
    assert longest_gap_ms(np.concatenate((tone(200, 300), quiet, tone(300, 300)))) == 80.0
    assert clicks(np.concatenate((tone(200, 300), tone(300, 300)))) == 0
    # a quarter of a period in, the tone is at its top
    assert clicks(np.concatenate((tone(200, 300)[:-30], tone(300, 300)))) == 1


def test_a_cut_that_is_faded_is_no_click() -> None:
    wave = (8_000 * np.sin(2 * np.pi * 200 * (np.arange(640) + 17) / 16_000)).astype("<i2")
    out, into = faded_out(wave.tobytes()[:640]), faded_in(wave.tobytes()[640:])
    joined = np.frombuffer(wave.tobytes()[:640] + out + into, "<i2").astype(float)
    assert abs(joined[639]) < 50


GOOD = Takeover(120.0, 20.0, 0)


@pytest.mark.parametrize(
    ("live", "new", "dropped", "taken", "missed"),
    [
        ([0.6, 1.0], [1.0, 0.2], 0, [GOOD], ()),
        ([0.6, 5.1], [1.0], 0, [GOOD], ("live_calls_s",)),
        ([0.6, None], [1.0], 0, [GOOD], ("live_calls_s",)),
        ([0.6], [2.1], 0, [GOOD], ("new_calls_s",)),
        ([0.6], [1.0], 1, [GOOD], ("dropped",)),
        ([0.6], [1.0], 0, [GOOD, Takeover(None, float("inf"), 0)], ("takeover_p95_ms",)),
        ([0.6], [1.0], 0, [Takeover(120.0, 61.0, 0)], ("takeover_gap_ms",)),
        ([0.6], [1.0], 0, [Takeover(120.0, 10.0, 1)], ("takeover_clicks",)),
        ([0.6], [1.0], 0, [], ()),
    ],
)
def test_a_missed_figure_is_named(
    live: list[float | None],
    new: list[float | None],
    dropped: int,
    taken: list[Takeover],
    missed: tuple[str, ...],
) -> None:
    figures = judged(len(live), live, new, dropped, taken)
    assert set(missed) <= set(figures.missed)
    assert figures.reached is (not missed)
    json.dumps(figures.as_dict(), allow_nan=False)


def test_every_drill_is_kept_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "var" / "drills.jsonl"
    keep(path, "kill-switch", judged(1, [0.5], [0.5], 0, []))
    with path.open("a") as file:
        file.write('{"drill": "kill-sw')
    assert [(each["drill"], each["reached"]) for each in kept(path)] == [("kill-switch", True)]
    assert kept(tmp_path / "none") == []


def test_the_next_drill_is_today_or_tomorrow_at_its_time() -> None:
    assert next_drill(datetime(2026, 1, 31, 3, 0), "03:30") == datetime(2026, 1, 31, 3, 30)
    assert next_drill(datetime(2026, 1, 31, 3, 30), "03:30") == datetime(2026, 2, 1, 3, 30)


class Enough(Exception):
    """The test has seen what it wanted."""


def test_a_clock_that_jumps_costs_no_more_than_one_drill(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drilled: list[datetime] = []
    now = [datetime(2026, 1, 1, 3, 0)]
    later = iter(
        [
            datetime(2026, 1, 1, 3, 10),
            datetime(2026, 1, 5, 12, 0),  # jumps ahead: one drill, not four
            datetime(2026, 1, 5, 12, 1),
            datetime(2026, 1, 1, 3, 0),  # and back: the next is not days away
            datetime(2026, 1, 1, 3, 31),
        ]
    )

    def sleep(_: float) -> None:
        try:
            now[0] = next(later)
        except StopIteration as error:
            raise Enough from error

    class Done:
        returncode = 0

    def drill(*_: object, **__: object) -> Done:
        drilled.append(now[0])
        return Done()

    monkeypatch.setattr(record.subprocess, "run", drill)
    settings = DrillSettings(kill_switch_at="03:30", record=tmp_path / "d")
    with pytest.raises(Enough):
        watch(settings, tmp_path / "c.yaml", now=lambda: now[0], sleep=sleep)
    assert drilled == [datetime(2026, 1, 5, 12, 0), datetime(2026, 1, 1, 3, 31)]
