"""Callers in a process of their own: scenarios, ramps, reports, and what they refuse."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from evals.call_report import CallReport
from evals.caller import add_record
from evals.latency import callers
from evals.latency.mouth import noise_under
from evals.playing import Caller
from evals.scenario import HangUp, Hold, Press, Say, ScenarioError, Sound, Step, read_scenario
from evals.telephone import SeesPackets
from evals.wire_audio import (
    RATE_HZ,
    WIDE_HZ,
    AudioFileError,
    KnownEnds,
    Samples,
    Span,
    Utterance,
    read_utterance,
)
from evals.wire_call import CallError
from tests.evals.test_caller_calls import ToneAgent, run_module, tone_agent
from tests.telephony.webrtc_peer import serving
from voice_agent.config import Settings


def recording(path: Path, *voiced_ms: tuple[int, int], length_ms: int = 1_000) -> Path:
    samples = np.zeros(WIDE_HZ * length_ms // 1000)
    for start, end in voiced_ms or ((0, length_ms),):
        span = slice(WIDE_HZ * start // 1000, WIDE_HZ * end // 1000)
        at = np.arange(span.stop - span.start) / WIDE_HZ
        samples[span] = 0.3 * np.sin(2 * np.pi * 300 * at)
    soundfile.write(path, samples, WIDE_HZ)
    return path


# --- what is said --------------------------------------------------------------------------------


def test_pauses_are_found_by_energy_and_the_wide_samples_fit_the_narrow(tmp_path: Path) -> None:
    path = recording(
        tmp_path / "a.wav", (500, 900), (1_000, 1_300), (2_000, 2_500), length_ms=3_000
    )
    said = read_utterance(path)
    assert said.speech.length_ms == pytest.approx(2_000, abs=15)
    (pause,) = said.pauses
    assert pause.length_ms == pytest.approx(700, abs=15)
    assert pause.start - said.speech.start == pytest.approx(800 * 8, abs=15 * 8)
    assert said.wide is not None
    assert len(said.wide) == 2 * len(said.samples)


def test_known_ends_are_believed(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", length_ms=2_000)
    said = read_utterance(path, KnownEnds(0.5, 1.7, ((0.8, 1.0), (1.2, 1.3))))
    assert said.speech == Span(800, 800 + 9_600)
    assert said.pauses == (Span(3_200, 4_800), Span(6_400, 7_200))
    assert len(said.samples) == 10_400


@pytest.mark.parametrize(
    "ends",
    [
        KnownEnds(1.0, 0.5),
        KnownEnds(-0.1, 0.5),
        KnownEnds(0.1, 5.0),
        KnownEnds(0.1, 0.9, ((0.5, 0.4),)),
        KnownEnds(0.1, 0.9, ((0.5, 0.95),)),
    ],
)
def test_ends_that_cannot_be_are_refused(tmp_path: Path, ends: KnownEnds) -> None:
    with pytest.raises(AudioFileError, match=r"a\.wav"):
        read_utterance(recording(tmp_path / "a.wav"), ends)


def test_a_background_lies_as_far_under_speech_as_asked(tmp_path: Path) -> None:
    said = read_utterance(recording(tmp_path / "a.wav"))
    noise = noise_under(recording(tmp_path / "n.wav"), [said], 20.0)
    level = np.sqrt(np.square(noise.next_frame().astype(float)).mean())
    spoken = np.sqrt(np.square(said.samples.astype(float)).mean())
    assert spoken / level == pytest.approx(10, rel=0.1)


def test_a_silent_background_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.wav"
    soundfile.write(path, np.zeros(800), RATE_HZ)
    with pytest.raises(AudioFileError, match="no noise"):
        noise_under(path, [], 20.0)


def test_every_step_is_read(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    steps = read_scenario(
        [
            {"say": "a.wav", "begin_s": 0.1, "end_s": 0.9, "pauses": [[0.4, 0.6]], "press": "5"},
            {"continue": "a.wav", "after_ms": 450, "press": "6", "press_at_ms": 30},
            {"sound": "a.wav", "after_ms": 800},
            {"hold_s": 2, "after_ms": 500},
            {"hold_s": 1.5},
        ],
        tmp_path,
    )
    assert isinstance(steps[0], Say)
    assert steps[0].utterance.pauses == (Span(3_200, 4_800),)
    assert steps[0].press == "5"
    assert isinstance(steps[1], Say)
    assert (steps[1].after_end_ms, steps[1].press_at_ms) == (450, 30)
    assert isinstance(steps[2], Sound)
    assert steps[3:] == [Hold(2.0, 500.0), Hold(1.5)]


@pytest.mark.parametrize(
    "steps",
    [
        [{"continue": "a.wav", "after_ms": 1}],
        [{"press": "1"}, {"continue": "a.wav", "after_ms": 1}],
        [{"sound": "a.wav"}],
        [{"hold_s": "x"}],
        [{"hold_s": 1, "after_ms": "x"}],
        [{"say": "a.wav", "begin_s": 0.1}],
        [{"say": "a.wav", "pauses": [[0.1, 0.2]]}],
        [{"say": "a.wav", "begin_s": 0.1, "end_s": 0.5, "pauses": [0.2]}],
        [{"say": "a.wav", "press": 5}],
        [{"say": "a.wav", "press": "5", "press_at_ms": -1}],
    ],
)
def test_a_step_that_cannot_be_is_refused(tmp_path: Path, steps: list[Any]) -> None:
    recording(tmp_path / "a.wav")
    with pytest.raises(ScenarioError, match="step"):
        read_scenario(steps, tmp_path)


# --- how a scenario is played --------------------------------------------------------------------


class ScriptedCall:
    """A telephone whose time passes as it is asked to; the agent begins to answer 0.5 s after
    whatever was said, and speaks for 3 s."""

    def __init__(self) -> None:
        self.call_id, self.answered_at, self.digits, self.end_reason = "id", 1_000.0, "", ""
        self.ended = asyncio.Event()
        self.done: list[tuple[str, float]] = []
        self.now_s = 0.0
        self.sent: list[Span] = []
        self.reply_s = 0.1

    async def __aenter__(self) -> ScriptedCall:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def dial(self, uri: str) -> ScriptedCall:
        return self

    async def say(self, utterance: Utterance) -> range:
        self.note(Path(utterance.name).stem)
        start = round(self.now_s * RATE_HZ)
        self.sent.append(Span(start, start + len(utterance.samples)))
        self.now_s += len(utterance.samples) / RATE_HZ
        self.reply_s = self.now_s + 0.5
        return range(len(self.sent) - 1, len(self.sent))

    async def press(self, digits: str) -> None:
        self.note(f"press {digits}")

    async def hold(self, held: bool) -> None:
        self.note("hold" if held else "resume")

    async def wait_for_sound(self, after_s: float, timeout_s: float) -> float | None:
        self.now_s = max(self.now_s, self.reply_s)
        return self.reply_s

    async def wait_for_quiet(self, quiet_ms: float, timeout_s: float) -> float | None:
        self.now_s = max(self.now_s, self.reply_s + 3.0 + quiet_ms / 1000)
        return self.now_s

    async def wait_for_end(self, timeout_s: float) -> None:
        self.now_s += timeout_s

    async def hang_up(self) -> None:
        self.note("hang up")

    def axis(self) -> tuple[Samples, Samples, list[Span]]:
        length = round((self.now_s + 5) * RATE_HZ)
        return np.zeros(length, np.int16), np.zeros(length, np.int16), self.sent

    def note(self, what: str) -> None:
        self.done.append((what, round(self.now_s, 2)))


def utterance(name: str, ms: int = 1_000) -> Utterance:
    size = RATE_HZ * ms // 1000
    return Utterance(name, np.full(size, 5_000, np.int16), Span(0, size))


async def played(*steps: Step) -> tuple[ScriptedCall, CallReport]:
    call = ScriptedCall()
    caller = Caller(list(steps), lambda _: None, quiet_ms=1_000)
    return call, await caller.ring("sip:a@b", call)


async def test_sounds_hold_and_interruptions_come_so_long_into_the_reply() -> None:
    call, report = await played(
        Say(utterance("a")),
        Sound(utterance("cough", 200), 800),
        Hold(2.0, 1_500),
        Say(utterance("b"), after_ms=4_000),
        HangUp(),
    )
    # The greeting begins at 0.1 s and is over, with the quiet after it, at 4.1 s.
    reply_s = 4.1 + 1.0 + 0.5
    assert call.done == [
        ("a", 4.1),
        ("cough", round(reply_s + 0.8, 2)),
        ("hold", round(reply_s + 1.5, 2)),
        ("resume", round(reply_s + 3.5, 2)),
        ("b", round(reply_s + 4.0, 2)),
        ("hang up", round(reply_s + 5.5, 2)),
    ]
    assert [turn.interrupts for turn in report.turns] == [False, True]
    assert [sound.sound for sound in report.sounds] == ["cough"]
    assert report.network == {}
    assert not isinstance(call, SeesPackets)


async def test_words_that_are_continued_are_one_turn_with_a_pause() -> None:
    call, report = await played(
        Say(utterance("a")), Say(utterance("b"), after_end_ms=450), Press("1")
    )
    assert call.done[:2] == [("a", 4.1), ("b", 5.55)]
    (turn,) = report.turns
    assert turn.said == "a + b"
    assert turn.pauses == [(1.0, 1.45)]
    assert turn.speech_ms == 2_450


async def test_keys_are_pressed_while_words_are_said() -> None:
    call, _ = await played(Say(utterance("a"), press="5"))
    assert {what for what, _ in call.done} == {"a", "press 5", "hang up"}


# --- in a process of their own -------------------------------------------------------------------


def scenario(folder: Path, *steps: dict[str, Any]) -> Path:
    path = folder / "s.json"
    path.write_text(json.dumps(steps))
    return path


@pytest.mark.loopback
async def test_callers_ring_on_a_ramp_and_each_leaves_a_report(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav", length_ms=600)
    steps = scenario(tmp_path, {"say": "a.wav"}, {"interrupt": "a.wav", "after_ms": 500})
    out = tmp_path / "out"
    async with tone_agent() as uri:
        code, printed, err = await run_module(
            *("evals.latency.callers", uri, "--scenario", str(steps), "--out", str(out)),
            *("--ramp", "1,2", "--stagger-s", "0.2", "--quiet-ms", "500", "--record"),
            *("--noise", str(tmp_path / "a.wav"), "--snr-db", "40", "--jitter-ms", "2"),
        )
    assert (code, err) == (0, "")
    names = ["call-1x-0", "call-2x-0", "call-2x-1"]
    assert sorted(path.stem for path in out.glob("*.json")) == names
    assert all((out / f"{name}.wav").exists() for name in names)
    for name in names:
        report = json.loads((out / f"{name}.json").read_text())
        assert report["callers"] == int(name[5])
        assert report["line"] == "sip"
        assert report["impairments"]["jitter_ms"] == 2
        assert [turn["barge_in_stop_ms"] is not None for turn in report["turns"]] == [False, True]
        assert report["network"]["received"] > 0
    events = [json.loads(line) for line in printed.splitlines()]
    assert [event["callers"] for event in events if event["event"] == "stage"] == [1, 2]
    assert sum(event["event"] == "reported" for event in events) == 3


@pytest.mark.loopback
async def test_callers_ring_over_webrtc(tmp_path: Path) -> None:
    class Gateway:
        ready = True

        async def take(self, leg: Any) -> None:
            await ToneAgent(leg).serve()

    recording(tmp_path / "a.wav", length_ms=600)
    steps = scenario(tmp_path, {"say": "a.wav"})
    async with serving(Gateway()) as server:  # type: ignore[arg-type]
        code, _, err = await run_module(
            *("evals.latency.callers", server.url, "--line", "webrtc", "--scenario", str(steps)),
            *("--out", str(tmp_path / "out"), "--name", "web", "--quiet-ms", "500"),
        )
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "out" / "web-0.json").read_text())
    assert report["line"] == "webrtc"
    assert report["turns"][0]["voice_to_voice_ms"] > 0


@pytest.mark.loopback
async def test_a_call_that_fails_is_exit_code_1_and_has_a_report(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    out = tmp_path / "out"
    code, _, err = await run_module(
        *("evals.latency.callers", "http://127.0.0.1:9", "--line", "webrtc", "--out", str(out)),
        *("--scenario", str(scenario(tmp_path, {"say": "a.wav"}))),
    )
    assert code == 1
    assert "nothing answers" in err
    assert json.loads((out / "call-0.json").read_text())["succeeded"] is False


@pytest.mark.parametrize(
    "bad",
    [
        {"uri": "nonsense"},
        {"uri": "http://127.0.0.1:80"},
        {"uri": "sip:a@b", "--line": "webrtc"},
        {"--scenario": "absent.json"},
        {"--scenario": "broken.json"},
        {"--scenario": "empty.json"},
        {"--ramp": "1,x"},
        {"--ramp": "0"},
        {"--ramp": ""},
        {"--callers": "1000"},
        {"--loss": "101"},
        {"--jitter-ms": "-1"},
        {"--jitter-ms": "nan"},
        {"--stagger-s": "-1"},
        {"--stagger-s": "nan"},
        {"--quiet-ms": "nan"},
        {"--snr-db": "inf"},
        {"--noise": "absent.wav"},
        {"--config": "absent.yaml"},
    ],
    ids=str,
)
def test_wrong_usage_is_exit_code_2_and_one_line(
    tmp_path: Path, bad: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path / "a.wav")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text("[]")
    scenario(tmp_path, {"say": "a.wav"})
    files = {"--scenario": "s.json"} | bad
    arguments = [files.pop("uri", "sip:agent@127.0.0.1"), "--out", str(tmp_path / "out")]
    for option, value in files.items():
        named = option in ("--scenario", "--noise", "--config")
        arguments += [option, str(tmp_path / value) if named else value]
    assert callers.main(arguments) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert err.startswith("callers: ")


def test_each_caller_has_a_network_and_a_background_of_its_own(tmp_path: Path) -> None:
    said = read_utterance(recording(tmp_path / "a.wav"))
    noise = noise_under(recording(tmp_path / "n.wav", length_ms=40_000), [said], 20.0)
    plan = callers.Plan(
        "sip:a@b",
        "sip",
        (("x", (HangUp(),)), ("y", (HangUp(),))),
        (1, 2),
        tmp_path,
        impairments=callers.Impairments(loss_percent=5),
        noise=noise,
    )
    assert [plan.scenario(number)[0] for number in range(3)] == ["x", "y", "x"]
    assert [plan.file(0, 0), plan.file(1, 1)] == ["call-1x-0", "call-2x-1"]
    seeds = {plan.impairments.seeded(stage, n).seed for stage, n in ((0, 0), (1, 0), (1, 1))}
    assert len(seeds) == 3


async def test_what_the_agent_made_of_a_sound_is_not_part_of_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, report = await played(Say(utterance("a")), Sound(utterance("cough", 200), 800))
    sounded = report.answered_at + report.sounds[0].began_s

    async def ask(*_: object) -> tuple[dict[str, Any], str]:
        turns = [
            {
                "heard": "a question",
                "answer": "yes",
                "began_at": sounded - 2.3,
                "stages_ms": {},
                "end_reason": "interrupted",
            },
            {"heard": "cough", "answer": "pardon", "began_at": sounded, "stages_ms": {}},
        ]
        return {"turns": turns, "ended_at": 1}, ""

    monkeypatch.setattr("evals.caller.ask_record", ask)
    assert await add_record(report, Settings()) == ""
    assert (report.turns[0].heard, report.turns[0].answer) == ("a question", "yes")
    assert (report.sounds[0].heard, report.sounds[0].said_all) == ("cough", False)


async def test_a_telephone_that_cannot_ring_is_in_the_report() -> None:
    class Dead(ScriptedCall):
        async def dial(self, uri: str) -> ScriptedCall:
            raise CallError("486 Busy Here", 486)

    report = await Caller([HangUp()], lambda _: None).ring("sip:a@b", Dead())
    assert (report.error, report.status) == ("486 Busy Here", 486)
