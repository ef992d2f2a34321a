"""What callers say is read as documents write it, and it is known where it was said."""

from __future__ import annotations

import pytest

from voice_agent.safety.spoken_forms import written


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ("it is four one one one, one one one one", "it is 41111111"),
        ("double seven oh four twenty three", "770423"),
        ("oh eight hundred", "0800"),
        ("my name is j o h n", "my name is john"),
        ("J for Juliet, O, H, N as in November", "john"),
        ("S-M-I-T-H", "smith"),
        ("it's john dot smith at example dot com", "it's john.smith@example.com"),
        ("see a are at example dot com", "car@example.com"),
        ("j o h n at ex ample dot calm", "john@example.com"),
        ("one underscore two at example dot co dot uk", "1_2@example.co.uk"),
    ],
)
def test_spoken_forms_are_written(said: str, form: str) -> None:
    read = written(said)
    assert read is not None
    assert read.text == form


@pytest.mark.parametrize(
    "said", ["", "Where is my parcel?", "see you at the shop", "I paid 12.50 on 2024-05-06"]
)
def test_plain_words_have_no_other_form(said: str) -> None:
    assert written(said) is None


def test_numbers_in_figures_keep_their_signs() -> None:
    read = written("two of them for $1,200.50")
    assert read is not None
    assert "$1,200.50" in read.text


def test_every_character_knows_where_it_was_said() -> None:
    said = "my card is four one one one please"
    read = written(said)
    assert read is not None
    at = read.text.index("4111")
    start, end = read.said(at, at + 4)
    assert said[start:end] == "four one one one"
