"""The line's share of a turn: the figures, and one real call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evals.latency.echo_agent import Marks, is_loud, tone
from evals.latency.transport import Echo, ProbeError, echo_of, probe, summarise
from evals.wire_audio import RATE_HZ, Samples, Span
from telephony.media_stream import FRAME_BYTES
from voice_agent.config import Settings

FIRST, SECOND = Span(0, 160), Span(4_000, 4_160)
MARKS = Marks(heard_s=1_000.030, cleared_s=1_000.540)


def heard(*sounds: tuple[int, int], length: int = RATE_HZ) -> Samples:
    """Silence with sound from ms to ms."""
    samples = np.zeros(length, dtype=np.int16)
    for begin_ms, end_ms in sounds:
        samples[begin_ms * 8 : end_ms * 8] = 5_000
    return samples


def test_an_echo_is_measured_from_packet_to_first_and_last_sample() -> None:
    echo = echo_of(FIRST, SECOND, heard((60, 570)), RATE_HZ, MARKS, answered_at=1_000.0)
    assert echo
    assert (echo.sent_s, echo.answered_s, echo.silent_s) == (0.02, 0.06, 0.57)
    assert echo.heard_s == pytest.approx(0.03)
    assert echo.interrupted_s == pytest.approx(0.52)
    assert echo.cleared_s == pytest.approx(0.54)
    assert echo.longest_gap_ms == 0


def test_a_hole_in_the_tone_is_found() -> None:
    echo = echo_of(FIRST, SECOND, heard((60, 300), (340, 570)), RATE_HZ, MARKS, 1_000.0)
    assert echo
    assert echo.longest_gap_ms == 40


@pytest.mark.parametrize(
    ("sounds", "marks"),
    [
        ((), MARKS),
        (((60, 570),), Marks()),
        (((60, 570),), Marks(heard_s=1_000.03)),
        (((5, 15),), MARKS),
    ],
    ids=["no tone", "never heard", "never stopped", "sound before the burst"],
)
def test_what_is_not_whole_is_no_echo(sounds: tuple[tuple[int, int], ...], marks: Marks) -> None:
    assert echo_of(FIRST, SECOND, heard(*sounds), RATE_HZ, marks, 1_000.0) is None


def test_the_tone_after_the_next_burst_is_the_next_echos() -> None:
    echo = echo_of(FIRST, SECOND, heard((60, 570), (800, 900)), 750 * 8, MARKS, 1_000.0)
    assert echo
    assert echo.silent_s == 0.57


def test_figures_of_several_echoes() -> None:
    echoes = [Echo(0, 0.01, 0.03 + extra, 0.5, 0.52, 0.54, 20 * extra) for extra in (0, 0.01, 0.02)]
    figures = summarise(echoes, missed=1)
    assert figures.median_ms == 40
    assert figures.p95_ms == 49
    assert figures.to_agent_median_ms == 10
    assert figures.to_caller_median_ms == 30
    assert (figures.clear_median_ms, figures.interruption_median_ms) == (20, 40)
    assert figures.longest_gap_ms == 0.4
    assert (figures.echoes, figures.missed) == (3, 1)


def test_nothing_measured_is_no_figure() -> None:
    figures = summarise([], missed=6)
    assert figures.median_ms is None
    assert figures.longest_gap_ms is None
    assert figures.missed == 6


def test_the_tone_is_loud_and_silence_is_not() -> None:
    assert is_loud(tone(16_000, 20).tobytes())
    assert not is_loud(bytes(FRAME_BYTES))


@pytest.mark.loopback
@pytest.mark.parametrize("line", ["sip", "webrtc"])
def test_a_real_line_is_measured(line: str, tmp_path: Path) -> None:
    figures = probe(Settings(), tmp_path, lambda _: None, calls=1, line=line)  # type: ignore[arg-type]
    assert figures.echoes + figures.missed == 6
    assert figures.echoes >= 4
    assert figures.median_ms
    assert figures.median_ms > 0


def test_a_gateway_that_does_not_start_says_where_to_look(tmp_path: Path) -> None:
    settings = Settings.model_validate({"gateway": {"sip": {"codecs": ["NONE"]}}})
    with pytest.raises(ProbeError, match=r"gateway\.log"):
        probe(settings, tmp_path, lambda _: None, calls=1)
