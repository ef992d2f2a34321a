"""Which words ask whether this is a machine, and which only sound like it."""

from __future__ import annotations

import pytest

from voice_agent.safety.candour import asks_what_it_is, without_that_question


@pytest.mark.parametrize(
    "said",
    [
        "Are you a robot?",
        "Are you a real person?",
        "Am I talking to a machine?",
        "Am I speaking to a person?",
        "Am I speaking with a human being",
        "Is this a computer?",
        "Are you human?",
        "are you an AI",
        "Are you an artificial intelligence?",
        "Hold on, are you actually a real human?",
        "You're a robot, aren't you?",
        "You're not a real person, are you?",
        "you are a bot right",
        "Is this a recording?",
        "Is this an automated system?",
        "Am I talking to a real person or a robot?",
        "Robot or human?",
        "You sound like a robot",
        "You don't sound human",
        "Is there a real person on the other end?",
        "Do I have a real person on the line?",
        "Are you ChatGPT?",
        "Wait, am I talking to AI?",
        "So you're just a computer",
        "Are you one of those bots?",
        "Did I get an answering machine?",
        "Are you some kind of machine?",
        "Aren't you a robot?",
        "Is it a robot I'm talking to?",
        "Excuse me, but is this a real human being that I'm talking to?",
        "Are you real?",
        "Tell me honestly, are you a person?",
        "Is this AI?",
        "I want to know if you are a machine or a person",
        "Am I actually on the phone with a human?",
        "Are you a live agent or a machine?",
        "Are you automated?",
        "I'm talking to a robot",
        "Just to check, is that a bot?",
    ],
)
def test_it_is_asked_in_many_ways(said: str) -> None:
    assert asks_what_it_is(said)


@pytest.mark.parametrize(
    "said",
    [
        "Can I talk to a real person?",
        "I want to speak to a human",
        "Is this a machine wash?",
        "Is this a machine that washes wool?",
        "Are you open on Sunday?",
        "Are you a member of the price match program?",
        "Do you sell robot vacuums?",
        "Is there a person who can help me?",
        "How much is a washing machine?",
        "Is it a computer desk?",
        "Are you people open on Sundays?",
        "Are you the people who deliver sofas?",
        "My washing machine is broken",
        "Is this a recording studio chair?",
        "Are you able to change the address?",
        "Are you sure?",
        "Are you there?",
        "put me through to a person",
        "Is that a person's name on the order?",
        "Can a person sit on it?",
        "Is this a real leather sofa?",
        "Are you a furniture store?",
        "Is it real wood?",
        "Do I have to talk to a person to return it?",
        "I was talking to a person yesterday about my order",
        "Is my call being recorded?",
        "Is the machine under warranty?",
        "Are you delivering a computer desk",
        "The computer says my order was cancelled",
        "Is it a human error on the bill?",
        "Would you like to speak to a person",
    ],
)
def test_other_requests_with_the_same_words_are_left_alone(said: str) -> None:
    assert not asks_what_it_is(said)


def test_what_else_was_said_is_kept_for_the_request() -> None:
    rest = without_that_question("Are you a robot? I want to speak to a human")
    assert "speak to a human" in rest
    assert "robot" not in rest


def test_typographic_apostrophes_and_odd_spaces_change_nothing() -> None:
    assert asks_what_it_is("You’re  a robot,   aren’t you?")
