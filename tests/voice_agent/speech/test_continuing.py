"""Which words of a growing utterance are settled, and when nothing more was said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from voice_agent.speech import continuing
from voice_agent.speech.continuing import Progress, Word

RATE_HZ = 16_000


def _spoken(*words_s: float, pause_s: float = 0.1) -> np.ndarray:
    """Words of these lengths with a pause after each."""
    loud = np.random.default_rng(1)
    parts = []
    for word_s in words_s:
        parts.append(loud.normal(0, 3_000, int(word_s * RATE_HZ)))
        parts.append(loud.normal(0, 20, int(pause_s * RATE_HZ)))
    return np.concatenate(parts).clip(-32_768, 32_767).astype(np.int16)


def _words(count: int, every_s: float = 0.5) -> list[Word]:
    return [Word(f"w{n}", (n,), n * every_s) for n in range(count)]


def _progress(samples: np.ndarray, sure: bool = True) -> Progress:
    return Progress(len(samples), continuing.checksum(samples), sure=sure)


@pytest.mark.parametrize(
    ("before", "now", "count"),
    [
        ("a dark roast", "a dark roast, please", 3),
        ("A dark roast.", "a dark rose", 2),
        ("light", "dark", 0),
        ("", "dark", 0),
        ("a b c", "a", 1),
    ],
)
def test_words_heard_twice_are_trusted_up_to_the_first_that_differs(
    before: str, now: str, count: int
) -> None:
    assert continuing.agreed(before.split(), now.split()) == count


def test_trusted_words_are_settled_up_to_a_pause_between_two_of_them() -> None:
    rest = _spoken(*[0.4] * 14)
    found = continuing.settle(_words(14), 8, rest)
    assert found is not None
    settled, trusted, at = found
    assert 0 < settled < trusted <= 8
    assert at == pytest.approx((settled * 0.5 - 0.05) * RATE_HZ, abs=0.06 * RATE_HZ)
    assert at % 160 == 0


@pytest.mark.parametrize(
    ("rest", "trusted"),
    [
        (_spoken(*[0.4] * 6), 6),
        (_spoken(*[0.4] * 14), 0),
        (_spoken(*[0.4] * 14), 1),
        (_spoken(7.0), 8),
        (np.zeros(0, np.int16), 3),
    ],
    ids=["short", "nothing trusted", "one word trusted", "no pause", "nothing said"],
)
def test_nothing_is_settled_without_need_trust_or_a_pause(rest: np.ndarray, trusted: int) -> None:
    assert continuing.settle(_words(10), trusted, rest) is None


def test_the_last_words_are_never_settled_however_often_they_were_heard() -> None:
    rest = _spoken(*[0.4] * 14)
    found = continuing.settle(_words(14), 14, rest)
    assert found is not None
    _, trusted, at = found
    assert len(rest) - at > 2 * RATE_HZ
    assert trusted <= 13


def test_more_trusted_words_than_were_aligned_are_no_error() -> None:
    assert continuing.settle(_words(2), 9, _spoken(*[0.4] * 14)) is None


@pytest.mark.parametrize(
    ("text", "recited"),
    [
        ("a large latte with soy milk. Large latte with soy", True),
        ("a large latte with soy milk and a large latte", False),
        ("zero zero zero zero", False),
        ("", False),
    ],
)
def test_what_was_said_already_is_noticed_when_it_comes_again(text: str, recited: bool) -> None:
    assert continuing.is_recited(text) is recited


def test_silence_after_the_words_adds_nothing() -> None:
    said = _spoken(0.5, 0.5)
    assert continuing.says_it_all(_progress(said), said)
    assert continuing.says_it_all(_progress(said), np.concatenate([said, said[-1_600:]]))


def test_a_word_after_the_words_adds_something() -> None:
    said = _spoken(0.5, 0.5)
    assert not continuing.says_it_all(_progress(said), np.concatenate([said, _spoken(0.2)]))


def test_the_end_of_a_word_after_the_words_adds_something() -> None:
    said = _spoken(0.5)[: int(0.44 * RATE_HZ)]
    assert not continuing.says_it_all(_progress(said), _spoken(0.5))


def test_doubtful_words_are_never_all() -> None:
    said = _spoken(0.5)
    assert not continuing.says_it_all(_progress(said, sure=False), said)


def test_progress_belongs_to_the_utterance_it_was_made_on() -> None:
    said = _spoken(0.5, 0.5)
    progress = _progress(said)
    assert continuing.is_beginning(progress, said)
    assert continuing.is_beginning(progress, np.concatenate([said, said]))
    assert not continuing.is_beginning(progress, said[:-1])
    assert not continuing.is_beginning(progress, np.concatenate([said[1:], said]))
    assert not continuing.is_beginning(Progress(), said)


def test_the_language_is_judged_again_when_much_more_was_said() -> None:
    judged = replace(Progress(), language_samples=2 * RATE_HZ)
    assert continuing.language_is_known(judged, 3 * RATE_HZ)
    assert not continuing.language_is_known(judged, 9 * RATE_HZ)
    assert not continuing.language_is_known(Progress(), RATE_HZ)
