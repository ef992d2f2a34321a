"""The run itself: parts that fail alone, files that are valid at any moment, and the commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evals.agent_record import matched
from evals.call_report import SoundMade
from evals.latency import bench, material, parts, ring
from evals.latency.bench import Plan, run
from evals.latency.budgets import BUDGETS
from evals.latency.material import Said
from evals.latency.recorded import Recorded
from evals.latency.ring import LineCost, RingError, Script, Way
from evals.latency.run_file import read_run
from evals.latency.waterfall import noticing_ms
from evals.wire_audio import RATE_HZ, Span
from tests.evals.bench_runs import call, turn
from voice_agent.cli import app
from voice_agent.config import Settings
from voice_agent.supervision import ServeError

ROOT = Path(__file__).parents[2]
ASKED = [Said(f"q{number}", Path(f"q{number}.wav"), f"Question {number}?") for number in range(20)]
Rung = list[tuple[str, list[Script]]]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rung:
    """A bench without a product: what would have been rung, part by part."""
    calls: Rung = []

    @contextmanager
    def product(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(folder=tmp_path, settings=Settings())

    def answer(_: object, name: str, scripts: Sequence[Script], *__: object) -> list[Any]:
        calls.append((name, list(scripts)))
        return [{**call("", [turn(400.0)]), "turns": [turn(400.0)]} for _ in scripts]

    monkeypatch.setattr(bench, "rig", product)
    monkeypatch.setattr(bench, "_probe", lambda *_: None)
    monkeypatch.setattr(bench, "_time_retrieval", lambda *_: None)
    monkeypatch.setattr(parts, "ring", answer)
    monkeypatch.setattr(parts, "questions", lambda _, count: ASKED[:count])
    monkeypatch.setattr(parts, "sounds", lambda *_: ASKED[:3])
    monkeypatch.setattr(parts, "as_recorded", lambda said: recorded(said.name))
    return calls


def recorded(name: str, *pauses: Span) -> Recorded:
    """Two seconds of noise; which samples does not matter."""
    samples = np.random.default_rng(1).integers(-900, 900, 2 * RATE_HZ).astype(np.int16)
    return Recorded(name, samples, 800, len(samples) - 800, pauses)


def plan(folder: Path, **more: Any) -> Plan:
    given: dict[str, Any] = {
        "quick": True,
        "minutes": None,
        "speech": (),
        "pauses": (),
        "documents": (),
        "sounds": (),
        "calls": None,
        "line": "sip",
        "network": (),
        "stock": False,
        "out": folder / "latency.json",
        "budgets": ROOT / BUDGETS,
    }
    return Plan(**(given | more))


def states(folder: Path) -> dict[str, str]:
    return {part["name"]: part["state"] for part in read_run(folder / "latency.json")["parts"]}


def test_every_part_is_measured_and_written(rung: Rung, tmp_path: Path) -> None:
    assert run(Settings(), plan(tmp_path), json_output=False) == 0
    written = read_run(tmp_path / "latency.json")
    assert written["complete"]
    assert set(states(tmp_path).values()) == {"done"}
    assert {one["part"] for one in written["calls"]} == {
        "questions",
        "interruptions",
        "load",
        "pauses",
        "sounds",
    }
    assert "<html" in (tmp_path / "latency.html").read_text(encoding="utf-8")


def test_callers_at_once_ring_at_once_with_other_questions(rung: Rung, tmp_path: Path) -> None:
    run(Settings(), plan(tmp_path, quick=False), json_output=False)
    loads = {name: scripts for name, scripts in rung if name.startswith("load")}
    assert [len(scripts) for scripts in loads.values()] == [1, 2, 4]
    first = {script.steps[0]["say"] for script in loads["load-4"]}
    assert len(first) == 4


def test_interruptions_fall_into_the_first_100_ms_of_an_answer_too(
    rung: Rung, tmp_path: Path
) -> None:
    run(Settings(), plan(tmp_path, quick=False), json_output=False)
    steps = [
        step
        for name, scripts in rung
        if name.startswith("interruptions")
        for step in scripts[0].steps
    ]
    moments = [step["after_ms"] for step in steps if "interrupt" in step]
    assert len(moments) == parts.FULL.interruptions
    assert min(moments) < 100 < max(moments)


def test_a_part_that_fails_is_reported_and_the_rest_goes_on(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sounds(*_: object) -> list[Said]:
        raise OSError("no such thing\nreally")

    monkeypatch.setattr(parts, "sounds", no_sounds)
    assert run(Settings(), plan(tmp_path), json_output=False) == 1
    failed = [one for one in read_run(tmp_path / "latency.json")["parts"] if one["why"]]
    assert [(one["name"], one["state"], one["why"]) for one in failed] == [
        ("sounds", "failed", "no such thing really")
    ]


@pytest.mark.parametrize(
    ("error", "traced"), [(ZeroDivisionError("a bug"), True), (RingError("no report"), False)]
)
def test_only_what_nobody_foresaw_leaves_its_trace(
    error: Exception,
    traced: bool,
    rung: Rung,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object) -> list[Said]:
        raise error

    monkeypatch.setattr(parts, "sounds", fails)
    assert run(Settings(), plan(tmp_path), json_output=False) == 1
    assert states(tmp_path)["sounds"] == "failed"
    assert ("Traceback" in capsys.readouterr().out) is traced


def test_a_stop_leaves_a_valid_file_marked_incomplete(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "interrupt", stop)
    assert run(Settings(), plan(tmp_path), json_output=False) == 1
    written = read_run(tmp_path / "latency.json")
    assert not written["complete"]
    assert written["summary"]["turns"] == 1
    assert states(tmp_path)["interruptions"] == "stopped"


def test_without_time_a_part_is_short_and_nothing_has_failed(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "QUICK", replace(parts.QUICK, seconds=-1.0))
    assert run(Settings(), plan(tmp_path), json_output=False) == 0
    assert rung == []
    assert states(tmp_path)["questions"] == "short"


def test_an_unanswered_question_is_exit_code_1(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ring", lambda *_: [{"turns": [turn(None)]}])
    assert run(Settings(), plan(tmp_path), json_output=False) == 1


def test_a_product_that_does_not_start_ends_the_run(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise ServeError("no model", exit_code=2)

    monkeypatch.setattr(bench, "rig", broken)
    assert run(Settings(), plan(tmp_path), json_output=False) == 2
    assert not read_run(tmp_path / "latency.json")["complete"]


def test_json_output_is_the_summary_alone(
    rung: Rung, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Settings(), plan(tmp_path), json_output=True)
    assert json.loads(capsys.readouterr().out)["turns"] == 1


# --- what is said ------------------------------------------------------------------------------


def test_half_of_the_pauses_are_peoples_own_where_there_are_such() -> None:
    own = [recorded(f"own{number}", Span(4000, 4000 + 6400)) for number in range(9)]
    plain = [recorded(f"plain{number}") for number in range(9)]
    chosen = material.pausing([*plain, *own], 8)
    assert [one.name[:3] for one in chosen] == ["own"] * 4 + ["pla"] * 4
    lengths = [round(pause.length_ms) for one in chosen for pause in one.pauses]
    assert lengths == [800] * 4 + list(material.SPLICED_MS[:4])


def test_without_own_pauses_all_are_put_in() -> None:
    chosen = material.pausing([recorded("a"), recorded("b")], 8)
    assert [len(one.pauses) for one in chosen] == [1, 1]


def test_a_cough_starts_hard_and_dies_away() -> None:
    one, two = material.cough(1), material.cough(2)
    assert len(two) == 2 * len(one)
    assert np.abs(one[:200]).max() > 4 * np.abs(one[-1400:-1200]).max()


def test_known_ends_go_with_what_is_said() -> None:
    known = Said("a", Path("/a.wav"), known=(0.1, 1.9, ((0.5, 1.2),)))
    assert known.step("interrupt", 80) == {
        "interrupt": "/a.wav",
        "after_ms": 80,
        "begin_s": 0.1,
        "end_s": 1.9,
        "pauses": [[0.5, 1.2]],
    }
    assert Said("b", Path("/b.wav")).step() == {"say": "/b.wav"}


# --- laying the record beside it ---------------------------------------------------------------


def test_an_answer_that_was_cut_short_is_not_judged() -> None:
    said = {"a": Said("a", Path("a.wav"), "A?", ("two",)), "b": Said("b", Path("b.wav"), "B?")}
    report: dict[str, Any] = {
        "turns": [
            turn(400, said="x/a.wav", answer="It is two."),
            turn(400, said="x/a.wav", answer="It is three."),
            turn(400, said="x/a.wav", answer="It is two."),
            turn(400, said="x/b.wav", interrupts=True),
        ],
        "sounds": [{"sound": "x/b.wav"}],
    }
    ring.annotate(report, said, None)
    assert [one["right"] for one in report["turns"]] == [True, False, None, None]
    assert report["turns"][0]["said"] == "A?"
    assert report["sounds"][0]["sound"] == "B?"


def test_a_turn_that_the_agent_took_apart_has_the_answered_ones_times() -> None:
    record = {
        "turns": [
            {"heard": "How", "began_at": 100.0, "voice_to_voice_ms": None},
            {"heard": "much?", "began_at": 101.0, "voice_to_voice_ms": 400.0, "answer": "Two."},
        ]
    }
    known = matched(record, [100.0])[0]
    assert known is not None
    assert (known.turns, known.answered["heard"]) == (2, "much?")


def of_record(end_reason: str, *more: dict[str, Any]) -> dict[str, Any]:
    asked = {"heard": "How much?", "began_at": 100.0, "answer": "Two.", "end_reason": end_reason}
    return {"turns": [asked, *more]}


@pytest.mark.parametrize(
    ("record", "heard", "stopped"),
    [
        (of_record("completed"), None, False),
        (of_record("interrupted"), None, True),
        (of_record("completed", {"heard": "Cough.", "began_at": 104.1}), "Cough.", True),
    ],
    ids=["said all", "fell silent", "answered it"],
)
def test_the_record_tells_whether_a_sound_stopped_the_agent(
    monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], heard: str | None, stopped: bool
) -> None:
    async def ask(*_: object) -> tuple[dict[str, Any], str]:
        return record, ""

    monkeypatch.setattr(ring, "ask_record", ask)
    made = SoundMade("cough", 4.0, 200.0, agent_ran=True, resumed=False)
    asked = {"said": "a.wav", "began_s": 0.0}
    report: dict[str, Any] = {"answered_at": 100.0, "call_id": "x"}
    report |= {"turns": [asked], "sounds": [made.as_json()]}
    ring.add_record(report, Settings(), None)
    sound = report["sounds"][0]
    assert (sound["heard"], sound["stopped_for_good"]) == (heard, stopped)
    assert report["turns"][0]["heard"] == "How much?"
    assert report["turns"][0]["agent_turns"] == 1


def test_how_late_the_agent_noticed_the_end() -> None:
    one = {"began_s": 2.0, "speech_ms": 1500.0}
    assert noticing_ms(one, 1000.0, 1003.56, 30.0) == pytest.approx(30.0, abs=0.01)


def test_callers_without_a_report_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig: Any = SimpleNamespace(folder=tmp_path, settings=Settings(), uri="nonsense")
    with pytest.raises(ring.RingError):
        ring.ring(rig, "a", [Script([{"hang_up": True}], ())], LineCost(80, 30), Way())


# --- the commands ------------------------------------------------------------------------------


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    plans: list[Plan] = []

    def note(_: Settings, given: Plan, __: bool) -> int:
        plans.append(given)
        return 0

    monkeypatch.setattr(bench, "run", note)
    return plans


Invoke = Callable[..., Any]


@pytest.fixture
def invoke() -> Invoke:
    def command(*arguments: str, **environment: str) -> Any:
        return CliRunner().invoke(app, ["bench", *arguments], env=environment)

    return command


@pytest.mark.parametrize("arguments", [(), ("--json",), ("run",), ("--no-stock",)])
def test_bench_without_a_command_runs(
    invoke: Invoke, planned: list[Plan], arguments: tuple[str, ...]
) -> None:
    assert invoke(*arguments).exit_code == 0
    assert len(planned) == 1
    assert not planned[0].quick


def test_a_quick_run_can_be_asked_for_in_the_environment(
    invoke: Invoke, planned: list[Plan]
) -> None:
    assert invoke(QUICK="1").exit_code == 0
    assert planned[0].quick


def test_the_network_is_handed_to_the_callers(
    invoke: Invoke, planned: list[Plan], tmp_path: Path
) -> None:
    noise = tmp_path / "café.wav"
    noise.touch()
    done = invoke("--loss", "2", "--noise", str(noise), "--snr-db", "10", "--line", "webrtc")
    assert done.exit_code == 0
    assert planned[0].network == ("--loss=2", f"--noise={noise}", "--snr-db=10")
    assert planned[0].line == "webrtc"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("--line", "pigeon"),
        ("--calls", "0"),
        ("--speech", "/there/is/none"),
        ("compare",),
        ("compare", "only-one.json"),
        ("prepare",),
    ],
)
def test_wrong_usage_is_exit_code_2(
    invoke: Invoke, planned: list[Plan], arguments: tuple[str, ...]
) -> None:
    assert invoke(*arguments).exit_code == 2
    assert planned == []


def test_a_shorter_run_has_some_of_everything_and_a_longer_one_no_more() -> None:
    short, endless = parts.FULL.within(60), parts.FULL.within(1e9)
    assert replace(endless, seconds=parts.FULL.seconds) == parts.FULL
    assert short.seconds == 60
    counts = (short.recorded, short.interruptions, short.sounds, short.pauses, short.probe_calls)
    assert all(2 <= count < 6 for count in counts)
    assert short.stock_rounds == 2
