"""Measurement on sample positions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from evals.exchange import reply_to, stopped_after_ms
from evals.wire_audio import (
    PACKET_SAMPLES,
    RATE_HZ,
    AudioFileError,
    Chunk,
    Samples,
    Span,
    drawn,
    placed,
    read_utterance,
    stretches,
    write_stereo,
)


def sound(ms: int, level: int = 5_000) -> Samples:
    at = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.rint(level * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


def silence(ms: int) -> Samples:
    return np.zeros(RATE_HZ * ms // 1000, dtype=np.int16)


def ms(*values: int) -> list[int]:
    return [RATE_HZ * value // 1000 for value in values]


def test_sound_is_found_where_it_is_and_short_pauses_are_joined() -> None:
    line = np.concatenate((silence(100), sound(200), silence(100), sound(100), silence(400)))
    assert [(s.start, s.end) for s in stretches(line, join_ms=150)] == [tuple(ms(100, 500))]
    apart = stretches(line, join_ms=50)
    assert [(s.start, s.end) for s in apart] == [tuple(ms(100, 300)), tuple(ms(400, 500))]


def test_silence_and_the_idle_noise_of_the_codec_are_no_sound() -> None:
    idle = np.tile(np.array([8, -8], dtype=np.int16), 4_000)
    assert stretches(idle, join_ms=100) == []
    assert stretches(silence(0), join_ms=100) == []
    assert stretches(silence(3), join_ms=100) == []


def test_the_background_of_a_recording_is_no_speech() -> None:
    noisy = np.concatenate((sound(300, 100), sound(200, 8_000), sound(300, 100)))
    assert [(s.start, s.end) for s in stretches(noisy, join_ms=50)] == [tuple(ms(300, 500))]


def test_a_recording_is_cut_to_its_speech_in_whole_packets(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.concatenate((silence(700), sound(333), silence(900))), RATE_HZ)
    utterance = read_utterance(path)
    assert len(utterance.samples) % PACKET_SAMPLES == 0
    assert utterance.speech.start == ms(100)[0]
    assert utterance.speech.length_ms == pytest.approx(335, abs=5)


def test_a_recording_at_another_rate_and_in_stereo_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    at = np.arange(48_000) / 48_000
    wave = 0.3 * np.sin(2 * np.pi * 300 * at)
    soundfile.write(path, np.stack((wave, wave), axis=1), 48_000)
    assert read_utterance(path).speech.length_ms == pytest.approx(1_000, abs=15)


@pytest.mark.parametrize("content", [b"", b"RIFFnonsense", None])
def test_a_file_that_is_no_audio_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"a\.wav"):
        read_utterance(path)


@pytest.mark.parametrize("length_ms", [0, 500])
def test_a_recording_of_silence_is_refused(tmp_path: Path, length_ms: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, silence(length_ms), RATE_HZ)
    with pytest.raises(AudioFileError, match="no speech"):
        read_utterance(path)


def packets(seen_s: list[float]) -> list[Chunk]:
    return [Chunk(at, sound(20)) for at in seen_s]


def test_packets_seen_in_time_lie_where_they_were_seen() -> None:
    spans = placed(packets([1.00, 1.02, 1.04]), ends_when_seen=False)
    assert [span.start for span in spans] == ms(1_000, 1_020, 1_040)
    spans = placed(packets([1.00, 1.02, 1.04]), ends_when_seen=True)
    assert [span.end for span in spans] == ms(1_000, 1_020, 1_040)


def test_a_late_look_is_corrected_by_the_next_in_time() -> None:
    spans = placed(packets([1.00, 1.035, 1.04, 1.06]), ends_when_seen=False)
    assert [span.start for span in spans] == ms(1_000, 1_020, 1_040, 1_060)


def test_a_real_gap_stays() -> None:
    spans = placed(packets([1.00, 1.02, 1.24, 1.26]), ends_when_seen=False)
    assert [span.start for span in spans] == ms(1_000, 1_020, 1_240, 1_260)


@given(st.lists(st.floats(0, 0.03), min_size=2, max_size=40))
def test_packets_never_overlap_and_never_lie_later_than_seen(delays: list[float]) -> None:
    chunks = packets([0.02 * number + delay for number, delay in enumerate(delays)])
    spans = placed(chunks, ends_when_seen=False)
    for before, after in pairwise(spans):
        assert before.end <= after.start
    for chunk, span in zip(chunks, spans, strict=True):
        assert span.start <= round(chunk.seen_s * RATE_HZ)


def test_the_axis_is_silent_but_for_the_chunks_and_cuts_what_lies_outside() -> None:
    chunks = packets([-0.01, 0.1, 0.195])
    axis = drawn(chunks, placed(chunks, ends_when_seen=False), ms(200)[0])
    assert len(axis) == 1_600
    assert [(s.start, s.end) for s in stretches(axis, join_ms=20)] == [
        tuple(ms(0, 10)),
        tuple(ms(100, 120)),
        tuple(ms(195, 200)),
    ]


SAID = Span(*ms(1_000, 2_000))


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([Span(*ms(2_700, 4_000))], (700, 0)),
        ([Span(*ms(0, 900)), Span(*ms(2_700, 4_000)), Span(*ms(4_300, 5_000))], (700, 300)),
        ([Span(*ms(500, 1_300)), Span(*ms(2_600, 3_000))], (600, 0)),
        ([Span(*ms(1_800, 3_000))], (-200, 0)),
        ([Span(*ms(0, 900))], None),
        ([Span(*ms(9_500, 9_900))], None),
        ([], None),
    ],
    ids=["plain", "gap", "after barge-in", "early", "none", "too late", "silent line"],
)
def test_the_reply_to_what_was_said(
    heard: list[Span], expected: tuple[float, float] | None
) -> None:
    reply = reply_to(SAID, heard, until=ms(9_000)[0])
    assert (reply and (reply.voice_to_voice_ms, reply.longest_gap_ms)) == expected


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([Span(*ms(500, 1_300))], 300),
        ([Span(*ms(500, 2_500))], 1_500),
        ([Span(*ms(500, 900))], None),
        ([Span(*ms(1_100, 1_300))], None),
    ],
)
def test_how_long_the_agent_went_on_after_the_first_syllable(
    heard: list[Span], expected: float | None
) -> None:
    assert stopped_after_ms(SAID, heard) == expected


def test_a_stereo_recording_has_the_caller_left_and_the_agent_right(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.wav"
    write_stereo(path, sound(100), silence(100))
    data, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == RATE_HZ
    assert np.abs(data[:, 0]).max() > 4_000
    assert not data[:, 1].any()
