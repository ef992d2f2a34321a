"""What reaches the disk, from when on, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from telephony import recorder as recorder_module
from telephony.errors import NotRecorded
from telephony.law import CallLaw, Disclosure, RecordingRule
from telephony.media_stream import FRAME_MS
from telephony.opening import Permission
from telephony.recorder import Recorder
from tests.telephony.test_recording import channels, says

LAW = CallLaw(RecordingRule.CONSENT, Disclosure.AT_START, ("here",))


def made(path: Path | None, **callbacks: Any) -> Recorder:
    return Recorder(path, LAW, **callbacks)


def hear(recorder: Recorder, value: int, frames: int = 1) -> None:
    for _ in range(frames):
        recorder.add(says(value), says(value))


def described(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return told


def test_nothing_is_on_disk_before_permission_and_times_stay_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = made(path)
    hear(recorder, 1, 3)
    assert recorder.as_dict()["state"] == "waiting"
    assert not list(tmp_path.iterdir())
    recorder.settle(Permission.AGREED_BY_WORD)
    hear(recorder, 2, 2)
    assert recorder.as_dict()["state"] == "on"
    recorder.close()
    assert channels(path)[0] == [0, 0, 0, 2, 2]
    told = described(path)
    assert (told["permission"], told["rules"]) == ("agreed_by_word", ["here"])
    assert told["began_ms"] == 3 * FRAME_MS


@pytest.mark.parametrize(
    "permission", [Permission.REFUSED, Permission.UNANSWERED, Permission.NOT_HEARD]
)
def test_without_permission_nothing_is_ever_on_disk(tmp_path: Path, permission: Permission) -> None:
    recorder = made(tmp_path / "call.wav")
    hear(recorder, 1)
    recorder.settle(permission)
    recorder.settle(Permission.AGREED_BY_WORD)
    hear(recorder, 2, 100)
    recorder.close()
    assert recorder.as_dict()["state"] == "refused"
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotRecorded):
        recorder.pause("supervisor", "why")


def test_a_pause_is_silence_and_says_from_when_to_when_by_whom_and_why(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = made(path)
    recorder.begin()
    hear(recorder, 1, 2)
    assert recorder.pause("supervisor", "the caller asked", "ana")
    assert not recorder.pause("supervisor", "again", "ben"), "paused already"
    assert recorder.as_dict() == {"state": "paused", "why": "supervisor", "since_ms": 40}
    hear(recorder, 2, 3)
    assert recorder.resume(None)
    assert not recorder.resume(None), "nothing is paused"
    hear(recorder, 3)
    recorder.close()
    assert channels(path)[0] == [1, 1, 0, 0, 0, 3]
    assert described(path)["pauses"] == [
        {
            "cause": "supervisor",
            "reason": "the caller asked",
            "by": "ana",
            "from_ms": 40,
            "to_ms": 100,
        }
    ]


def test_a_pause_that_comes_late_silences_what_is_held_back(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = made(path)
    recorder.begin()
    hear(recorder, 1, 10)
    recorder.pause("payment", "payment data", back_ms=120)
    recorder.pause("payment", "payment data", back_ms=160)
    hear(recorder, 2)
    recorder.resume("payment")
    recorder.close()
    assert channels(path)[0] == [1, 1, *[0] * 9]
    (pause,) = described(path)["pauses"]
    assert (pause["from_ms"], pause["to_ms"]) == (40, 220)


def test_each_cause_ends_its_own_pause_and_a_supervisor_every_one(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = made(path)
    recorder.begin()
    recorder.pause("supervisor", "asked to")
    recorder.pause("payment", "payment data")
    hear(recorder, 1)
    assert recorder.resume("payment")
    hear(recorder, 2)
    assert recorder.as_dict()["state"] == "paused"
    recorder.pause("payment", "payment data")
    assert recorder.resume(None)
    assert recorder.as_dict()["state"] == "on"
    hear(recorder, 3)
    recorder.close()
    assert channels(path)[0] == [0, 0, 3]


def test_a_caller_who_changes_their_mind_is_silent_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recorder = made(path)
    recorder.settle(Permission.NOTICE_HEARD)
    hear(recorder, 1)
    recorder.refuse()
    hear(recorder, 2, 2)
    assert recorder.as_dict()["state"] == "refused"
    with pytest.raises(NotRecorded):
        recorder.resume(None)
    recorder.close()
    assert channels(path)[0] == [1, 0, 0]
    assert described(path)["stopped_by_caller_ms"] == FRAME_MS


def test_calls_that_are_not_recorded_write_nothing() -> None:
    recorder = made(None)
    hear(recorder, 1)
    recorder.settle(Permission.AGREED_BY_KEY)
    recorder.refuse()
    recorder.close()
    assert recorder.as_dict()["state"] == "off"
    with pytest.raises(NotRecorded):
        recorder.pause("payment", "payment data")


def test_a_disk_that_is_full_is_told_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "HELD_BACK_MS", 0)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    failures: list[bool] = []
    recorder = made(blocked / "call.wav", on_failed=lambda: failures.append(True))
    recorder.begin()
    for _ in range(200):
        hear(recorder, 1)
        if recorder._recording is not None:
            recorder._recording.flush()
    assert failures == [True]
    assert recorder.as_dict()["state"] == "failed"
    with pytest.raises(NotRecorded):
        recorder.pause("supervisor", "why")
    recorder.close()


def test_pauses_without_end_are_kept_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_PAUSES_KEPT", 2)
    path = tmp_path / "call.wav"
    recorder = made(path)
    recorder.begin()
    for _ in range(4):
        recorder.pause("payment", "payment data")
        hear(recorder, 1)
        recorder.resume("payment")
    recorder.close()
    assert len(described(path)["pauses"]) == 2
    assert channels(path)[0] == [0] * 4
