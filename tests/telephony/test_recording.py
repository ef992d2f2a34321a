"""Stereo files that are whole at any moment, and a disk that fails."""

from __future__ import annotations

import stat
import wave
from pathlib import Path

import numpy as np
import pytest

from telephony import recording as recording_module
from telephony.audio import SILENCE
from telephony.media_stream import FRAME_BYTES, FRAME_SAMPLES
from telephony.recording import BLOCK_FRAMES, Recording, interleaved


def says(value: int) -> bytes:
    return np.full(FRAME_SAMPLES, value, "<i2").tobytes()


def channels(path: Path) -> tuple[list[int], list[int]]:
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    step = FRAME_SAMPLES
    return both[::step, 0].tolist(), both[::step, 1].tolist()


def test_sides_are_interleaved() -> None:
    assert interleaved(b"\1\0\2\0", b"\3\0\4\0") == b"\1\0\3\0\2\0\4\0"


def test_both_sides_are_written_behind_silence_for_what_came_before(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "new" / "call.wav", began_ms=40)
    recording.add(says(1), says(2))
    recording.add(says(5), SILENCE)
    recording.close()
    assert channels(recording.path) == ([0, 0, 1, 5], [0, 0, 2, 0])


def test_what_is_held_back_is_not_on_disk_and_can_be_silenced(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav", held_back_ms=2_000)
    for number in range(3 * BLOCK_FRAMES):
        recording.add(says(number + 1), SILENCE)
    recording.flush()
    with wave.open(str(recording.path)) as file:
        assert file.getnframes() == BLOCK_FRAMES * FRAME_SAMPLES
    assert recording.forget_latest(2_500) == 2_000, "the rest is on its way to the disk"
    recording.close()
    left, _ = channels(recording.path)
    assert left == [*range(1, BLOCK_FRAMES + 1), *[0] * 2 * BLOCK_FRAMES]


def test_what_is_gathered_for_the_next_block_is_silenced_as_well(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav", held_back_ms=40)
    for number in range(5):
        recording.add(says(number + 1), SILENCE)
    assert recording.forget_latest(60) == 60
    recording.close()
    assert channels(recording.path)[0] == [1, 2, 0, 0, 0]


def test_the_description_is_beside_the_file_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav")
    recording.describe("first")
    recording.describe("last")
    recording.close()
    described = tmp_path / "call.json"
    assert described.read_text() == "last"
    assert stat.S_IMODE(described.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call.json", "call.wav"]


def test_what_is_forgotten_is_silent_and_times_stay_true(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav")
    recording.add(says(1), says(2))
    recording.forget_latest(1_000)
    recording.add(says(3), says(4))
    recording.close()
    assert channels(recording.path) == ([0, 3], [0, 4])


def test_only_the_owner_may_read_a_recording(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav")
    recording.close()
    assert stat.S_IMODE(recording.path.stat().st_mode) == 0o600


def test_what_a_crash_leaves_is_a_valid_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav")
    for _ in range(3 * BLOCK_FRAMES):
        recording.add(says(1), says(2))
    recording.flush()
    left_behind = tmp_path / "copy.wav"
    left_behind.write_bytes(recording.path.read_bytes())
    left, right = channels(left_behind)
    assert (left, right) == ([1] * 3 * BLOCK_FRAMES, [2] * 3 * BLOCK_FRAMES)
    recording.close()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"evidence")
    recording = Recording(path)
    recording.add(says(1), says(1))
    recording.close()
    assert recording.failed
    assert path.read_bytes() == b"evidence"


def test_a_disk_that_fails_drops_audio_but_never_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MAX_QUEUED_BLOCKS", 2)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    recording = Recording(blocked / "call.wav")
    for _ in range(100 * BLOCK_FRAMES):
        recording.add(bytes(FRAME_BYTES), bytes(FRAME_BYTES))
    recording.close()
    assert recording.failed
