"""Which words are about being recorded."""

from __future__ import annotations

import pytest

from voice_agent.safety.recording_talk import asks_if_recorded, wants_no_recording


@pytest.mark.parametrize(
    "said",
    [
        "Stop recording",
        "Please don't record me",
        "I don't want to be recorded",
        "Turn off the recording please",
        "Can you stop recording this call?",
        "I do not consent to being recorded",
        "no recording please",
        "Don’t record this",
    ],
)
def test_the_wish_not_to_be_recorded(said: str) -> None:
    assert wants_no_recording(said)
    assert not asks_if_recorded(said)


@pytest.mark.parametrize(
    "said",
    [
        "Is this call being recorded?",
        "Are you recording me?",
        "Do you record these calls?",
        "Is somebody taping this conversation?",
        "Am I being recorded?",
        "Are my words being recorded right now?",
    ],
)
def test_the_question(said: str) -> None:
    assert asks_if_recorded(said)
    assert not wants_no_recording(said)


@pytest.mark.parametrize(
    "said",
    [
        "Do you sell record players?",
        "I don't want the record player",
        "Is this a record player?",
        "My record shows an order",
        "Where is my order?",
    ],
)
def test_other_words(said: str) -> None:
    assert not wants_no_recording(said)
    assert not asks_if_recorded(said)
