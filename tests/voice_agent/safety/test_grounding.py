"""Which sentences may be spoken."""

from __future__ import annotations

import pytest

from tests.voice_agent.passages import passage
from voice_agent.safety.evidence import evidence_of
from voice_agent.safety.grounding import Verdict, judge

PASSAGES = [
    passage(
        "delivery",
        "Standard delivery costs $4.95 and takes three to five business days. Standard delivery "
        "is free when the order is $50 or more. We do not deliver outside the United States.",
    ),
    passage(
        "assembly",
        "Connecting a washing machine costs $49. Installing a dishwasher costs $119, a built-in "
        "oven $139, and any gas appliance $149. Items up to 50 pounds are carried upstairs.",
    ),
    passage("hours", "Refunds over $1,200 take 14 days. The phone line opens at 8 a.m."),
]


def verdict(sentence: str, question: str = "", **more: bool) -> tuple[Verdict, str]:
    found = judge(sentence, evidence_of(PASSAGES, question), question, **more)
    return found.verdict, found.reason


@pytest.mark.parametrize(
    "sentence",
    [
        "Standard delivery costs $4.95.",
        "Standard delivery takes 3 to 5 business days.",
        "Standard delivery is free for orders of $50 or more.",
        "A refund of $1,200 takes fourteen days.",
        "The phone line opens at eight in the morning.",
        "Installing a built-in oven costs $139.",
        "We do not deliver outside the United States.",
        "I'm sorry about that.",
        "Is there anything else I can help with?",
    ],
)
def test_what_follows_from_a_passage_is_spoken(sentence: str) -> None:
    assert verdict(sentence)[0] is Verdict.SPEAK


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Standard delivery costs $5.95.", "unknown_money"),
        ("Standard delivery takes six business days.", "unknown_duration"),
        ("Standard delivery takes three to five days.", "unknown_duration"),
        ("The phone line opens at 9 a.m.", "unknown_time"),
        ("The phone line opens on Sunday at 8 a.m.", "unknown_weekday"),
        ("We deliver standard parcels to Canada.", "unknown_name"),
        ("Installing a built-in oven costs $119.", "misplaced_value"),
        ("Connecting a washing machine costs $119.", "misplaced_value"),
        ("We deliver outside the United States.", "denial"),
        ("Standard delivery is not free for orders of $50 or more.", "denial"),
        ("Standard delivery is free.", "condition"),
        ("Items of at least 50 pounds are carried upstairs.", "bound"),
        ("Our drivers wear blue uniforms with matching caps.", "subject"),
        ("The carrier leaves built-in ovens for $139.", "subject"),
    ],
)
def test_what_no_passage_says_is_repaired(sentence: str, reason: str) -> None:
    assert verdict(sentence) == (Verdict.REPAIR, reason)


@pytest.mark.parametrize("sentence", ["Yes, you can.", "No.", "..."])
def test_a_bare_answer_is_replaced_by_the_rule_it_was_made_from(sentence: str) -> None:
    assert verdict(sentence, "Can I?", first=True) == (Verdict.REPAIR, "bare_answer")


def test_a_word_of_the_question_that_no_passage_has_is_not_taken_over() -> None:
    asked = "How much does it cost to have a piano delivered?"
    assert verdict("Delivery of a piano costs $4.95.", asked)[1] == "unknown_topic"


def test_what_it_is_about_comes_from_the_question() -> None:
    asked = "What does it cost to install a built-in oven?"
    assert verdict("It costs $139.", asked)[0] is Verdict.SPEAK
    assert verdict("It costs $119.", asked)[1] == "misplaced_value"


def test_callers_vouch_for_their_own_order_and_not_for_a_price() -> None:
    asked = "Is delivery of order F H 7 7 1 2 twenty dollars?"
    evidence = evidence_of(PASSAGES, asked)
    assert judge("Standard delivery of order FH7712 is $4.95.", evidence, "").supported
    assert judge("Standard delivery is $20.", evidence, asked).reason == "unknown_money"


def test_the_passage_behind_a_sentence_is_named() -> None:
    found = judge("The phone line opens at eight in the morning.", evidence_of(PASSAGES, ""))
    assert found.source_id == "hours"


def test_a_beginning_is_not_held_to_the_condition_that_may_follow() -> None:
    evidence = evidence_of(PASSAGES, "")
    assert judge("Standard delivery is free", evidence, whole=False).supported
    assert not judge("Standard delivery is free.", evidence, whole=True).supported


def test_meaning_decides_where_words_do_not() -> None:
    evidence = evidence_of(PASSAGES, "")
    sentence = "Shipping abroad is not something we do."
    far = [0.0] * len(evidence.statements)
    assert not judge(sentence, evidence, nearness=far).supported


def test_without_evidence_only_courtesies_are_spoken() -> None:
    nothing = evidence_of((), "")
    assert judge("Thank you for waiting.", nothing).supported
    assert not judge("Parcels are carried upstairs.", nothing).supported


@pytest.mark.parametrize(
    "sentence",
    [
        "I'm sorry, but we never deliver sofas to Canada.",
        "I'm sorry, we never deliver sofas to Canada.",
        "Thank you for asking; the warehouse never closes on holidays.",
        "Did you know returns are always free?",
    ],
)
def test_a_claim_behind_a_courtesy_or_in_a_question_is_judged(sentence: str) -> None:
    assert verdict(sentence)[0] is Verdict.REPAIR


@pytest.mark.parametrize(
    "sentence",
    [
        "I'm sorry, but we do not deliver outside the United States.",
        "I'm sorry, but I don't know that.",
        "Sorry, I did not catch that.",
        "Which order is it about?",
    ],
)
def test_a_courtesy_with_what_a_passage_says_or_about_oneself_is_spoken(sentence: str) -> None:
    assert verdict(sentence)[0] is Verdict.SPEAK
