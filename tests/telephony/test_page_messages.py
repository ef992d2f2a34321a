"""What the gateway makes of a page's messages."""

from __future__ import annotations

import pytest

from telephony.call import DigitPressed
from telephony.page_messages import HangUpPressed, read_page_message


@pytest.mark.parametrize("digit", list("0123456789*#ABCD"))
def test_a_key_is_a_digit(digit: str) -> None:
    assert read_page_message(f'{{"event": "digit", "digit": "{digit}"}}') == DigitPressed(
        digit, 100
    )


def test_hanging_up_is_understood() -> None:
    assert read_page_message('{"event": "hang_up", "more": 1}') == HangUpPressed()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hang_up",
        b'{"event": "hang_up"}',
        None,
        "[]",
        "[" * 250,
        '{"event": ["hang_up"]}',
        '{"event": "digit"}',
        '{"event": "digit", "digit": ""}',
        '{"event": "digit", "digit": "12"}',
        '{"event": "digit", "digit": 1}',
        '{"event": "digit", "digit": ["1"]}',
        '{"event": "transfer"}',
        '{"event": "hang_up", "padding": "' + "x" * 300 + '"}',
    ],
)
def test_anything_else_means_nothing(message: object) -> None:
    assert read_page_message(message) is None
