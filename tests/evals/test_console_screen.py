"""What counts as shown on a supervisor's screen, and when."""

from __future__ import annotations

from typing import Any

from evals.console_screen import TimedCalls, reached, waits_ms

FIGURES: dict[str, Any] = {
    "event_to_screen_p95_ms": 120.0,
    "page_cpu_share": 0.1,
    "never_shown": 0,
    "console_errors": 0,
}


def test_a_turn_is_on_screen_when_its_own_wait_is_shown() -> None:
    told = {"a": [(480, 10.0), (1612, 12.0)], "b": [(480, 11.0)]}
    shown = [("a", "480 ms", 10.05), ("b", "480 ms", 11.1), ("a", "1,612 ms", 12.2)]
    waits, never = waits_ms(told, shown)
    assert [round(each) for each in waits] == [50, 100, 200]
    assert never == 0


def test_a_turn_that_the_next_overtook_is_shown_with_it() -> None:
    waits, never = waits_ms({"a": [(480, 10.0), (700, 10.1)]}, [("a", "700 ms", 10.2)])
    assert [round(each) for each in waits] == [200, 100]
    assert never == 0


def test_turns_that_nothing_shows_are_counted() -> None:
    assert waits_ms({"a": [(480, 10.0)]}, [("a", "–", 10.2), ("c", "480 ms", 10.3)]) == ([], 1)


def test_a_wait_that_repeats_the_last_one_is_not_waited_for() -> None:
    simulated = TimedCalls(1)
    call_id = next(iter(simulated.live))
    for wait_ms in (480, 480, 700):
        simulated._tell("turn", call_id=call_id, data={"voice_to_voice_ms": wait_ms})
    assert [wait_ms for wait_ms, _ in simulated.told[call_id]] == [480, 700]


def test_every_figure_must_be_reached() -> None:
    assert reached(FIGURES)
    for missed in (
        {"event_to_screen_p95_ms": 501.0},
        {"event_to_screen_p95_ms": None},
        {"page_cpu_share": 0.31},
        {"never_shown": 1},
        {"console_errors": 1},
    ):
        assert not reached(FIGURES | missed)
