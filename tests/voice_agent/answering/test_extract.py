"""The answer that needs no model."""

from __future__ import annotations

from tests.voice_agent.passages import passage
from voice_agent.answering.extract import extract

PASSAGES = [
    passage("a", "Express delivery costs $12.95. Order before 2 p.m. Eastern time for next day."),
    passage(
        "b", "Standard delivery costs $4.95 and takes three to five business days. It is free."
    ),
]


def test_the_sentence_that_shares_most_with_the_question_is_quoted() -> None:
    found = extract("How much does standard delivery cost?", PASSAGES)
    assert found is not None
    sentence, source = found
    assert sentence == "Standard delivery costs $4.95 and takes three to five business days."
    assert source.passage_id == "b"


def test_a_time_of_day_does_not_end_a_sentence() -> None:
    found = extract("When do I have to order for the next day?", PASSAGES)
    assert found is not None
    assert found[0] == "Order before 2 p.m. Eastern time for next day."


def test_nothing_in_common_gives_nothing() -> None:
    assert extract("Who won the match?", PASSAGES) is None
    assert extract("", PASSAGES) is None
    assert extract("delivery", []) is None
