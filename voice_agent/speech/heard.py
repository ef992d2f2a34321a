"""What a caller has heard of a text whose audio was cut short. Pure.

Piper gives no word times, so they are estimated: pauses at punctuation as the synthesiser leaves
them, the rest of the time shared out by syllables. Good to about a word.
"""

from __future__ import annotations

import re

from voice_agent.speech.silence import LEAD_MS, TAIL_UNMARKED_MS, tail_after
from voice_agent.speech.spoken_text import as_spoken

_WORD = re.compile(r"\S+")
_VOWELS = re.compile(r"[aeiouy]+")
_MAX_PAUSE_SHARE = 0.4
_FIXED_COST = 0.4
"""Syllables' worth of time that every word takes besides its syllables."""


def _spoken_length(word: str) -> float:
    """How long a written word takes to say, in syllables: "$4.95" is nine of them."""
    return sum(_syllables(part) for part in as_spoken(word).split()) or 1.0


def _syllables(word: str) -> float:
    letters = re.sub(r"[^a-z]", "", word.lower())
    count = len(_VOWELS.findall(letters))
    if letters.endswith("e") and not letters.endswith("le") and count > 1:
        count -= 1
    return max(1, count) + _FIXED_COST


def word_times(text: str, duration_ms: int) -> list[tuple[str, int, int]]:
    """Each word of ``text`` with its estimated start and end in ``duration_ms`` of its audio."""
    words = [match.group() for match in _WORD.finditer(text)]
    if not words or duration_ms <= 0:
        return [(word, 0, 0) for word in words]
    pauses = [
        0 if pause == TAIL_UNMARKED_MS else pause for pause in (tail_after(word) for word in words)
    ]
    pauses[-1] = tail_after(words[-1])
    silence = LEAD_MS + sum(pauses)
    scale = min(1.0, _MAX_PAUSE_SHARE * duration_ms / silence)
    weights = [_spoken_length(word) for word in words]
    unit_ms = (duration_ms - silence * scale) / sum(weights)
    times: list[tuple[str, int, int]] = []
    at_ms = LEAD_MS * scale
    for word, weight, pause in zip(words, weights, pauses, strict=True):
        end_ms = at_ms + weight * unit_ms
        times.append((word, round(at_ms), round(end_ms)))
        at_ms = end_ms + pause * scale
    return times


def heard_text(text: str, duration_ms: int, played_ms: int) -> str:
    """The beginning of ``text`` that was heard when ``played_ms`` of ``duration_ms`` were played.

    A word counts once half of it has been played. Everything played gives the whole text.
    """
    if played_ms <= 0 or duration_ms <= 0:
        return ""
    if played_ms >= duration_ms:
        return text.strip()
    heard = sum(
        1
        for _, start_ms, end_ms in word_times(text, duration_ms)
        if (start_ms + end_ms) / 2 <= played_ms
    )
    ends = [match.end() for match in _WORD.finditer(text)]
    return text[: ends[heard - 1]].strip() if heard else ""
