"""Who hears whom at every point of a call."""

from __future__ import annotations

import numpy as np
import pytest

from telephony.audio import SILENCE
from telephony.bridge import Party, heard_by, hearing
from telephony.call import CallStage, HumanStage
from telephony.media_stream import FRAME_SAMPLES


def says(value: int) -> bytes:
    return np.full(FRAME_SAMPLES, value, "<i2").tobytes()


EVERYBODY = {
    Party.CALLER: says(1),
    Party.AGENT: says(10),
    Party.HUMAN: says(100),
    Party.PROMPT: SILENCE,
    Party.ANNOUNCEMENT: says(1000),
}


@pytest.mark.parametrize(
    ("stage", "human", "caller", "agent", "person"),
    [
        (CallStage.WITH_AGENT, HumanStage.ABSENT, 10, 1, 0),
        (CallStage.WITH_AGENT, HumanStage.RINGING, 10, 1, 0),
        (CallStage.WITH_AGENT, HumanStage.ANNOUNCING, 10, 1, 1000),
        (CallStage.WAITING, HumanStage.ANNOUNCING, 10, 1, 1000),
        (CallStage.BRIDGED, HumanStage.BRIDGED, 100, 0, 1),
        (CallStage.CLOSING, HumanStage.ABSENT, 0, 0, 0),
    ],
)
def test_who_hears_whom(
    stage: CallStage, human: HumanStage, caller: int, agent: int, person: int
) -> None:
    who = hearing(stage, human)
    assert heard_by(Party.CALLER, EVERYBODY, who) == says(caller)
    assert heard_by(Party.AGENT, EVERYBODY, who) == says(agent)
    assert heard_by(Party.HUMAN, EVERYBODY, who) == says(person)


@pytest.mark.parametrize("stage", CallStage)
@pytest.mark.parametrize("human", HumanStage)
def test_nobody_hears_an_echo_of_themselves(stage: CallStage, human: HumanStage) -> None:
    for listener, speakers in hearing(stage, human).items():
        assert listener not in speakers


def test_several_speakers_are_mixed_and_oneself_is_left_out() -> None:
    who = {Party.HUMAN: frozenset({Party.CALLER, Party.AGENT, Party.HUMAN})}
    assert heard_by(Party.HUMAN, EVERYBODY, who) == says(11)


def test_a_party_that_says_nothing_is_silent() -> None:
    who = {Party.CALLER: frozenset({Party.HUMAN})}
    assert heard_by(Party.CALLER, {}, who) == SILENCE
