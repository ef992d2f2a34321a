"""Figures of the trust evaluation: counted rightly, and held against what they must reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.trust import parts
from evals.trust.grounding import Truth
from evals.trust.part import Part, balanced_accuracy, confusion, percentile
from evals.trust.questions import KINDS, read_questions
from evals.trust.reaches import Reach, ReachError, held, read_reaches
from evals.trust.run import NoMaterial, as_document, run
from evals.trust.traces import faults, usual_fees
from voice_agent.config import Settings
from voice_agent.safety.quantities import Quantity


def test_a_confusion_table_counts_each_pair() -> None:
    table = confusion("t", [("a", "yes"), ("a", "no"), ("b", "no")])
    assert table.columns == ("true \\ judged", "no", "yes")
    assert table.rows == (("a", 1, 1), ("b", 1, 0))


def test_balanced_accuracy_weighs_both_sides_alike() -> None:
    pairs = [(True, True)] * 9 + [(True, False)] + [(False, True)]
    assert balanced_accuracy(pairs) == pytest.approx(0.45)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([5, 1, 3, 2, 4], 50) == 3
    assert percentile([1, 2], 95) == 2
    assert percentile([], 95) == 0


def test_a_figure_below_its_reach_is_missed() -> None:
    rows = held({"a": 0.8, "b": 3, "c": 1}, {"a": Reach(at_least=0.85), "b": Reach(at_most=3)})
    assert [row.missed for row in rows] == [True, False, False]
    document = as_document([Part("p")], rows, {})
    assert document["missed"] == ["a"]
    assert document["a"] == 0.8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reaches: {}",
        "reaches: {a: {}}",
        "reaches: {a: {at_least: 1, at_most: 2}}",
        "a: [",
        "x: 1",
    ],
)
def test_a_file_of_reaches_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(text)
    with pytest.raises(ReachError):
        read_reaches(path)


def test_the_reaches_that_ship_can_be_read() -> None:
    assert read_reaches()["unsupported_sentences_gate_on"].at_most == 0.01


def test_unknown_parts_and_missing_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(parts.UnknownPart, match="known: grounding"):
        parts.chosen(["nonsense"])
    with pytest.raises(NoMaterial):
        run(Settings(), tmp_path / "no", (), as_json=True, out=None, reaches=Path("none"))


def test_there_are_two_hundred_questions_and_none_twice() -> None:
    questions = read_questions()
    assert len(questions) == 200
    assert len({each.ask for each in questions}) == 200
    assert {each.kind for each in questions} == set(KINDS)
    assert all(bool(each.says) == (each.kind == "answerable") for each in questions)


def test_what_nobody_has_read_must_stand_in_one_sentence() -> None:
    truth = Truth(
        ("Chairs cost $15 each.", "Wardrobes cost $129.", "Pillows are not covered."),
        {("q", "a chair is fifteen"): True, ("q", "chairs cost $15"): False},
    )
    assert truth.supports("q", "Chairs cost $15 each.")
    assert truth.supports("q", "A chair is fifteen.")
    assert not truth.supports("q", "Chairs cost $15.")
    assert truth.unread == []
    assert truth.supports("other", "Chairs cost $15.")
    assert not truth.supports("other", "Chairs cost $129.")
    assert not truth.supports("other", "Pillows are covered.")
    assert len(truth.unread) == 3


def said(who: str, words: str) -> dict[str, object]:
    return {"event_type": f"{who}_utterance", "utterance": words}


def called(
    name: str, params: dict[str, object], response: dict[str, object]
) -> list[dict[str, object]]:
    return [
        {"event_type": "tool_call", "tool_name": name, "params": params},
        {"event_type": "tool_response", "tool_name": name, "response": response},
    ]


ORDER = {"order_id": "FH4417", "total": 260, "date": "2026-06-10"}


def test_what_tools_answered_may_be_said() -> None:
    trace = [
        said("user", "Where is my order F H 4 4 1 7?"),
        *called("get_order", {"order_id": "FH4417"}, ORDER),
        said("agent", "It comes on June tenth, and the total is two hundred sixty dollars."),
    ]
    assert faults(trace) == []


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ([said("agent", "The total is two hundred ninety dollars.")], "unsupported money"),
        ([said("agent", "Our policy gives members free upgrades.")], "uncited"),
        (called("get_order", {"order_id": "FH9999"}, {}), "invented"),
        (called("get_order", {"order_id": "?"}, {}), "placeholder"),
        (called("cancel_order", {"order_id": "FH4417"}, {}), "unconfirmed"),
        (
            [said("user", "Yes."), *called("cancel_order", {}, {"cancellation_fee": 49})],
            "untold",
        ),
    ],
)
def test_what_nobody_gave_is_a_fault(more: list[dict[str, object]], fault: str) -> None:
    trace = [
        said("user", "Where is my order F H 4 4 1 7?"),
        *called("get_order", {"order_id": "FH4417"}, ORDER),
        *more,
    ]
    assert [each for each in faults(trace) if each.startswith(fault)]


def test_fees_of_several_conversations_are_the_price_list() -> None:
    trace = called("cancel_order", {}, {"change_fee": 75})
    assert usual_fees([trace, trace]) == [Quantity("75", "money")]
    assert usual_fees([trace]) == []
