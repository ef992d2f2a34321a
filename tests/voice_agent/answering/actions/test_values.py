"""Values as callers say them."""

from __future__ import annotations

import datetime

import pytest

from voice_agent.answering.actions.declaration import Parameter
from voice_agent.answering.actions.values import read_value

TODAY = datetime.date(2026, 11, 21)
CODE = Parameter(kind="code", ask="?", prefix="FH", digits=7)
MONEY = Parameter(kind="money", ask="?")
DATE = Parameter(kind="date", ask="?")
DAY = Parameter(kind="date", ask="?", future=True)
EMAIL = Parameter(kind="email", ask="?")
PIN = Parameter(kind="digits", ask="?", digits=4)


def read(parameter: Parameter, words: str, *, asked: bool = True) -> str | None:
    value = read_value(parameter, words, TODAY, asked=asked)
    return value.data if value else None


@pytest.mark.parametrize(
    "words",
    [
        "F H two zero four one nine zero seven",
        "it's FH 204 1907",
        "FH2041907.",
        "two oh four one nine oh seven",
    ],
)
def test_a_code_is_read_however_it_is_said(words: str) -> None:
    assert read(CODE, words) == "FH2041907"


@pytest.mark.parametrize("words", ["two zero four", "FH20419071", "2041907 or 2041908", "my order"])
def test_a_code_with_other_than_its_digits_is_not_understood(words: str) -> None:
    assert read(CODE, words) is None


@pytest.mark.parametrize(
    ("words", "amount"),
    [
        ("forty dollars", "40.00"),
        ("$40.50", "40.50"),
        ("two hundred and fifty", "250.00"),
        ("a hundred dollars and fifty cents", "100.50"),
        ("1,250 dollars", "1250.00"),
        ("twenty or thirty dollars", None),
        ("the whole thing", None),
        ("five six seven", None),
    ],
)
def test_an_amount_is_read_or_not_at_all(words: str, amount: str | None) -> None:
    assert read(MONEY, words) == amount


def test_a_number_is_no_amount_before_one_was_asked_for() -> None:
    assert read(MONEY, "my order 20", asked=False) is None
    assert read(MONEY, "I want twenty dollars back", asked=False) == "20.00"


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("March fourteenth nineteen eighty", "1980-03-14"),
        ("the fourteenth of March 1980", "1980-03-14"),
        ("3/14/1980", "1980-03-14"),
        ("March 14, 1980. March", "1980-03-14"),
        ("march 3rd two thousand and five", "2005-03-03"),
        ("twenty first of May nineteen seventy seven", "1977-05-21"),
        ("June 31st 1980", None),
        ("March 1980", None),
        ("March 14th 2030", None),
    ],
)
def test_a_birth_date_is_read_or_not_at_all(words: str, day: str | None) -> None:
    assert read(DATE, words) == day


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("tomorrow", "2026-11-22"),
        ("next Friday", "2026-11-27"),
        ("December third", "2026-12-03"),
        ("January 5th", "2027-01-05"),
        ("March 14th 1980", None),
    ],
)
def test_a_day_to_come_lies_ahead(words: str, day: str | None) -> None:
    assert read(DAY, words) == day


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("ruth dot abel at example dot com", "ruth.abel@example.com"),
        ("r u t h at example dot com", "ruth@example.com"),
        ("are you tea h at example dot com", "ruth@example.com"),
        ("S for sugar, a m at example dot com", "sam@example.com"),
        ("it's j double o at example dot co dot uk", "joo@example.co.uk"),
        ("bob underscore four two at mail dash box dot org", "bob_42@mail-box.org"),
        ("see you at the store", None),
        ("ruth at example", None),
    ],
)
def test_a_spelled_address_survives_letters_heard_as_words(words: str, address: str | None) -> None:
    assert read(EMAIL, words) == address


def test_an_address_is_told_letter_by_letter() -> None:
    value = read_value(EMAIL, "ruth.abel@example.com", TODAY)
    assert value is not None
    assert value.told == "R, U, T, H, dot, A, B, E, L, at example dot com"


def test_a_pin_has_its_digits_exactly() -> None:
    assert read(PIN, "four eight two one") == "4821"
    assert read(PIN, "4 8 2") is None


def test_a_date_is_no_pin() -> None:
    assert read(PIN, "May 14, 80") is None


def test_a_card_number_in_free_text_goes_no_further() -> None:
    parameter = Parameter(kind="text", ask="What is it about?")
    words = "Please refund my card 4111 1111 1111 1111 today"
    assert read(parameter, words) == "Please refund my card [card] today"
