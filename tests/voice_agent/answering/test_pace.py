"""Whether waiting for the model is worth it."""

from __future__ import annotations

from voice_agent.answering.pace import MEASURE_AFTER, Pace


def test_a_model_nothing_is_known_of_is_asked() -> None:
    assert not Pace().hopeless(0.1)


def test_a_model_that_was_late_again_and_again_is_not_waited_for() -> None:
    pace = Pace()
    for _ in range(3):
        pace.note(1.5)
    assert pace.hopeless(0.4)
    assert not pace.hopeless(2.0)


def test_one_slow_answer_does_not_condemn_a_quick_model() -> None:
    pace = Pace()
    for took_s in (0.2, 0.2, 3.0):
        pace.note(took_s)
    assert not pace.hopeless(0.4)


def test_giving_up_early_says_nothing_good_about_the_model() -> None:
    pace = Pace()
    pace.note(1.5)
    pace.note_at_least(0.1)
    assert pace.expected_s == 1.5


def test_a_model_that_is_not_asked_is_measured_now_and_then() -> None:
    pace = Pace()
    pace.note(1.0)
    due = [pace.note_not_asked() for _ in range(3 * MEASURE_AFTER)]
    assert due.count(True) == 3
    assert pace.hopeless(0.5)


def test_a_measurement_counts_more_than_what_was_before() -> None:
    pace = Pace()
    for _ in range(5):
        pace.note(1.5)
    pace.note_measured(0.2)
    assert not pace.hopeless(0.4)
