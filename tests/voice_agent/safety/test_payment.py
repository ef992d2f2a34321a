"""What touches payment data, and when a pause for it begins and ends."""

from __future__ import annotations

import pytest

from voice_agent.safety.payment import PaymentTalk, touches_payment


@pytest.mark.parametrize(
    "said",
    [
        "What is your card number, please?",
        "my card number is four one one one",
        "It's 4111 1111 1111 1111",
        "four one one one one one one one one one one one one one one one",
        "the three digits on the back of my card",
        "it expires twelve twenty seven",
        "And the expiry date?",
        "The CVV is 123",
        "Can you tell me the security code?",
        "my sort code is 12-34-56",
    ],
)
def test_payment_data_and_the_talk_of_it_are_noticed(said: str) -> None:
    assert touches_payment(said)


@pytest.mark.parametrize(
    "said",
    [
        "How much is delivery?",
        "My order number is 48213377",
        "I paid by credit card",
        "Do you take credit cards?",
        "Where is my refund?",
        "Is there a gift wrap option?",
        "",
    ],
)
def test_other_talk_is_recorded(said: str) -> None:
    assert not touches_payment(said)


def test_a_pause_is_asked_for_until_it_ends_after_a_turn_without_payment_data() -> None:
    talk = PaymentTalk()
    assert talk.hear_caller("I want to pay, my card number is")
    assert talk.hear_caller("I want to pay, my card number is 4111")
    assert not talk.over("", "How can I help you?"), "the greeting that was talked over"
    talk.commit("my card number is 4111 1111 1111 1111")
    assert not talk.over("my card number is [card]", "Thank you.")
    talk.commit("where is my order")
    assert talk.over("where is my order", "It is on its way.")
    assert not talk.over("where is my order", "It is on its way.")


def test_a_pause_begins_when_the_agent_asks_and_lasts_through_the_answer() -> None:
    talk = PaymentTalk()
    assert talk.hear_agent("What is your card number?")
    assert not talk.over("I want to pay", "What is your card number?")
    talk.commit("one two three four")
    assert not talk.over("one two three four five six", "Sorry, could you say that again?")
    talk.commit("never mind")
    assert talk.over("never mind", "All right.")


def test_a_part_of_a_number_is_not_recorded_when_somebody_else_has_ended_the_pause() -> None:
    talk = PaymentTalk()
    assert not talk.hear_caller("one two three")
    assert talk.hear_agent("And the security code?")
    assert talk.hear_caller("one two three")
    assert talk.hear_caller("4111 1111 1111 1111")
    assert not talk.hear_caller("wait a moment")


def test_words_that_are_heard_while_another_reply_ends_keep_the_pause() -> None:
    talk = PaymentTalk()
    talk.hear_agent("And the security code?")
    talk.hear_caller("the code on the card is")
    assert not talk.over("I want to pay", "All right.")


def test_talk_without_payment_data_neither_begins_nor_ends_anything() -> None:
    talk = PaymentTalk()
    assert not talk.hear_caller("How much is delivery?")
    assert not talk.hear_agent("It is free.")
    talk.commit("How much is delivery?")
    assert not talk.over("How much is delivery?", "It is free.")
