"""A message on its way to the disk: all of it, none of it, or an error that is told."""

from __future__ import annotations

import errno
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ
from voice_agent.handoff.voicemail import Taping, begin, messages


def begun(folder: Path) -> Taping:
    return begin(folder, "call-1", "sip:caller@example", "help", "asked")


def tone(seconds: float) -> bytes:
    at = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (8_000 * np.sin(2 * np.pi * 300 * at)).astype("<i2").tobytes()


async def test_all_that_was_said_is_in_the_file_though_it_ends_within_a_second(
    tmp_path: Path,
) -> None:
    taping, said = begun(tmp_path), tone(2.5)
    for start in range(0, len(said), FRAME_BYTES):
        assert not taping.take(said[start : start + FRAME_BYTES])
    message = await taping.end()
    assert message is not None
    assert message.seconds == 2.5
    with wave.open(str(tmp_path / f"{message.message_id}.wav")) as file:
        assert file.readframes(file.getnframes()) == said
    assert messages(tmp_path) == [message]


async def test_where_nothing_was_said_no_file_is_left(tmp_path: Path) -> None:
    taping = begun(tmp_path)
    taping.take(bytes(FRAME_BYTES * 60))
    assert await taping.end() is None
    assert os.listdir(tmp_path) == []


async def test_a_full_disk_does_not_disturb_the_call_and_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    taping = begun(tmp_path)
    monkeypatch.setattr(wave.Wave_write, "writeframes", full)
    assert not taping.take(tone(1.5))
    with pytest.raises(OSError, match="No space"):
        await taping.end()
