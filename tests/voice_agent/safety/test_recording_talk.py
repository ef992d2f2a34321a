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
        "I don't want you to record this",
        "I don't want this call recorded",
        "I don't want the call to be recorded",
        "I don't like being recorded",
        "I wouldn't like to be recorded",
        "I never agreed to being recorded",
        "I don't agree to the recording",
        "I don't agree to recording",
        "I do not want a recording",
        "I don't want any recording",
        "I didn't consent to be recorded",
        "I don't want to be taped",
        "I don't want you recording me",
        "I don't wish to be recorded",
        "don't record",
        "stop taping me",
        "never record me",
        "I don't want recording",
        "I do not consent to this being recorded",
        "I don't allow recording",
        "I don't want this to be recorded",
        "don't you dare record me",
        "I don't want to have this conversation recorded",
        "I do not want my voice recorded",
        "I don't want my call recorded",
        "I do not agree to be recorded",
        "I don't want that you record",
        "I don't consent to this recording",
        "Can you stop the recording?",
        "I don't want this on tape",
        "you do not have my permission to record this",
        "why don't you stop the recording",
        "I don't like that you record me",
        "I don't like it when you record this",
        "I don't permit you to record",
        "I don't want this being recorded please",
        "I don't agree with the recording",
        "I don't agree with being recorded",
        "I don't like the recording",
        "I do not want the recording",
        "please stop recording",
        "please do not record my call",
        "don't tape this call",
        "don't record my voice",
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
        "I don't want to buy this record",
        "I don't want to pause my subscription, check the record",
        "don't stop the recording",
        "Please do not stop this recording",
        "I never asked you to stop the recording",
        "I don't like the way you record my meter readings",
        "I do not agree with the record of my payment",
        "please never tape the box",
        "I don't want to return the tape",
        "I don't like this tape",
        "I don't want to lose the record of my order",
        "I don't want my record deleted",
        "I didn't want the recording stopped",
        "I don't like the record I bought",
        "don't turn off the recording",
        "I don't agree with your records",
        "I don't want the tape",
        "I never wanted this tape recorder",
    ],
)
def test_other_words(said: str) -> None:
    assert not wants_no_recording(said)
    assert not asks_if_recorded(said)
