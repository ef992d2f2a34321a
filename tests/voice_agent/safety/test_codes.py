"""Codes that callers name, and passages that are about others."""

from __future__ import annotations

import pytest

from tests.voice_agent.passages import passage
from voice_agent.safety.codes import codes_of, of_asked_code

DRAIN = passage("drain", "Error E18 means that water does not drain. Clean the filter.")
BLOCKED = passage("blocked", "Error E24 means that the drain is blocked. If E24 stays, call us.")
REPAIR = passage("repair", "A repair visit costs $89.")


@pytest.mark.parametrize(
    "text",
    ["E18", "error e-18", "E 18 again", "what is E eighteen?", "error E one eight", "it says E18."],
)
def test_a_code_is_read_however_it_is_said(text: str) -> None:
    assert codes_of(text) == {("e", "18")}


@pytest.mark.parametrize(
    "text",
    ["a twelve month loan", "I have 2 lamps", "$4.95 at 5 p.m.", "1-800-555-0142", "it's 12 days"],
)
def test_numbers_and_amounts_are_no_codes(text: str) -> None:
    assert codes_of(text) == frozenset()


def test_passages_about_another_code_are_left_out() -> None:
    assert of_asked_code("What does E eighteen mean?", [BLOCKED, REPAIR, DRAIN]) == (REPAIR, DRAIN)


@pytest.mark.parametrize("misheard", ["What does error E8 in mean?", "It says F24.", "error E 19"])
def test_where_only_other_codes_were_found_nothing_answers(misheard: str) -> None:
    assert of_asked_code(misheard, [BLOCKED, DRAIN, REPAIR]) is None


@pytest.mark.parametrize(
    "question", ["The drain is blocked", "My D5 is blocked", "Order XY204 came", "What is E1800?"]
)
def test_what_cannot_be_taken_for_another_code_leaves_nothing_out(question: str) -> None:
    assert of_asked_code(question, [BLOCKED, DRAIN]) == (BLOCKED, DRAIN)


def test_another_code_further_down_does_not_keep_the_best_one_from_answering() -> None:
    assert of_asked_code("I live in E8, what is a visit?", [REPAIR, BLOCKED]) == (REPAIR,)
