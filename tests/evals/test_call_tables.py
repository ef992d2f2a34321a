"""Scenarios, agents' records and refusals, without a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from evals.agent_record import matched
from evals.call_report import CallReport, Spoken
from evals.refusing_line import refusal
from evals.scenario import HangUp, Press, Say, ScenarioError, Wait, read_scenario
from evals.wire_audio import RATE_HZ, Span
from evals.wire_call import CallError
from evals.wire_line import line_towards, transport_of


def recording(folder: Path, name: str) -> None:
    at = np.arange(RATE_HZ) / RATE_HZ
    soundfile.write(folder / name, 0.3 * np.sin(2 * np.pi * 300 * at), RATE_HZ)


def test_a_scenario_is_read_with_files_beside_it(tmp_path: Path) -> None:
    recording(tmp_path, "a.wav")
    steps = read_scenario(
        [
            {"say": "a.wav"},
            {"interrupt": "a.wav", "after_ms": 700},
            {"press": "1#"},
            {"wait_s": 2},
            {"hang_up": True},
        ],
        tmp_path,
    )
    assert [type(step) for step in steps] == [Say, Say, Press, Wait, HangUp]
    assert isinstance(steps[1], Say)
    assert steps[1].after_ms == 700


@pytest.mark.parametrize(
    "steps", [[], {}, None, ["say"], [{"shout": "a.wav"}], [{"interrupt": "a.wav"}], [{"say": 1}]]
)
def test_a_scenario_that_is_none_is_refused(steps: Any, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        read_scenario(steps, tmp_path)


def turn(heard: str, began_at: float | None, answer: str = "yes", **more: Any) -> dict[str, Any]:
    return {"heard": heard, "answer": answer, "began_at": began_at, "stages_ms": {}, **more}


BEGAN = [100.0, 110.0, 120.0]


def heard_of(turns: list[dict[str, Any]]) -> list[str | None]:
    return [known.heard if known else None for known in matched({"turns": turns}, BEGAN)]


def test_turns_are_matched_by_when_they_began() -> None:
    turns = [turn("b", 112.0), turn("c", 123.0)]
    assert heard_of(turns) == [None, "b", "c"]


def test_a_recording_taken_for_two_turns_has_both() -> None:
    turns = [turn("first", 101.0), turn("second", 104.0), turn("b", 112.0)]
    assert heard_of(turns) == ["first second", "b", None]


def test_a_greeting_and_a_reminder_are_nobodys_turn() -> None:
    assert heard_of([turn("", 99.0), turn("a", 103.0), turn("", 108.0)]) == ["a", None, None]


def test_without_times_turns_are_matched_in_order() -> None:
    assert heard_of([turn("a", None), turn("b", None)]) == ["a", "b", None]


@pytest.mark.parametrize("record", [{}, {"turns": None}, {"turns": "x"}, {"turns": [1, "a"]}])
def test_a_record_that_is_none_matches_nothing(record: dict[str, Any]) -> None:
    assert matched(record, BEGAN) == [None, None, None]


def test_sources_are_named_once_in_order() -> None:
    passages = [{"source": "b.md"}, {"source": "a.md"}, {"source": "b.md"}, {}]
    known = matched({"turns": [turn("a", 101.0, passages=passages)]}, BEGAN)[0]
    assert known is not None
    assert known.sources == ["b.md", "a.md"]


def test_the_report_has_the_promised_fields_and_is_a_failure_when_a_turn_has_no_answer() -> None:
    received = np.zeros(RATE_HZ * 10, dtype=np.int16)
    received[800:8_000] = 4_000
    received[RATE_HZ * 4 : RATE_HZ * 5] = 4_000
    report = CallReport("sip:a@b")
    spoken = [
        Spoken("a.wav", Span(RATE_HZ * 2, RATE_HZ * 3), False),
        Spoken("b.wav", Span(RATE_HZ * 8, RATE_HZ * 9), False),
    ]
    report.measure(spoken, received)
    assert report.greeting_ms == 100
    assert [turn.voice_to_voice_ms for turn in report.turns] == [1_000, None]
    assert not report.succeeded
    promised = {"said", "heard", "answer", "sources", "voice_to_voice_ms", "stages_ms"}
    assert promised <= set(report.as_json()["turns"][0])


@pytest.mark.parametrize(
    ("uri", "transport"),
    [
        ("sip:a@b", "udp"),
        ("sip:a@b;transport=TCP", "tcp"),
        ("sip:a@b;transport=tls", "tls"),
        ("sips:a@b", "tls"),
    ],
)
def test_the_transport_an_address_asks_for(uri: str, transport: str) -> None:
    assert transport_of(uri) == transport


@pytest.mark.parametrize("uri", ["", "agent", "tel:1", "sip:", "sip:a@", "http://127.0.0.1"])
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(CallError):
        line_towards(uri)


def test_a_line_towards_loopback_is_on_loopback() -> None:
    assert line_towards("sip:agent@127.0.0.1:5060;transport=tcp").host == "127.0.0.1"


INVITE = b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\nTo: <sip:a@b>\r\nCSeq: 1 INVITE\r\nX-Y: z\r\n\r\n"


def test_an_invite_is_refused_with_the_headers_an_answer_needs() -> None:
    answer = refusal(INVITE, 603)
    assert answer is not None
    assert answer.startswith(b"SIP/2.0 603 Decline\r\nVia: x\r\nTo: <sip:a@b>;tag=refused\r\n")
    assert b"X-Y" not in answer


@pytest.mark.parametrize("request_", [b"", b"\xff\xfe", b"ACK sip:a@b SIP/2.0\r\n\r\n"])
def test_what_is_no_call_is_not_answered(request_: bytes) -> None:
    assert refusal(request_, 603) is None
