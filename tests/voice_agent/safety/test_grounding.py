"""Which clauses may be spoken."""

from __future__ import annotations

import pytest

from tests.voice_agent.passages import passage
from voice_agent.safety.grounding import Verdict, judge_clause

PASSAGES = [
    passage("a", "Standard delivery costs $4.95 and takes three to five business days."),
    passage("b", "Refunds over $1,200 take 14 days. The phone line opens at 8 a.m."),
]


@pytest.mark.parametrize(
    "clause",
    [
        "Standard delivery costs $4.95.",
        "It takes 3 to 5 business days.",
        "It takes three to five days,",
        "A refund of $1,200 takes fourteen days.",
        "The phone line opens at eight in the morning.",
        "Delivery is not free.",
        "Your order 77 is on its way.",
    ],
)
def test_supported_clauses_are_spoken(clause: str) -> None:
    assert judge_clause(clause, PASSAGES, "Where is order 77?", first=True) is Verdict.SPEAK


@pytest.mark.parametrize(
    "clause",
    [
        "Standard delivery costs $5.95.",
        "It takes six business days.",
        "The phone line opens at 9 a.m.",
        "Yes, you can.",
        "No.",
        "...",
    ],
)
def test_unsupported_clauses_are_repaired(clause: str) -> None:
    assert judge_clause(clause, PASSAGES, "When?", first=True) is Verdict.REPAIR


def test_only_the_first_clause_may_not_be_a_bare_yes() -> None:
    assert judge_clause("No fee applies.", PASSAGES, "", first=False) is Verdict.SPEAK
