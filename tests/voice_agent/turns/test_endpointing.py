"""How much silence ends a turn."""

from __future__ import annotations

import pytest

from voice_agent.config import TurnSettings
from voice_agent.turns.endpointing import is_backchannel, silence_needed_ms

SETTINGS = TurnSettings()
SHORTEST, LONGEST = SETTINGS.end_silence_ms, SETTINGS.max_silence_ms


@pytest.mark.parametrize(
    ("text", "completeness", "needed_ms"),
    [
        ("How much is delivery?", 0.95, SHORTEST),
        ("How much is delivery?", 0.0, LONGEST),
        ("How much is delivery?", None, LONGEST),
        (None, 0.95, LONGEST),
        ("I bought a sofa and", 0.95, LONGEST),
        ("My order number is", 0.95, LONGEST),
        ("It's four two seven", 0.95, LONGEST),
        ("4 2 7 1", 0.95, LONGEST),
        ("What are you looking for?", 0.95, SHORTEST),
    ],
)
def test_silence_needed(text: str | None, completeness: float | None, needed_ms: int) -> None:
    assert silence_needed_ms(SETTINGS, text, completeness) == needed_ms


def test_doubt_costs_silence() -> None:
    needed = [silence_needed_ms(SETTINGS, "How much?", p / 10) for p in range(6)]
    assert needed == sorted(needed, reverse=True)
    assert SHORTEST < needed[2] < LONGEST


@pytest.mark.parametrize(
    "text", ["Mm-hm.", "Okay.", "Yeah, yeah.", "Uh-huh", "I see.", "Right, okay."]
)
def test_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", ["No.", "Okay, but how much?", "Wait", "Stop", "What?"])
def test_no_backchannels(text: str) -> None:
    assert not is_backchannel(text)
