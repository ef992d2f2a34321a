"""What a caller heard of a text, from how much of its audio was played."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.speech.heard import heard_text, word_times

TEXT = "Your order will arrive on Tuesday, and it is free."


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [
        (-5, ""),
        (0, ""),
        (1, ""),
        (3000, TEXT),
        (9000, TEXT),
    ],
)
def test_nothing_played_is_nothing_heard_and_all_is_all(played_ms: int, heard: str) -> None:
    assert heard_text(TEXT, 3000, played_ms) == heard


def test_half_the_audio_is_about_half_the_words() -> None:
    heard = heard_text(TEXT, 3000, 1500)
    assert TEXT.startswith(heard)
    assert 3 <= len(heard.split()) <= 6


def test_a_number_takes_as_long_as_it_takes_to_say() -> None:
    times = word_times("It costs $1,299.95 now", 4000)
    longest = max(times, key=lambda each: each[2] - each[1])
    assert longest[0] == "$1,299.95"
    assert longest[2] - longest[1] > 2000


def test_a_comma_is_a_pause_between_words() -> None:
    times = word_times("Sure, yes", 1000)
    assert times[1][1] - times[0][2] > 80


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_text_without_words_has_no_times(text: str) -> None:
    assert word_times(text, 1000) == []
    assert heard_text(text, 1000, 500) == ""


words = st.lists(st.sampled_from(["a", "because", "$4.95", "no,", "Dr.", "2026", "?"]), max_size=30)


@given(words, st.integers(0, 20_000), st.integers(0, 20_000), st.integers(0, 20_000))
def test_hearing_more_never_loses_words(
    spoken: list[str], duration_ms: int, first_ms: int, second_ms: int
) -> None:
    text = " ".join(spoken)
    earlier, later = sorted((first_ms, second_ms))
    heard = heard_text(text, duration_ms, later)
    assert text.startswith(heard)
    assert heard.startswith(heard_text(text, duration_ms, earlier))


@given(words, st.integers(1, 20_000))
def test_words_follow_each_other_inside_the_audio(spoken: list[str], duration_ms: int) -> None:
    times = word_times(" ".join(spoken), duration_ms)
    edges = [edge for _, start, end in times for edge in (start, end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= duration_ms for edge in edges)
    assert [word for word, _, _ in times] == spoken
