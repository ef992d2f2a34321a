"""Whether waiting for the model is worth it."""

from __future__ import annotations

from voice_agent.answering.pace import Pace


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


def test_a_model_that_is_never_asked_is_tried_again_some_day() -> None:
    pace = Pace()
    pace.note(1.0)
    asked_after = 0
    while pace.hopeless(0.5):
        pace.note_not_asked()
        asked_after += 1
    assert 5 < asked_after < 100
