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


def test_both_sides_are_written_and_pauses_are_silent(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "new" / "call.wav")
    recording.add(says(1), says(2))
    recording.paused = True
    recording.add(says(3), says(4))
    recording.paused = False
    recording.add(says(5), SILENCE)
    recording.close()
    assert channels(recording.path) == ([1, 0, 5], [2, 0, 0])


def test_what_is_forgotten_is_silent_and_times_stay_true(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "call.wav")
    recording.add(says(1), says(2))
    recording.forget_latest()
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
