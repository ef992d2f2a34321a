from __future__ import annotations

from dataclasses import replace

import pytest

from tests.voice_agent.passages import passage
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.search import FAIR, SURE, says_enough

DELIVERY = passage("delivery", "Delivery costs $4.95.")
HOURS = passage("hours", "On Sundays the stores open at 11 a.m.")
TRUCK = passage("truck", "The delivery team calls before it comes.")


def test_a_passage_that_is_near_says_enough_whatever_else_was_found() -> None:
    near = replace(DELIVERY, score=SURE)
    assert says_enough("how much does delivery cost", near, TRUCK)


@pytest.mark.parametrize("other", [HOURS, None])
def test_one_that_is_fairly_near_does_when_only_it_has_the_questions_words(
    other: Passage | None,
) -> None:
    fair = replace(DELIVERY, score=FAIR)
    assert says_enough("how much does delivery cost", fair, other)


def test_it_does_not_when_the_question_with_what_was_said_before_finds_its_words_too() -> None:
    assert not says_enough("how much does delivery cost", replace(DELIVERY, score=FAIR), TRUCK)


@pytest.mark.parametrize(
    ("question", "score"),
    [("what do I need to bring", FAIR), ("how much does delivery cost", FAIR - 0.1)],
)
def test_one_that_is_far_or_about_something_else_does_not(question: str, score: float) -> None:
    assert not says_enough(question, replace(DELIVERY, score=score), HOURS)
