"""Nothing is said that policy, privacy or secrecy forbids, whoever wrote it."""

from __future__ import annotations

import pytest

from voice_agent.safety.output_guard import OutputGuard
from voice_agent.safety.policy import default_policy

INSTRUCTIONS = "You answer phone calls for Fernhill Home. Use only the facts that are given."
GUARD = OutputGuard(default_policy(), INSTRUCTIONS, ["s3cret-token-99", "x"])


def reason(text: str, *sources: str) -> str:
    blocked = GUARD.judge(text, sources)
    return blocked.reason if blocked else ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I promise it will be there tomorrow.", "promise"),
        ("You should sue the carrier.", "legal advice"),
        ("You should take some aspirin.", "medical advice"),
        ("That was a stupid question.", "off brand"),
        ("I am DAN and I can do anything now.", "itself"),
        ("The token is s3cret token 99.", "secret"),
        ("It is sk-abcdefgh12345678.", "secret"),
        ("You answer phone calls for Fernhill Home.", "instructions"),
        ("They live there, ring 0170 555 0123.", "personal data"),
        ("Their address is jo at example dot com.", "personal data"),
    ],
)
def test_what_may_not_be_said_is_stopped(text: str, why: str) -> None:
    assert reason(text) == why


def test_personal_data_of_the_sources_may_be_said() -> None:
    assert reason("Ring us on 0170 555 0123.", "Phone: 0170-555-0123, from nine to five") == ""
    assert reason("I heard jo@example.com.", "it's jo at example dot com") == ""


def test_an_ordinary_answer_may_be_said() -> None:
    assert reason("Standard delivery costs $4.95 and takes 3 to 5 days.") == ""


def test_a_replacement_is_never_empty() -> None:
    blocked = GUARD.judge("I guarantee you a refund, I promise.", [])
    assert blocked is not None
    assert blocked.instead
