"""Mixing, rate conversion and concealment, in numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio import SILENCE, Concealer, Resampler, in_frames, mixed
from telephony.media_stream import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE_HZ


def tone(hz: float, rate_hz: int, seconds: float = 0.5, level: float = 10_000) -> bytes:
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(level * np.sin(2 * np.pi * hz * time_s)).astype("<i2").tobytes()


def frame_of(value: int) -> bytes:
    return np.full(FRAME_SAMPLES, value, "<i2").tobytes()


def test_mixing_adds_and_saturates() -> None:
    assert mixed([]) == SILENCE
    assert mixed([frame_of(5)]) == frame_of(5)
    assert mixed([frame_of(5), SILENCE, frame_of(-7)]) == frame_of(-2)
    assert mixed([frame_of(30_000)] * 3) == frame_of(32_767)
    assert mixed([frame_of(-30_000)] * 3) == frame_of(-32_768)


def test_cutting_fills_up_the_last_frame() -> None:
    assert in_frames(b"") == []
    assert in_frames(b"\1" * (FRAME_BYTES + 2))[1] == b"\1\1".ljust(FRAME_BYTES, b"\0")


RATES = [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000), (16_000, 48_000), (22_050, 16_000)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_keeps_its_pitch_level_and_arrives_at_most_3_ms_late(
    from_hz: int, to_hz: int
) -> None:
    resampler = Resampler(from_hz, to_hz)
    out = np.frombuffer(resampler.feed(tone(1_000, from_hz)), "<i2").astype(float)
    assert resampler.delay_ms < 3
    assert len(out) == pytest.approx(to_hz * 0.5, abs=1)
    time_s = np.arange(len(out)) / to_hz - resampler.delay_ms / 1000
    expected = 10_000 * np.sin(2 * np.pi * 1_000 * time_s)
    settled = slice(to_hz // 20, None)
    error = out[settled] - expected[settled]
    assert np.sqrt((error**2).mean()) < 10


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (16_000, 8_000)])
def test_what_the_lower_rate_cannot_carry_is_removed_not_folded_down(
    from_hz: int, to_hz: int
) -> None:
    out = np.frombuffer(Resampler(from_hz, to_hz).feed(tone(0.65 * to_hz, from_hz)), "<i2")
    assert np.abs(out[to_hz // 20 :]).max() < 50


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from(RATES))
def test_how_a_stream_is_cut_does_not_change_it(cuts: list[int], rates: tuple[int, int]) -> None:
    audio = np.random.default_rng(1).integers(-9_000, 9_000, sum(cuts) + 500).astype("<i2")
    whole = Resampler(*rates).feed(audio.tobytes())
    pieces = Resampler(*rates)
    out, start = b"", 0
    for cut in [*cuts, 500]:
        out += pieces.feed(audio[start : start + cut].tobytes())
        start += cut
    assert out == whole


def test_equal_rates_pass_through_and_impossible_ones_are_refused() -> None:
    assert Resampler(16_000, 16_000).feed(b"\1\2") == b"\1\2"
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 16_000)


def loudness(frame: bytes) -> float:
    return float(np.sqrt((np.frombuffer(frame, "<i2").astype(float) ** 2).mean()))


def test_a_gap_is_covered_with_a_fade_then_silence() -> None:
    concealer = Concealer()
    for frame in in_frames(tone(150, SAMPLE_RATE_HZ, 0.2)):
        concealer.next_frame(frame)
    gap = [concealer.next_frame(None) for _ in range(5)]
    levels = [loudness(frame) for frame in gap]
    assert all(earlier > later for earlier, later in pairwise(levels[:4]))
    assert gap[3:] == [SILENCE, SILENCE]
    assert (concealer.concealed, concealer.silenced) == (3, 2)


@pytest.mark.parametrize("hz", [80, 150, 230, 390])
def test_a_lost_frame_of_voice_neither_clicks_nor_is_missed(hz: int) -> None:
    frames = in_frames(tone(hz, SAMPLE_RATE_HZ, 0.4))
    concealer = Concealer()
    out = b"".join(concealer.next_frame(None if n == 10 else f) for n, f in enumerate(frames))
    heard, said = np.frombuffer(out, "<i2"), np.frombuffer(b"".join(frames), "<i2")
    step = np.abs(np.diff(said.astype(int))).max()
    assert np.abs(np.diff(heard.astype(int))).max() < 1.5 * step + 400
    lost = slice(10 * FRAME_SAMPLES, 11 * FRAME_SAMPLES)
    likeness = np.corrcoef(heard[lost].astype(float), said[lost].astype(float))[0, 1]
    assert likeness > 0.9


def test_before_the_first_word_there_is_only_silence() -> None:
    concealer = Concealer()
    assert concealer.next_frame(None) == SILENCE
    assert concealer.concealed == 0


def test_a_frame_of_the_wrong_length_counts_as_missing() -> None:
    concealer = Concealer()
    assert concealer.next_frame(b"\1" * 10) == SILENCE
