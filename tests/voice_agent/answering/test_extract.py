"""The answer that needs no model."""

from __future__ import annotations

from tests.voice_agent.passages import passage
from voice_agent.answering.extract import extract

PASSAGES = [
    passage("a", "Express delivery costs $12.95. Order before 2 p.m. Eastern time for next day."),
    passage(
        "b", "Standard delivery costs $4.95. It takes three to five business days. It is free."
    ),
]


def test_the_sentence_that_shares_most_with_the_question_is_quoted_with_the_next() -> None:
    quote = extract("How much does standard delivery cost?", PASSAGES[::-1])
    assert quote is not None
    assert quote.text == "Standard delivery costs $4.95. It takes three to five business days."
    assert quote.passage.passage_id == "b"


def test_a_time_of_day_does_not_end_a_sentence() -> None:
    quote = extract("When do I have to order for the next day?", PASSAGES)
    assert quote is not None
    assert quote.text == "Order before 2 p.m. Eastern time for next day."


def test_a_question_about_something_else_gets_no_quote() -> None:
    assert extract("Who won the football match?", PASSAGES) is None
    assert extract("Do you sell purple garden gnomes for next spring?", PASSAGES) is None
    assert extract("", PASSAGES) is None
    assert extract("delivery", []) is None
