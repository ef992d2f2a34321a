"""From turns to figures, and each wait laid out in parts."""

from __future__ import annotations

from typing import Any

import pytest

from evals.latency.figures import BY_NAME, written
from evals.latency.summary import summarise
from evals.latency.waterfall import reconcile, reconcile_call
from tests.evals.bench_runs import call, full_run, run, sound, turn


def figure(name: str, *calls: dict[str, Any]) -> float | None:
    return BY_NAME[name].of(run(list(calls)))


def test_a_run_without_calls_has_no_figure_and_fails_nowhere() -> None:
    summary = summarise(run([]))
    assert summary["turns"] == 0
    assert [summary[name] for name in BY_NAME] == [None] * len(BY_NAME)
    assert summary["load"] == []


def test_the_summary_has_every_figure_that_others_read() -> None:
    wanted = {
        "p50_ms",
        "p95_ms",
        "ratio_p50_vs_stock",
        "false_cut_in_rate",
        "barge_in_p95_ms",
        "transcribe_p50_ms",
        "turns",
    }
    summary = summarise(full_run())
    assert wanted <= set(summary)
    assert all(summary[name] is not None for name in wanted)


def test_recorded_people_make_the_headline_where_there_are_any() -> None:
    asked, recorded = call("questions", [turn(300)]), call("recorded", [turn(700), turn(900)])
    assert figure("p50_ms", asked) == 300
    assert figure("p50_ms", asked, recorded) == 800
    assert summarise(run([asked, recorded]))["speech"] == "recorded"
    assert summarise(run([asked, call("recorded", [turn(None)])]))["speech"] == "synthetic"


def test_an_agent_that_cuts_in_is_not_fast() -> None:
    assert figure("p50_ms", call("questions", [turn(-200), turn(500)])) == 500


def test_unanswered_turns_are_counted_but_have_no_latency() -> None:
    summary = summarise(run([call("questions", [turn(None), turn(400)])]))
    assert (summary["turns"], summary["answered"], summary["p50_ms"]) == (2, 1, 400)


def test_only_the_rounds_beside_the_stock_pipeline_are_held_against_it() -> None:
    calls = [
        call("questions", [turn(100)]),
        call("stock", [turn(500)]),
        call("stock", [turn(2000)], stack="stock"),
    ]
    assert figure("ratio_p50_vs_stock", *calls) == 0.25
    assert figure("ratio_p50_vs_stock", *calls[:2]) is None


@pytest.mark.parametrize(
    ("pauses", "cut_ins", "rate"),
    [
        ([(1.0, 1.8)], [], 0.0),
        ([(1.0, 1.8)], [0], 1.0),
        ([(1.0, 1.3)], [0], None),
        ([(1.0, 3.0)], [0], None),
        ([(1.0, 1.5), (2.0, 3.5)], [1], 0.5),
        ([(1.0, 1.8)], [-1], 0.0),
    ],
)
def test_cut_ins_count_by_pauses_of_half_to_one_and_a_half_seconds(
    pauses: list[Any], cut_ins: list[int], rate: float | None
) -> None:
    one = turn(400, pauses=pauses, cut_ins=[{"pause": number} for number in cut_ins])
    assert figure("false_cut_in_rate", call("pauses", [one])) == rate


def test_the_stock_pipelines_cut_ins_are_not_ours() -> None:
    one = turn(400, pauses=[(1.0, 1.8)], cut_ins=[{"pause": 0}])
    assert figure("false_cut_in_rate", call("pauses", [one], stack="stock")) is None


def test_a_sound_over_a_silent_agent_stops_nobody() -> None:
    sounds = [sound(stopped=True), sound(stopped=False), sound(stopped=False, ran=False)]
    assert figure("false_stop_rate", call("sounds", [], sounds=sounds)) == 0.5


def test_searching_is_a_figure_of_its_own_where_it_was_timed() -> None:
    timed = run([], retrieval={"took_ms": [10.0] * 18 + [30.0] * 2})
    assert summarise(timed)["retrieval_p95_ms"] == 30.0
    assert summarise(run([], retrieval=None))["retrieval_p95_ms"] is None


def test_four_callers_are_counted_by_themselves() -> None:
    calls = [call("load", [turn(400)]), *[call("load", [turn(900)], callers=4)] * 4]
    assert figure("four_callers_p95_ms", *calls) == 900
    rows = summarise(run(calls))["load"]
    assert [(row["callers"], row["turns"], row["p50_ms"]) for row in rows] == [
        (1, 1, 400),
        (4, 4, 900),
    ]


def test_a_gap_is_one_of_packets_or_one_inside_them() -> None:
    turns = [turn(400, starved_gap_ms=20.0), turn(400, starved_gap_ms=None, torn_gap_ms=70.0)]
    assert figure("longest_starved_gap_ms", call("questions", turns)) == 70
    unseen = turn(400, starved_gap_ms=None, torn_gap_ms=None)
    assert figure("longest_starved_gap_ms", call("questions", [unseen])) is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.4, "ms", "1,234 ms"),
        (0.1, "share", "10 %"),
        (0.125, "share", "12.5 %"),
        (0.4, "times", "0.40 ×"),
        (None, "ms", "not measured"),
    ],
)
def test_figures_are_written_for_people(value: float | None, unit: str, text: str) -> None:
    assert written(value, unit) == text


# --- the wait in parts -------------------------------------------------------------------------

PARTS = {"silence": 300.0, "transcription": 20.0, "playout": 30.0}


def recorded_turn(wire_ms: float | None, **more: Any) -> dict[str, Any]:
    agent = {"waterfall_ms": PARTS, "voice_to_voice_ms": sum(PARTS.values())}
    return {"voice_to_voice_ms": wire_ms, "agent": agent, **more}


def test_parts_and_line_and_rest_add_up_to_the_wire() -> None:
    found = reconcile(recorded_turn(440.0), 80.0)
    assert found is not None
    assert found.parts == {**PARTS, "line": 80.0}
    assert found.unexplained_ms == 10
    assert sum(found.parts.values()) + found.unexplained_ms == found.wire_ms
    assert found.why == ""


@pytest.mark.parametrize(
    "one",
    [
        recorded_turn(None),
        recorded_turn(-20.0),
        {"voice_to_voice_ms": 500.0},
        {"voice_to_voice_ms": 500.0, "agent": None},
        {"voice_to_voice_ms": 500.0, "agent": {"waterfall_ms": {}}},
    ],
)
def test_without_both_sides_there_is_no_waterfall(one: dict[str, Any]) -> None:
    assert reconcile(one, 80.0) is None


@pytest.mark.parametrize(
    ("more", "line_ms", "why"),
    [
        ({}, 80.0, "unexplained"),
        ({}, None, "the line was not measured"),
        ({"starved_gap_ms": 90.0}, 80.0, "packets came up to 90 ms late"),
        ({"agent_turns": 2}, 80.0, "the agent took it for several turns"),
    ],
)
def test_a_large_difference_says_where_it_went(
    more: dict[str, Any], line_ms: float | None, why: str
) -> None:
    found = reconcile(recorded_turn(600.0, **more), line_ms)
    assert found is not None
    assert found.why == why


def test_a_packet_that_the_stack_holds_all_call_long_is_a_part_of_its_own() -> None:
    found = reconcile_call([recorded_turn(452.0), recorded_turn(446.0), recorded_turn(449.0)], 80.0)
    assert [one and one.parts["packet_phase"] for one in found] == [19.0] * 3
    assert [one and one.unexplained_ms for one in found] == [3.0, -3.0, 0.0]


def test_no_more_than_one_packet_of_a_call_is_taken_for_its_phase() -> None:
    found = reconcile_call([recorded_turn(600.0), recorded_turn(600.0)], 80.0)
    assert [one and one.unexplained_ms for one in found] == [150.0, 150.0]


def test_a_call_of_one_turn_tells_no_phase() -> None:
    (found,) = reconcile_call([recorded_turn(449.0)], 80.0)
    assert found is not None
    assert "packet_phase" not in found.parts


def test_a_record_whose_parts_do_not_add_up_is_said() -> None:
    one = recorded_turn(600.0)
    one["agent"]["voice_to_voice_ms"] = 500.0
    found = reconcile(one, 80.0)
    assert found is not None
    assert "leave out 150 ms" in found.why
