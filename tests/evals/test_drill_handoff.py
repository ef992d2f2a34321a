"""The handoff drill: what it scripts, what it counts, and that it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.drills import handoff_calls
from evals.drills.handoff import judged
from evals.drills.handoff_calls import Result, run_scripts
from evals.drills.handoff_script import PEOPLE, Script, kinds, scripts
from telephony.call_back_dialler import CallBackDialler
from telephony.call_backs import CallBacks
from telephony.settings import CallBackSettings
from voice_agent.handoff.voicemail import messages


def test_every_thing_a_person_can_do_is_scripted_often_and_always_the_same() -> None:
    made = scripts(500)
    assert made == scripts(500)
    assert all(kinds(made)[person] >= 50 for person in PEOPLE)
    assert {script.agent for script in made} == {"stays", "dies_while_it_rings", "never_there"}


def test_one_lost_caller_or_one_late_ring_in_twenty_misses_the_figure() -> None:
    script = scripts(1)[0]
    good, lost = Result(script, "agent"), Result(script, "lost")
    assert judged([good] * 500, [1.0] * 20).reached
    assert judged([good] * 499 + [lost], [1.0] * 20).missed == ("ended_well_share",)
    assert judged([good], [1.0] * 18 + [2.5, None]).missed == ("ring_p95_s",)
    assert judged([good], []).ring_p95_s is None


async def test_scripted_callers_end_with_a_person_a_call_back_a_message_or_the_agent(
    tmp_path: Path,
) -> None:
    answers = ("answers",) * 3
    results = await run_scripts(
        [
            Script(0, "help", ("busy", "answers", "busy"), "question", "stays"),
            Script(1, "closed", ("answers",) * 3, "call_back", "stays"),
            Script(2, "closed", ("answers",) * 3, "message", "stays"),
            Script(3, "closed", ("answers",) * 3, "question", "stays"),
        ],
        tmp_path,
    )
    assert [result.ended for result in results] == ["person", "call_back", "message", "agent"]
    (alone,) = await run_scripts([Script(4, "help", answers, "question", "never_there")], tmp_path)
    assert alone.ended == "person"


async def test_a_promised_call_is_rung_until_the_caller_has_talked_to_somebody(
    tmp_path: Path,
) -> None:
    closed = ("answers",) * 3
    made = [Script(number, "closed", closed, "call_back", "stays") for number in (1, 2)]
    results = await run_scripts(made, tmp_path)
    assert [result.ended for result in results] == ["call_back", "call_back"]
    kept = CallBacks(CallBackSettings(path=tmp_path / "0" / "call_backs.sqlite")).all()
    assert {each.number[-1]: (each.state, each.tries) for each in kept} == {
        "1": ("done", 1),
        "2": ("done", 2),  # busy at first
    }


async def test_a_promise_that_nobody_keeps_is_a_lost_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rings_nobody(_dialler: CallBackDialler) -> None:
        return

    monkeypatch.setattr(CallBackDialler, "look", rings_nobody)
    monkeypatch.setattr(handoff_calls, "RING_BACK_S", 10.0)
    (result,) = await run_scripts(
        [Script(1, "closed", ("answers",) * 3, "call_back", "stays")], tmp_path
    )
    assert (result.ended, result.why) == ("lost", "not rung back")


async def test_a_message_comes_by_the_line_and_is_on_disk_with_its_words(tmp_path: Path) -> None:
    closed = Script(1, "closed", ("answers",) * 3, "message", "stays")
    (result,) = await run_scripts([closed], tmp_path)
    (taped,) = messages(tmp_path / "0" / "voicemail")
    assert result.ended == "message"
    assert 0.9 <= taped.seconds <= 3.0
    assert taped.words


async def test_a_message_nobody_spoke_is_a_lost_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handoff_calls, "messages", lambda _folder: [])
    closed = Script(1, "closed", ("answers",) * 3, "message", "stays")
    (result,) = await run_scripts([closed], tmp_path)
    assert result.ended == "lost"


async def test_callers_whose_line_transfers_them_or_does_not_all_end_well(tmp_path: Path) -> None:
    made = [
        Script(0, "sent", ("busy", "answers", "busy"), "question", "stays"),
        Script(1, "sent", ("trunk_error",) * 3, "question", "stays"),
        Script(4, "taken_over", ("answers",) * 3, "question", "stays"),
        Script(5, "taken_over", ("answers",) * 3, "question", "stays"),
        Script(7, "taken_over", ("answers",) * 3, "question", "stays"),
    ]
    results = [(await run_scripts([each], tmp_path / f"{each.number}"))[0] for each in made]
    ended = [result.ended for result in results]
    assert ended == ["transferred", "agent", "transferred", "person", "person"]
