"""The boards: figures that follow from the records, for those whose they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.voice_agent.console.conftest import Stage
from tests.voice_agent.console.recorded import a_call, a_recording, a_turn, record
from voice_agent.console.boards_api import counters_in
from voice_agent.console.costs import costs_of
from voice_agent.console.facts import CallFact, Facts, TurnFact, percentile
from voice_agent.console.pruning import ClockTrust
from voice_agent.console.roles import Role
from voice_agent.console.settings import CostSettings

BOARDS = ("operations", "quality", "business", "compliance")


def a_fact(call_id: str, *, outcome: str = "ended_by_caller", minutes: float = 2) -> CallFact:
    return CallFact(call_id, 1_000.0, 1_000.0 + minutes * 60, outcome, "", "sip")


def asked(call_id: str, outcome: str = "answer", tokens: int = 1_000) -> TurnFact:
    return TurnFact(
        call_id, 1_010.0, "answer", outcome, "completed", 400.0, {}, tokens, 0.0, False, "", "", 0
    )


def test_a_call_is_resolved_when_its_last_request_was_met_by_the_agent_alone() -> None:
    calls = [a_fact(name) for name in ("met", "declined", "silent", "person", "met_at_last")]
    calls[3] = a_fact("person", outcome="handed_over")
    turns = [
        asked("met"), asked("declined"), asked("declined", "decline"), asked("person"),
        asked("met_at_last", "decline"), asked("met_at_last"),
    ]  # fmt: skip
    facts = Facts(0, 3_600, calls, turns)
    assert {call.call_id for call in facts.resolved()} == {"met", "met_at_last"}


def test_costs_are_the_sum_of_their_parts_and_idle_machines_cost_too() -> None:
    settings = CostSettings(
        line_minute=0.1, machine_hour=2, thousand_tokens=0.5, person_minute=1,
        person_call_minutes=6,
    )  # fmt: skip
    calls = [a_fact("a"), a_fact("b", outcome="handed_over")]
    costs = costs_of(Facts(0, 7_200, calls, [asked("a"), asked("b")]), settings)
    assert costs.parts == {
        "line": pytest.approx(0.4), "machines": 4.0, "language model": 1.0, "people": 6.0,
    }  # fmt: skip
    assert costs.a_call == pytest.approx(11.4 / 2)
    assert costs.a_resolved_call == pytest.approx(11.4)


def test_of_nothing_there_are_no_figures_but_zeros() -> None:
    costs = costs_of(Facts(0, 3_600), CostSettings())
    assert costs.a_call is None
    assert costs.a_resolved_call is None
    assert percentile([], 0.95) is None


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([1.0], 0.95, 1.0), ([1.0, 2.0], 0.5, 1.0), (list(map(float, range(1, 101))), 0.95, 95.0)],
)
def test_percentiles_are_by_nearest_rank(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_a_garbled_metrics_page_gives_no_counters() -> None:
    text = '# TYPE calls_total counter\ncalls_total{outcome="x"} 3\n'
    assert counters_in(text) == {"calls_total{outcome=x}": 3.0}
    assert counters_in("<html>not found") == {}
    assert counters_in("") == {}


def tiles(board: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in board["tiles"]}


@pytest.mark.parametrize("name", BOARDS)
async def test_each_board_has_the_one_shape_even_without_records(stage: Stage, name: str) -> None:
    board = await (await stage.signed_in(Role.ADMINISTRATOR)).get(f"/api/boards/{name}")
    assert {"title", "period", "tiles", "charts", "tables"} == set(board)
    for chart in board["charts"]:
        for series in chart["series"]:
            assert len(series["values"]) == len(chart["labels"])
    for table in board["tables"]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"])


async def test_the_boards_say_what_the_records_hold(stage: Stage) -> None:
    now = time.time()
    settings = stage.console.desk.settings
    record(
        settings,
        a_call("a", started_at=now - 600, ended_at=now - 480),
        a_turn("a", 1, began_at=now - 590, voice_to_voice_ms=500.0),
        a_call("b", started_at=now - 500, ended_at=now - 440, outcome="handed_over"),
        a_turn(
            "b", 1, began_at=now - 490, voice_to_voice_ms=900.0, road="person",
            choice={"name": "upset", "because": "examples"}, claims=(),
        ),
        a_turn("b", 2, began_at=now - 480, end_reason="failed:llm_timeout", claims=()),
        a_call("old", started_at=now - 9e5, ended_at=now - 9e5 + 60),
    )  # fmt: skip
    a_recording(settings, "a")
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    operations = await administrator.get("/api/boards/operations?hours=1")
    assert tiles(operations)["Calls"] == 2
    assert tiles(operations)["Wait for an answer, p95"] == 900
    assert tiles(operations)["Failed turns"] == 1
    assert ["llm_timeout", 1] in operations["tables"][1]["rows"]
    quality = tiles(await administrator.get("/api/boards/quality?hours=1"))
    assert quality["Resolved by the agent"] == 50.0
    assert quality["Handed to a person"] == 50.0
    assert quality["Upset or vulnerable callers"] == 1
    business = tiles(await administrator.get("/api/boards/business?hours=1"))
    assert business["Minutes"] == 3.0
    assert business["Cost a call"] == pytest.approx(business["Cost in all"] / 2, abs=0.01)
    compliance = tiles(await administrator.get("/api/boards/compliance?hours=1"))
    assert compliance["Recordings kept"] == 1
    assert compliance["Audit log"] == "whole"
    assert compliance["Oldest recording"] == 0  # minutes
    parts = [row[0] for row in operations["tables"][0]["rows"]]
    assert parts == ["silence", "synthesis"], "in the order they follow one another"


@pytest.mark.parametrize("hours", ["0", "-1", "x", "1e9", "nan"])
async def test_a_period_that_makes_no_sense_is_refused(stage: Stage, hours: str) -> None:
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    assert (await administrator.ask("GET", f"/api/boards/quality?hours={hours}")).status == 400


async def test_a_period_with_too_many_turns_is_made_shorter_and_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    record(
        stage.console.desk.settings,
        a_call("early", started_at=now - 900, ended_at=now - 800),
        a_turn("early", 1, began_at=now - 890),
        a_call("late", started_at=now - 400, ended_at=now - 300),
        a_turn("late", 1, began_at=now - 400),
        a_turn("late", 2, began_at=now - 350),
    )
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    whole = await administrator.get("/api/boards/quality?hours=1")
    assert whole["period"]["shortened"] is False
    monkeypatch.setattr("voice_agent.console.facts.MOST_TURNS", 2)
    short = await administrator.get("/api/boards/operations?hours=1")
    assert short["period"]["from"] == pytest.approx(now - 400)
    assert short["period"]["shortened"] is True
    assert tiles(short)["Calls"] == 1


async def test_the_board_says_when_old_records_were_last_deleted(stage: Stage) -> None:
    administrator = await stage.signed_in(Role.ADMINISTRATOR)
    pruning = stage.console._pruning
    assert (
        tiles(await administrator.get("/api/boards/compliance?hours=1"))["Last pruned"] == "never"
    )
    await pruning.look(ClockTrust(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)))
    told = tiles(await administrator.get("/api/boards/compliance?hours=2"))["Last pruned"]
    assert told == pytest.approx(time.time(), abs=600)
    await pruning.look(ClockTrust(0.0, 0.0))
    board = await administrator.get("/api/boards/compliance?hours=3")
    found = next(each for each in board["tiles"] if each["name"] == "Last pruned")
    assert (found["value"], found["tone"]) == (told, "bad")
    assert "clock" in found["note"]


def test_a_clock_is_believed_while_it_goes_on_and_again_once_it_has_settled() -> None:
    trust = ClockTrust(1_000.0, 0.0)
    slept_s = 40 * 3_600.0
    assert trust.believes(1_000.0 + slept_s, slept_s)  # a machine that was suspended
    ahead = 1_000.0 + 365 * 86_400.0
    assert not trust.believes(slept_s + ahead, slept_s)
    assert not trust.believes(slept_s + ahead + 3_600, slept_s + 3_600)
    assert trust.believes(slept_s + 1_000 + 7_200, slept_s + 7_200)  # somebody put it right
    began = slept_s + 10_000
    assert not trust.believes(began + ahead, began)
    assert not trust.believes(began + ahead + 86_000, began + 86_000)
    assert trust.believes(began + ahead + 86_500, began + 86_500)
    assert trust.believes(began + ahead + 90_000, began + 90_000)
