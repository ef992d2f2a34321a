"""Music while one waits: soft, telephone-sized, without a click where it begins again."""

from __future__ import annotations

import numpy as np

from telephony.hold_music import hold_music
from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ


def test_it_is_quiet_lies_within_a_telephones_band_and_loops_without_a_click() -> None:
    frames = hold_music()
    assert all(len(frame) == FRAME_BYTES for frame in frames)
    samples = np.frombuffer(b"".join(frames), "<i2").astype(float)
    assert 500 < np.abs(samples).max() <= 3_000
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    assert power[(hz > 280) & (hz < 3_400)].sum() / power.sum() > 0.95
    steps = np.abs(np.diff(samples))
    assert abs(samples[0] - samples[-1]) <= steps.max()
    seconds = samples.reshape(-1, SAMPLE_RATE_HZ)
    assert (np.abs(seconds).max(axis=1) > 100).all(), "no gap that sounds like the end"
