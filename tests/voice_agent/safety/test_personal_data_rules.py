"""Numbers and addresses that are personal are found in every form; those that are not are left."""

from __future__ import annotations

import pytest

from voice_agent.safety.masking import mask_identifiers
from voice_agent.safety.personal_data_kinds import Finding, Kind, without_overlaps
from voice_agent.safety.personal_data_rules import (
    find_identifiers,
    is_card_number,
    passes_luhn,
)


def found(text: str) -> list[tuple[Kind, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find_identifiers(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Card 4111 1111 1111 1111 please", Kind.CARD, "4111 1111 1111 1111"),
        ("it's 4111111111111111", Kind.CARD, "4111111111111111"),
        ("my card starts 4111 1111 and then", Kind.CARD, "4111 1111"),
        ("my ssn is 078-05-1120", Kind.NATIONAL_ID, "078-05-1120"),
        ("national insurance AB 12 34 56 C", Kind.NATIONAL_ID, "AB 12 34 56 C"),
        ("my passport number is 533401234", Kind.NATIONAL_ID, "533401234"),
        ("driver's license is D1234567", Kind.LICENCE, "D1234567"),
        ("pay to GB82 WEST 1234 5698 7654 32", Kind.ACCOUNT, "GB82 WEST 1234 5698 7654 32"),
        ("write to jo.doe@example.com", Kind.EMAIL, "jo.doe@example.com"),
        ("ring me on 0170 555 0123", Kind.PHONE, "0170 555 0123"),
        ("+44 20 7946 0958 is my number", Kind.PHONE, "+44 20 7946 0958"),
        ("my password is bluebird", Kind.SECRET, "bluebird"),
        ("from 203.0.113.7 today", Kind.NETWORK, "203.0.113.7"),
    ],
)
def test_written_data_is_found(text: str, kind: Kind, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("four one one one, one one one one, one one one one, one one one one", Kind.CARD),
        ("social security oh seven eight oh five eleven twenty", Kind.NATIONAL_ID),
        ("j o dot d o e at example dot com", Kind.EMAIL),
        ("the pin is one two three four", Kind.SECRET),
        ("ring me on oh one seven oh five five five oh one two three", Kind.PHONE),
    ],
)
def test_spoken_data_is_found(text: str, kind: Kind) -> None:
    assert kind in {one for one, _ in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Where is order 4415229?",
        "my order number is four four one five two two nine",
        "It costs $1,299.00 and takes 14 to 21 days.",
        "We open at 9:30 on 2024-05-06.",
        "I forgot my password and my password is wrong",
        "The model is WX-2000 and the serial is 99812345.",
        "",
    ],
)
def test_what_a_support_call_needs_is_left(text: str) -> None:
    assert found(text) == []


def test_the_surer_finding_wins_and_what_sticks_out_is_kept() -> None:
    sure, wide = Finding(Kind.CARD, 5, 10, 0.9), Finding(Kind.ADDRESS, 0, 12, 0.4)
    kept = without_overlaps([wide, sure])
    assert [(one.kind, one.start, one.end) for one in kept] == [
        (Kind.ADDRESS, 0, 5),
        (Kind.CARD, 5, 10),
        (Kind.ADDRESS, 10, 12),
    ]


def test_check_digits_are_checked() -> None:
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")


def test_only_long_keyed_numbers_are_cards() -> None:
    assert is_card_number("4111111111111111")
    assert not is_card_number("1234")
    assert not is_card_number("")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["1 ", "a@", "one ", ".", "ab1", "1-", "at dot "])
def test_hostile_text_does_not_hang(piece: str) -> None:
    text = piece * 4_000
    for one in find_identifiers(text):
        assert 0 <= one.start < one.end <= len(text)


@pytest.mark.parametrize(
    "said",
    [
        "my card number is 4111 1111 1111, 1111",
        "I want to pay, my card number's 111, 1111, 1111, 1111",
        "card four one one one, one one one one, one one one one, 1111",
    ],
)
def test_a_card_number_read_out_in_groups_leaves_none_of_them(said: str) -> None:
    masked = mask_identifiers([Kind.CARD])(said)
    assert "[card]" in masked
    assert "111" not in masked
    assert "one" not in masked


@pytest.mark.parametrize(
    "said",
    ["I paid by card for order 48, 2133, 7790", "my card was charged 24.95, 13.50 and 12.00"],
)
def test_groups_of_other_digits_are_not_a_cards(said: str) -> None:
    assert mask_identifiers([Kind.CARD])(said) == said
