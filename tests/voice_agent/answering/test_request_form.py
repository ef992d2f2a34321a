"""How a request is put, by its first words."""

from __future__ import annotations

import pytest

from voice_agent.answering.request_form import Form, form_of


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("How long does a refund take?", Form.ASKED),
        ("um, so what does it cost", Form.ASKED),
        ("Until when can I cancel?", Form.ASKED),
        ("Can I cancel my order?", Form.ASKED),
        ("Is my order on its way?", Form.ASKED),
        ("Refund my order.", Form.DONE),
        ("Hello, can you cancel my order?", Form.DONE),
        ("I’d like to book a visit", Form.DONE),
        ("my order status please", Form.DONE),
        ("I need a new password", Form.DONE),
        ("The table has a scratch.", Form.TOLD),
        ("I smell gas", Form.TOLD),
        ("however you like", Form.TOLD),
        ("", Form.TOLD),
    ],
)
def test_form(text: str, form: Form) -> None:
    assert form_of(text) is form
