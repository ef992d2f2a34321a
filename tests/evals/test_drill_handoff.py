"""The handoff drill: what it scripts, what it counts, and that it can fail."""

from __future__ import annotations

from pathlib import Path

from evals.drills.handoff import judged
from evals.drills.handoff_calls import Result, run_scripts
from evals.drills.handoff_script import PEOPLE, Script, kinds, scripts


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
