"""Recordings played as the turn taker hears them."""

from __future__ import annotations

import argparse
import asyncio

import numpy as np
import pytest

from evals import streamed_transcription
from evals.streamed_transcription import Rhythm, Timing
from tests.voice_agent.speech.fake_whisper import Reading, transcriber_that_reads, voice

RATE_HZ = 16_000


def _recording() -> np.ndarray:
    """Two seconds of voice in four of silence."""
    silence = np.zeros(RATE_HZ, np.int16)
    return np.concatenate([silence, voice(2.0), silence])


def test_silence_around_the_speech_is_left_out_but_for_its_onset() -> None:
    taken, end = streamed_transcription.as_taken(_recording())
    assert 2.0 * RATE_HZ < end < 2.4 * RATE_HZ
    assert not taken[:1_600].any()
    assert not taken[end:].any()


def test_a_recording_of_silence_is_played_whole() -> None:
    taken, end = streamed_transcription.as_taken(np.zeros(RATE_HZ, np.int16))
    assert len(taken) == end == RATE_HZ


@pytest.mark.parametrize(("rhythm", "passes"), [(Rhythm(1_000), 3), (Rhythm(1_000, 40), 3)])
def test_interims_come_before_the_final_text(rhythm: Rhythm, passes: int) -> None:
    transcriber, engine = transcriber_that_reads(Reading("oak desk"))
    timing = Timing()
    with asyncio.Runner() as runner:
        text = streamed_transcription.hear(runner, transcriber, _recording(), rhythm, timing)
    assert text == "oak desk"
    assert len(engine.windows) == passes
    assert timing.ready_ms[0] >= rhythm.final_ms
    assert 0 < timing.encoder_ms[0] + timing.decoder_ms[0] <= timing.ready_ms[0]
    assert streamed_transcription.table("fake", timing).row_count == 6


@pytest.mark.parametrize(
    ("options", "rhythm"),
    [
        ([], None),
        (["--streamed"], Rhythm()),
        (["--streamed", "--interim-ms", "200", "--early-ms", "40"], Rhythm(200, 40)),
    ],
)
def test_the_rhythm_is_taken_from_the_command_line(
    options: list[str], rhythm: Rhythm | None
) -> None:
    assert streamed_transcription.rhythm(_parsed(options)) == rhythm


@pytest.mark.parametrize(
    "options", [["--interim-ms", "0"], ["--early-ms", "-20"], ["--early-ms", "140"]]
)
def test_a_rhythm_that_cannot_be_is_refused(options: list[str]) -> None:
    with pytest.raises(ValueError, match="--interim-ms must"):
        streamed_transcription.rhythm(_parsed(["--streamed", *options]))


def _parsed(options: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    streamed_transcription.add_options(parser)
    return parser.parse_args(options)
