"""Budgets, runs on disk, and the comparison of two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.latency.budgets import BUDGETS, Budget, BudgetError, held, read_budgets
from evals.latency.compare import compare, differing, interval, run
from evals.latency.figures import BY_NAME
from evals.latency.run_file import RunFileError, read_run, write_run
from evals.latency.summary import summarise
from tests.evals.bench_runs import call, full_run, turn
from tests.evals.bench_runs import run as made_up

ROOT = Path(__file__).parents[2]
LOOSE = {"p50_ms": Budget(reach=10_000, worse_by=20)}


@pytest.fixture
def budgets(tmp_path: Path) -> Path:
    """Budgets that every made-up run meets."""
    path = tmp_path / "bench.yaml"
    path.write_text("budgets: {p50_ms: {reach: 10000, worse_by: 20}}")
    return path


def saved(folder: Path, name: str, data: dict[str, Any]) -> Path:
    write_run(folder / name, data)
    return folder / name


def test_the_projects_budgets_hold_what_was_promised() -> None:
    reach = {name: budget.reach for name, budget in read_budgets(ROOT / BUDGETS).items()}
    assert {name: value for name, value in reach.items() if value is not None} == {
        "p50_ms": 450,
        "p95_ms": 800,
        "ratio_p50_vs_stock": 0.4,
        "false_cut_in_rate": 0.1,
        "barge_in_p95_ms": 250,
        "false_stop_rate": 0.05,
        "transcribe_p50_ms": 120,
        "four_callers_p95_ms": 1200,
        "longest_starved_gap_ms": 60,
        "retrieval_p95_ms": 25,
        "greeting_p50_ms": 500,
        "record_difference_p95_ms": 30,
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("budgets: {p50: {reach: 1}}", "there is no figure `p50`"),
        ("budgets: {p50_ms: {reech: 1}}", "unknown key `budgets.p50_ms.reech`"),
        ("budgets: {p50_ms: {reach: -1}}", "`budgets.p50_ms.reach`"),
        ("budgets: {p50_ms: {}}", "asks for nothing"),
        ("budgets: {}", "`budgets`"),
        ("budget: {}", "`budget"),
        ("", "budgets"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_budgets_that_cannot_be_used_are_one_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    with pytest.raises(BudgetError, match=r"bench\.yaml") as refused:
        read_budgets(path)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_budgets_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="cannot be read"):
        read_budgets(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "value", "reach", "verdict"),
    [
        ("p50_ms", 450.0, 450.0, "met"),
        ("p50_ms", 450.1, 450.0, "missed"),
        ("p50_ms", None, 450.0, "not measured"),
        ("p50_ms", 900.0, None, None),
        ("answers_right", 0.9, 0.8, "met"),
        ("answers_right", 0.7, 0.8, "missed"),
    ],
)
def test_a_figure_against_its_budget(
    name: str, value: float | None, reach: float | None, verdict: str | None
) -> None:
    rows = held({name: value}, {name: Budget(reach=reach, worse_by=1)})
    assert {row.figure.name: row.verdict for row in rows}[name] == verdict


# --- runs on disk ------------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    read = read_run(saved(tmp_path, "run.json", full_run()))
    assert read["summary"] == summarise(full_run())
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "is no run"),
        ('{"summary": {}, "calls": []}', "is no run"),
        ('{"format": 2}', "damaged"),
        ('{"format": 2, "machine": {}, "calls": [{"part": "questions", "turns": [3]}]}', "damaged"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(RunFileError, match=why):
        read_run(path)


# --- comparing ---------------------------------------------------------------------------------


def test_a_run_is_no_worse_than_itself() -> None:
    same = compare(full_run(), full_run(), LOOSE)
    assert not any(one.significantly_worse or one.broken for one in same)
    assert all(one.low <= 0 <= one.high for one in same if one.low is not None and one.high)


def test_much_slower_is_worse_and_much_faster_is_not() -> None:
    slow = {one.figure.name: one for one in compare(full_run(1), full_run(2, 2.0), LOOSE)}
    assert slow["p50_ms"].significantly_worse
    assert slow["p50_ms"].low is not None
    assert slow["p50_ms"].low > 20
    fast = {one.figure.name: one for one in compare(full_run(1, 2.0), full_run(2), LOOSE)}
    assert not fast["p50_ms"].significantly_worse


def test_fewer_right_answers_are_worse_although_the_figure_falls() -> None:
    right = made_up([call("questions", [turn(400, right=True)] * 40)])
    wrong = made_up([call("questions", [turn(400, right=False)] * 40)])
    budgets = {"answers_right": Budget(worse_by=0.1)}
    found = {one.figure.name: one for one in compare(right, wrong, budgets)}
    assert found["answers_right"].significantly_worse
    found = {one.figure.name: one for one in compare(wrong, right, budgets)}
    assert not found["answers_right"].significantly_worse


def test_the_interval_is_the_same_every_time_and_narrower_with_more_turns() -> None:
    def waits(count: int) -> dict[str, Any]:
        return made_up([call("questions", [turn(300.0 + 37 * n % 200) for n in range(count)])])

    figure = BY_NAME["p50_ms"]
    few, many = waits(10), waits(400)
    assert interval(figure, few, few) == interval(figure, few, few)
    wide, narrow = interval(figure, few, few), interval(figure, many, many)
    assert wide[0] is not None
    assert narrow[0] is not None
    assert wide[0] < narrow[0] < 0


def test_too_few_turns_and_maxima_have_no_interval() -> None:
    few = made_up([call("questions", [turn(300)] * 2)])
    assert interval(BY_NAME["p50_ms"], few, few) == (None, None)
    many = full_run()
    assert interval(BY_NAME["longest_starved_gap_ms"], many, many) == (None, None)


def test_other_machines_lines_and_half_runs_are_pointed_out() -> None:
    one, other = full_run(), full_run()
    other["machine"] = {**other["machine"], "processor": "another"}
    other["line"], other["complete"] = "webrtc", False
    for each in (one, other):
        each["summary"] = summarise(each)
    assert differing(one, one) == []
    lines = differing(one, other)
    assert [line.split(":")[0] for line in lines] == ["processor", "line", "B was stopped early"]


def test_exit_code_0_when_b_holds(tmp_path: Path, budgets: Path) -> None:
    a = saved(tmp_path, "a.json", full_run(1))
    assert run(a, a, budgets, json_output=False) == 0


def test_exit_code_1_when_b_is_worse(tmp_path: Path, budgets: Path) -> None:
    a, b = saved(tmp_path, "a.json", full_run(1)), saved(tmp_path, "b.json", full_run(2, 2.0))
    assert run(a, b, budgets, json_output=False) == 1


def test_exit_code_1_when_b_breaks_a_budget_as_a_did(
    tmp_path: Path, budgets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets.write_text("budgets: {p50_ms: {reach: 1}}")
    a = saved(tmp_path, "a.json", full_run(1))
    assert run(a, a, budgets, json_output=True) == 1
    rows = json.loads(capsys.readouterr().out)["figures"]
    assert [row["figure"] for row in rows if row["broken"]] == ["p50_ms"]


def test_exit_code_2_for_files_that_are_none(
    tmp_path: Path, budgets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = saved(tmp_path, "a.json", full_run(1))
    assert run(a, tmp_path / "none.json", budgets, json_output=False) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
    assert run(a, a, tmp_path / "none.yaml", json_output=False) == 2
