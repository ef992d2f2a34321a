"""Who hears whom with a supervisor in a call, and what is heard while that changes."""

from __future__ import annotations

import numpy as np
import pytest

from telephony.bridge import Party, heard_by, heard_while_changing, hearing
from telephony.call import CallStage, HumanStage, SupervisorMode
from tests.telephony.test_bridge import says

LISTEN, WHISPER = SupervisorMode.LISTEN, SupervisorMode.WHISPER
BARGE, TAKEOVER = SupervisorMode.BARGE, SupervisorMode.TAKEOVER


EVERYBODY = {
    Party.CALLER: says(1),
    Party.AGENT: says(10),
    Party.HUMAN: says(100),
    Party.SUPERVISOR: says(1000),
    Party.CALLERS_EAR: says(10_000),
    Party.ANNOUNCEMENT: says(5),
}
WITH_AGENT = (CallStage.WITH_AGENT, HumanStage.ABSENT)
ANNOUNCING = (CallStage.WITH_AGENT, HumanStage.ANNOUNCING)
BRIDGED = (CallStage.BRIDGED, HumanStage.BRIDGED)


@pytest.mark.parametrize(
    ("point", "mode", "caller", "agent", "person", "supervisor"),
    [
        (WITH_AGENT, LISTEN, 10, 1, 0, 10_001),
        (BRIDGED, LISTEN, 100, 0, 1, 10_001),
        (ANNOUNCING, WHISPER, 10, 1, 1005, 10_001),
        (BRIDGED, WHISPER, 100, 0, 1001, 10_001),
        (WITH_AGENT, BARGE, 1010, 1, 0, 11),
        (BRIDGED, BARGE, 1100, 0, 1001, 101),
        (WITH_AGENT, TAKEOVER, 1000, 0, 0, 1),
        (BRIDGED, TAKEOVER, 1000, 0, 1001, 101),
    ],
)
def test_who_hears_whom_with_a_supervisor(
    point: tuple[CallStage, HumanStage],
    mode: SupervisorMode,
    caller: int,
    agent: int,
    person: int,
    supervisor: int,
) -> None:
    who = hearing(*point, mode)
    assert heard_by(Party.CALLER, EVERYBODY, who) == says(caller)
    assert heard_by(Party.AGENT, EVERYBODY, who) == says(agent)
    assert heard_by(Party.HUMAN, EVERYBODY, who) == says(person)
    assert heard_by(Party.SUPERVISOR, EVERYBODY, who) == says(supervisor)


@pytest.mark.parametrize("stage", CallStage)
@pytest.mark.parametrize("human", HumanStage)
@pytest.mark.parametrize("mode", [None, *SupervisorMode])
@pytest.mark.parametrize("assistant", [False, True])
def test_an_agent_never_hears_a_supervisor_and_nobody_an_echo(
    stage: CallStage, human: HumanStage, mode: SupervisorMode | None, assistant: bool
) -> None:
    who = hearing(stage, human, mode, assistant=assistant)
    assert Party.SUPERVISOR not in who[Party.AGENT]
    for listener, speakers in who.items():
        assert listener not in speakers


@pytest.mark.parametrize("point", [BRIDGED, (CallStage.WITH_AGENT, HumanStage.ABSENT)])
def test_a_silent_assistant_goes_on_hearing_the_caller(
    point: tuple[CallStage, HumanStage],
) -> None:
    assert hearing(*point, TAKEOVER, assistant=True)[Party.AGENT] == {Party.CALLER}
    assert hearing(*point, TAKEOVER)[Party.AGENT] == frozenset()


def test_who_comes_rises_and_who_leaves_falls_without_a_step() -> None:
    before, now = hearing(*BRIDGED), hearing(*BRIDGED, TAKEOVER)
    level = {Party.HUMAN: says(8000), Party.SUPERVISOR: says(8000)}
    last = np.frombuffer(heard_by(Party.CALLER, level, before), "<i2").astype(int)
    changing = np.frombuffer(heard_while_changing(Party.CALLER, level, before, now), "<i2").astype(
        int
    )
    first = np.frombuffer(heard_by(Party.CALLER, level, now), "<i2").astype(int)
    joined = np.concatenate((last, changing, first))
    assert np.abs(np.diff(joined)).max() < 100
    assert changing.min() > 7_900, "the two together are as loud as each alone"
