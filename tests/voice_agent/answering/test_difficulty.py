"""Which requests a larger language model is asked about."""

from __future__ import annotations

import pytest

from voice_agent.answering.difficulty import is_hard


@pytest.mark.parametrize(
    ("question", "hard"),
    [
        ("How much is delivery?", False),
        ("What if I miss it?", False),
        ("Do you take PayPal?", False),
        ("Which of the two is cheaper if I am a member?", True),
        ("What do the sofa and the delivery cost in total, and what if I cancel?", True),
        ("I ordered it 40 days ago, can I still return it if it is assembled?", True),
        ("word " * 30, True),
        ("", False),
    ],
)
def test_hard(question: str, hard: bool) -> None:
    assert is_hard(question) is hard
