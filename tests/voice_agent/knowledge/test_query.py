from __future__ import annotations

import pytest

from voice_agent.knowledge.query import MAX_CHARACTERS, make_query, stands_alone

SOFA = ("How much is delivery of a sofa?", "It costs $59.")


@pytest.mark.parametrize(
    "question",
    [
        "And how long does it take?",
        "How long does that take?",
        "What about a chair?",
        "okay and on Saturdays",
        "Is that the same for a lamp?",
        "Why?",
        "the blue one",
        "How much?",
    ],
)
def test_a_follow_up_is_searched_with_the_question_before_it(question: str) -> None:
    assert make_query([SOFA], question).text == f"{SOFA[0]} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How do I reset my password?",
        "When are your stores open on Sunday?",
        "There is a screw missing from my bookcase",
        "What does it cost to install a dishwasher?",
        "Another question, where are you?",
        "It says my package was delivered but it is not here.",
    ],
)
def test_a_question_that_names_its_subject_is_searched_alone(question: str) -> None:
    assert stands_alone(question)
    assert make_query([SOFA], question).text == question


def test_it_looks_back_to_the_turn_that_names_the_subject() -> None:
    history = [("Tell me about gift cards.", ""), SOFA, ("And to Hawaii?", "No."), ("Why?", "")]
    assert make_query(history, "And then?").text == (f"{SOFA[0]} And to Hawaii? Why? And then?")


HOURS = ("When are you open on Sundays?", "From 11 a.m. to 6 p.m.")
DELIVERY = ("How much does delivery cost?", "It costs $4.95.")


@pytest.mark.parametrize("question", [DELIVERY[0], "Do you take checks?", "Do I need a code?"])
def test_a_question_with_one_word_of_its_own_may_be_a_whole_one(question: str) -> None:
    query = make_query([SOFA, HOURS], question)
    assert query.text == f"{HOURS[0]} {question}"
    assert query.shorter == (question,)


@pytest.mark.parametrize("question", ["And on Sundays?", "How much is it?", "What about Hawaii?"])
def test_one_that_refers_back_never_is(question: str) -> None:
    assert make_query([SOFA], question).shorter == ()


def test_what_follows_such_a_question_may_mean_it_alone() -> None:
    asked = "And how long does it take?"
    query = make_query([HOURS, DELIVERY], asked)
    assert query.text == f"{HOURS[0]} {DELIVERY[0]} {asked}"
    assert query.shorter == (f"{DELIVERY[0]} {asked}",)


def test_the_first_turn_of_a_call_has_only_itself() -> None:
    assert make_query([], "and it?").text == "and it?"
    assert make_query([], "").text == ""


def test_empty_and_endless_turns_do_no_harm() -> None:
    assert make_query([SOFA, ("", "Are you there?")], " that\n one ").text == f"{SOFA[0]} that one"
    endless = make_query([("lamp " * 500, "")], "how much is it?").text
    assert len(endless) <= MAX_CHARACTERS
    assert endless.endswith("how much is it?")


def test_a_question_asked_again_is_searched_as_it_was_the_first_time() -> None:
    first = ("How much does delivery cost?", "It costs $4.95.")
    since = ("What payment methods do you take?", "Cards and gift cards.")
    asked = make_query([first, since], "how much does delivery cost")
    assert asked.text == "how much does delivery cost"
    assert since[0] in asked.context


@pytest.mark.parametrize("question", ["How much?", "How much does it cost?"])
def test_a_question_asked_again_of_something_else_is_of_what_was_said_last(question: str) -> None:
    history = [SOFA, (question, "$59."), ("And a lamp from your stores?", "Yes.")]
    assert make_query(history, question).text.endswith(f"lamp from your stores? {question}")
