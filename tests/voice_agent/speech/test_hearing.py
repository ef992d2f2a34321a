"""How much to read, when to try again, and what nobody said."""

from __future__ import annotations

import numpy as np
import pytest

from voice_agent.speech import hearing
from voice_agent.speech.hearing import SAMPLE_RATE_HZ, Decoding


@pytest.mark.parametrize(
    ("duration_s", "first_s"), [(0.3, 5.0), (2.5, 5.0), (4.5, 5.5), (12.0, 13.0), (30.0, 30.0)]
)
def test_the_window_follows_the_utterance_above_a_floor(duration_s: float, first_s: float) -> None:
    assert hearing.windows_s(duration_s)[0] == first_s


@pytest.mark.parametrize("duration_s", [0.1, 3.0, 10.0, 26.0, 30.0])
def test_a_retry_has_more_room_and_no_window_is_longer_than_whisper_reads(
    duration_s: float,
) -> None:
    windows = hearing.windows_s(duration_s)
    assert list(windows) == sorted(set(windows))
    assert max(windows) <= 30.0
    assert windows[0] >= min(duration_s, 30.0)


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        ("No No No No No No", True),
        ("little little little little", True),
        ("I want it I want it I want it I want it I want it I want it I want it I want it", True),
        ("0 0 0 0", False),
        ("5 5 5 5 0 1 9 9", False),
        ("no no no", False),
        ("Ask not what your country can do for you, ask what you can do for it.", False),
        ("", False),
    ],
)
def test_loops_are_told_from_speech(text: str, looping: bool) -> None:
    assert hearing.is_looping(text) is looping


@pytest.mark.parametrize(
    ("text", "no_speech", "log_probability", "kept"),
    [
        ("Thank you.", 0.7, -0.3, False),
        ("Thank you.", 0.1, -0.3, True),
        ("you", 0.66, -1.7, False),
        ("Yes.", 0.3, -0.8, True),
        ("Two.", 0.45, -1.05, True),
        ("no,", 0.47, -1.59, False),
        ("four", 0.1, -0.2, True),
        ("I'm going to put the oil on the pan.", 0.62, -1.59, False),
        ("I'm not gonna be able to do that.", 0.42, -1.98, False),
        ("...", 0.0, -0.1, False),
        ("", 0.0, 0.0, False),
        ("♪", 0.0, -0.1, False),
    ],
)
def test_inventions_over_silence_are_dropped_and_real_words_kept(
    text: str, no_speech: float, log_probability: float, kept: bool
) -> None:
    decoding = hearing.without_inventions(Decoding(text, no_speech, log_probability))
    assert bool(decoding.text) is kept


def test_of_two_readings_the_one_that_does_not_loop_is_believed() -> None:
    loop, words = Decoding("no no no no no", 0.1, -0.1), Decoding("no", 0.1, -1.5)
    assert hearing.better(loop, words) is words
    assert hearing.better(words, loop) is words


def test_of_two_plain_readings_the_likelier_is_believed() -> None:
    weak, strong = Decoding("rose", 0.1, -1.2), Decoding("roast", 0.1, -0.3)
    assert hearing.better(weak, strong) is strong
    assert hearing.better(strong, weak) is strong


@pytest.mark.parametrize(
    ("samples", "silent"),
    [
        (np.zeros(0, np.int16), True),
        (np.zeros(16_000, np.int16), True),
        (np.full(500, 9_000, np.int16), True),
        (np.full(16_000, 3, np.int16), True),
        (np.tile(np.array([400, -400], np.int16), 8_000), False),
        (np.full(16_000, -32_768, np.int16), False),
    ],
)
def test_silence_costs_no_model(samples: np.ndarray, silent: bool) -> None:
    assert hearing.is_silence(samples) is silent


def _word(before_s: float, word_s: float, after_s: float, hiss: int = 0) -> np.ndarray:
    quiet = [np.full(int(16_000 * s), hiss, np.int16) for s in (before_s, after_s)]
    tone = np.tile(np.array([3_000, -3_000], np.int16), int(8_000 * word_s))
    return np.concatenate([quiet[0], tone, quiet[1]])


@pytest.mark.parametrize(
    ("samples", "span_s"),
    [
        (_word(0.3, 0.4, 0.5), 0.4),
        (_word(0.3, 0.4, 0.5, hiss=40), 0.4),
        (_word(0.0, 2.0, 0.0), 2.0),
        (np.concatenate([_word(0.2, 0.3, 0.6), _word(0.6, 0.3, 0.2)]), 1.8),
        (np.zeros(16_000, np.int16), 0.0),
        (np.zeros(0, np.int16), 0.0),
        (np.full(100, 9, np.int16), 100 / 16_000),
    ],
)
def test_the_span_of_speech_leaves_out_the_silence_around_it(
    samples: np.ndarray, span_s: float
) -> None:
    assert hearing.speech_span_s(samples) == pytest.approx(span_s, abs=0.05)


def test_a_word_that_stands_alone_may_not_be_doubled_and_a_number_may() -> None:
    assert hearing.no_repeat_tokens(0.5) == 1
    assert hearing.no_repeat_tokens(2.0) >= 4


@pytest.mark.parametrize(
    ("text", "span_s", "kept"),
    [
        ("Three three", 0.5, "Three"),
        ("6, six", 0.5, "6, six"),
        ("No, no.", 0.6, "No,"),
        ("no no no", 1.8, "no no no"),
        ("yes please", 0.8, "yes please"),
        ("2018, 2018, 2018.", 2.2, "2018,"),
        ("0 0 0 0", 1.8, "0 0 0 0"),
        ("", 0.3, ""),
    ],
)
def test_the_echo_of_a_lone_word_is_taken_back(text: str, span_s: float, kept: str) -> None:
    assert hearing.without_echoes(text, span_s) == kept


@pytest.mark.parametrize(
    ("text", "span_s", "kept"),
    [
        ("Send me a long grey sofa Send me a long gray sofa", 2.0, "Send me a long grey sofa"),
        ("I want a desk with a lamp. I want a a desk with", 1.9, "I want a desk with a lamp."),
        ("I want a desk. No, I want a table.", 3.0, "I want a desk. No, I want a table."),
        ("one two one two one two", 2.0, "one two one two one two"),
        ("", 0.3, ""),
        ("yes", 0.0, "yes"),
    ],
)
def test_an_utterance_recited_twice_is_heard_once(text: str, span_s: float, kept: str) -> None:
    assert hearing.without_recital(text, span_s) == kept


@pytest.mark.parametrize(
    ("segments", "duration_s", "text"),
    [
        ([], 2.0, ""),
        ([(0.0, " two days from now "), (3.6, " the order for two days from now, so")], 3.9,
         "two days from now"),
        ([(0.0, "all in-house"), (3.6, " and I'm just...")], 4.4, "all in-house and I'm just..."),
        ([(0.0, "so many words that nobody could say them all")], 0.5,
         "so many words that nobody could say them all"),
        ([(0.0, "yes"), (9.0, "one two three four five"), (9.5, "one two three")], 2.0, "yes"),
    ],
)  # fmt: skip
def test_what_begins_where_no_time_is_left_was_not_said(
    segments: list[tuple[float, str]], duration_s: float, text: str
) -> None:
    assert hearing.sayable(segments, duration_s) == text


@pytest.mark.parametrize("seconds", [0.5, 30.0, 30.1, 61.0, 125.0])
def test_long_speech_is_cut_into_readable_pieces_without_losing_a_sample(seconds: float) -> None:
    samples = np.arange(int(seconds * SAMPLE_RATE_HZ), dtype=np.int64).astype(np.int16)
    pieces = list(hearing.cut(samples))
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(0 < len(piece) <= 30 * SAMPLE_RATE_HZ for piece in pieces)


def test_long_speech_is_cut_where_it_is_quiet() -> None:
    samples = np.full(40 * SAMPLE_RATE_HZ, 5_000, np.int16)
    quiet = slice(int(27.0 * SAMPLE_RATE_HZ), int(27.3 * SAMPLE_RATE_HZ))
    samples[quiet] = 0
    first = next(iter(hearing.cut(samples)))
    assert quiet.start <= len(first) <= quiet.stop


def test_windows_are_joined_and_nothing_heard_is_silence() -> None:
    joined = hearing.join([Decoding("one", 0.2, -0.2), Decoding("", 0.9, -1.0)])
    assert joined == Decoding("one", 0.2, pytest.approx(-0.6))
    assert hearing.join([]).text == ""


@pytest.mark.parametrize("duration_s", [0.0, 0.3, 2.0, 30.0])
def test_tokens_are_capped_by_duration(duration_s: float) -> None:
    assert 10 <= hearing.most_tokens(duration_s) <= 300
