"""Which road a caller's words take."""

from __future__ import annotations

import pytest

from voice_agent.answering.phrases import DECLINED
from voice_agent.answering.road_examples import ROADS
from voice_agent.answering.roads import choose_road, is_nonsense, settle
from voice_agent.config import RoadSettings
from voice_agent.reply import Road


@pytest.mark.parametrize(
    ("text", "road"),
    [
        ("Can I speak to a person?", Road.PERSON),
        ("I'd like to talk to someone, please.", Road.PERSON),
        ("Put me through to an agent.", Road.PERSON),
        ("Could you connect me with a human being?", Road.PERSON),
        ("Give me a manager.", Road.PERSON),
        ("Representative.", Road.PERSON),
        ("A real person please", Road.PERSON),
        ("Please transfer me to an operator", Road.PERSON),
        ("I don't want to talk to a person.", Road.ANSWER),
        ("Does a person have to sign for the delivery?", Road.ANSWER),
        ("How many people fit on the sofa?", Road.ANSWER),
        ("Goodbye.", Road.GOODBYE),
        ("Okay, thanks, bye bye.", Road.GOODBYE),
        ("No, that's all, thank you.", Road.GOODBYE),
        ("Can I say goodbye to my old sofa?", Road.ANSWER),
        ("Can you repeat that please?", Road.REPEAT),
        ("Pardon?", Road.REPEAT),
        ("What did you say?", Road.REPEAT),
        ("Hello, how are you?", Road.HELLO),
        ("Hello, how much is delivery?", Road.ANSWER),
        ("Okay great, thank you very much.", Road.THANKS),
        ("Thank you, and what about returns?", Road.ANSWER),
        ("How much does standard delivery cost?", Road.ANSWER),
        ("Yes.", Road.ANSWER),
        ("...", Road.UNCLEAR),
        ("xqzt wvbn " * 20, Road.UNCLEAR),
        ("no " * 60, Road.UNCLEAR),
    ],
)
def test_road(text: str, road: Road) -> None:
    assert choose_road(text, last_heard="") is road


@pytest.mark.parametrize("text", ["Yes please.", "Yeah, go ahead.", "Sure", "Okay"])
def test_yes_to_the_offer_of_a_person_is_a_request_for_one(text: str) -> None:
    assert choose_road(text, last_heard=DECLINED) is Road.PERSON


def test_no_to_the_offer_is_not() -> None:
    assert choose_road("No, not now.", last_heard=DECLINED) is Road.ANSWER


@pytest.mark.parametrize(
    "text", ["¿Dónde está mi pedido?", "Wo ist meine Bestellung?", "Order A 1 0 4 2", "Do it"]
)
def test_language_is_not_nonsense(text: str) -> None:
    assert not is_nonsense(text)


@pytest.mark.parametrize(
    ("shares", "clarified", "road", "because"),
    [
        ({Road.ANSWER: 0.9, Road.CLARIFY: 0.1}, False, Road.ANSWER, "examples"),
        ({Road.ANSWER: 0.5, Road.ACTION: 0.4, Road.CLARIFY: 0.1}, False, Road.ANSWER, "examples"),
        ({Road.ANSWER: 0.8, Road.CLARIFY: 0.2}, False, Road.CLARIFY, "doubt"),
        ({Road.ANSWER: 0.8, Road.CLARIFY: 0.2}, True, Road.PERSON, "doubt"),
        ({Road.VERIFIED: 0.9, Road.ANSWER: 0.1}, False, Road.VERIFIED, "examples"),
        ({Road.VERIFIED: 0.6, Road.ANSWER: 0.4}, False, Road.ANSWER, "examples"),
        ({Road.VERIFIED: 0.6, Road.PERSON: 0.4}, False, Road.CLARIFY, "doubt"),
        ({Road.CLARIFY: 0.4, Road.ANSWER: 0.3, Road.PERSON: 0.3}, False, Road.CLARIFY, "examples"),
        ({Road.CLARIFY: 0.9, Road.ANSWER: 0.1}, True, Road.PERSON, "doubt"),
        ({Road.PERSON: 0.6, Road.ANSWER: 0.4}, False, Road.PERSON, "examples"),
        ({Road.PERSON: 0.4, Road.ANSWER: 0.3, Road.CLARIFY: 0.3}, False, Road.CLARIFY, "doubt"),
        ({Road.OUT_OF_SCOPE: 0.7, Road.ANSWER: 0.3}, False, Road.OUT_OF_SCOPE, "examples"),
        ({Road.ANSWER: 0.6, Road.OUT_OF_SCOPE: 0.4}, False, Road.OUT_OF_SCOPE, "examples"),
        ({Road.PERSON: 0.6, Road.OUT_OF_SCOPE: 0.4}, False, Road.PERSON, "examples"),
        ({Road.SMALL_TALK: 0.88, Road.PERSON: 0.12}, False, Road.SMALL_TALK, "examples"),
    ],
)
def test_doubt_is_settled(
    shares: dict[Road, float], clarified: bool, road: Road, because: str
) -> None:
    every = {each: shares.get(each, 0.0) for each in ROADS}
    choice = settle(every, RoadSettings(), clarified=clarified)
    assert (choice.road, choice.because) == (road, because)


def test_in_doubt_the_record_shows_the_likeliest_road() -> None:
    every = dict.fromkeys(ROADS, 0.0) | {Road.ACTION: 0.7, Road.CLARIFY: 0.3}
    choice = settle(every, RoadSettings(), clarified=False)
    assert (choice.runner_up, choice.confidence) == (Road.ACTION, 0.7)
