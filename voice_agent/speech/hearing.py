"""What to make of a recogniser's output: how much to read, when to try again, what it invented.

The numbers were chosen with ``evals/transcription.py``; ARCHITECTURE.md has the
table. Pure.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from voice_agent.speech.spoken_text import as_spoken

SAMPLE_RATE_HZ = 16_000
MAX_WINDOW_S = 30.0
_NO_REPEAT_TOKENS = 4
"""Kills loops; callers do say "zero zero zero", so it must not be smaller for long utterances."""
_SINGLE_WORD_S = 1.0
"""Whisper doubles a word that stands alone ("nine nine"): with so little speech nothing repeats.
Of 50 spoken digits with silence around, 19 were doubled without this rule, none with it."""

_ROOM_S = 1.0
_FLOOR_S = 5.0
"""Below this, short words loop or turn into others; above it they cost more and gain little."""
_RETRY_FLOOR_S = 10.0
_RETRY_ROOM_S = 5.0
_SILENCE_RMS = 12.0
"""Of 32,768: −69 dBFS, below the noise of any telephone line that carries a voice."""
_TIMED_S = 2.0
_MOST_CHARACTERS_PER_S = 22.0
_MOST_WORDS_PER_S = 6.0
_SPARE_WORDS = 2
_OPENING_WORDS = 2
_LOUD_SHARE = 0.06
_LEAST_S = 0.08
_TOKENS_PER_S = 9
_TOKENS_AT_LEAST = 14
_COMPRESSION_LOOPING = 2.4
_LOOP_WORDS = 4
_SURE = -0.6
"""Log probability of a greedy text that a wider search seldom betters: over 292 orders 89.8 % of
the slots are heard so, 89.2 % by faster-whisper's own 30 s window with a beam of 5."""
_IMPROBABLE = -1.1
_NOBODY = -1.65
_DOUBT_WEIGHT = 1.2
"""Log probability less weighted no-speech probability tells speech from noise better than a bound
on each: of 59 pieces of noise and 40 lone digits, it kept 4 (two of them speech) and lost one."""
_NO_SPEECH_INVENTED = 0.5
_CUT_SEARCH_S = 5.0

_INVENTIONS = frozenset(
    {
        "", "you", "thank you", "thanks", "thanks for watching", "thank you for watching",
        "thank you very much", "thank you so much", "please subscribe", "bye", "bye bye",
        "so", "i", "i'm", "oh", "the", "okay", "silence", "music", "applause", "blankaudio",
        "subtitles by the amaraorg community",
    }
)  # fmt: skip
"""Texts Whisper writes over silence and noise. Callers say some of them too, so they are dropped
only when the model itself doubts that anyone spoke."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """One pass of the recogniser over one window."""

    text: str
    no_speech_probability: float
    average_log_probability: float


def is_silence(samples: npt.NDArray[np.int16]) -> bool:
    """Too short or too quiet to hold a word; not worth a model's time."""
    if len(samples) < _LEAST_S * SAMPLE_RATE_HZ:
        return True
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) < _SILENCE_RMS


def loud_frames(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.intp]:
    """Which 20 ms frames are loud against the loudest of them."""
    step = SAMPLE_RATE_HZ // 50
    count = len(samples) // step
    if not count:
        return np.zeros(0, np.intp)
    frames = samples[: count * step].astype(np.float64).reshape(count, step)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    return np.flatnonzero(rms > max(_SILENCE_RMS, _LOUD_SHARE * float(rms.max())))


def speech_span_s(samples: npt.NDArray[np.int16]) -> float:
    """From the first to the last loud 20 ms, in seconds; silence around it does not count."""
    if len(samples) < SAMPLE_RATE_HZ // 50:
        return len(samples) / SAMPLE_RATE_HZ
    loud = loud_frames(samples)
    return float(loud[-1] + 1 - loud[0]) * 0.02 if len(loud) else 0.0


def no_repeat_tokens(span_s: float) -> int:
    """How many tokens in a row may not come twice, by how long the speech is."""
    return 1 if span_s < _SINGLE_WORD_S else _NO_REPEAT_TOKENS


def wants_times(span_s: float) -> bool:
    """Whether Whisper should write time marks, which keep it from skipping a first clause.

    In one real call it left out a fifth of the words of longer utterances without them, and
    nothing with them. For a few words they cost more than they give.
    """
    return span_s >= _TIMED_S


def without_echoes(text: str, span_s: float) -> str:
    """A lone word's echo taken back: "Three three" in half a second, "2018, 2018, 2018" in two.

    Repeated words stay when there was time to say them all: "0 0 0 0" in two seconds.
    """
    words = text.split()
    if len(words) < 2 or len({bare(word) for word in words}) > 1:
        return text
    too_fast = len(as_spoken(text)) > _MOST_CHARACTERS_PER_S * span_s
    return words[0] if span_s < _SINGLE_WORD_S or too_fast else text


def without_recital(text: str, span_s: float) -> str:
    """An utterance said over again taken back: Whisper, having reached the end, may begin anew.

    The text ends where it returns to its own first words, if it is more than anyone can say in
    that time.
    """
    words = text.split()
    if len(as_spoken(text)) <= _MOST_CHARACTERS_PER_S * span_s:
        return text
    bare_words = [bare(word) for word in words]
    opening = bare_words[:_OPENING_WORDS]
    for at in range(_OPENING_WORDS, len(words) - _OPENING_WORDS + 1):
        if bare_words[at : at + _OPENING_WORDS] == opening:
            return " ".join(words[:at])
    return text


def sayable(segments: Sequence[tuple[float, str]], duration_s: float) -> str:
    """The text of timed segments (start in seconds, text) without a last one invented.

    Having reached the end of the speech, Whisper may begin once more: many words that start where
    hardly any time is left.
    """
    kept = [text for _, text in segments]
    while len(kept) > 1:
        left_s = max(0.0, duration_s - segments[len(kept) - 1][0])
        if len(kept[-1].split()) <= _SPARE_WORDS + _MOST_WORDS_PER_S * left_s:
            break
        kept.pop()
    return " ".join(" ".join(kept).split())


def windows_s(duration_s: float) -> tuple[float, ...]:
    """Window lengths to try in turn, in seconds: short, and one with more room."""
    first = min(MAX_WINDOW_S, max(_FLOOR_S, duration_s + _ROOM_S))
    second = min(MAX_WINDOW_S, max(_RETRY_FLOOR_S, duration_s + _RETRY_ROOM_S))
    return (first, second) if second > first else (first,)


def most_tokens(duration_s: float) -> int:
    """More tokens than anyone can say in that time; a loop ends here."""
    return _TOKENS_AT_LEAST + int(duration_s * _TOKENS_PER_S)


def is_looping(text: str) -> bool:
    """The same few words again and again, as no caller speaks."""
    data = text.encode()
    if len(data) > 40 and len(data) / len(zlib.compress(data)) > _COMPRESSION_LOOPING:
        return True
    words = bare(text).split()
    run = 1
    for previous, word in itertools.pairwise(words):
        run = run + 1 if word == previous else 1
        if run >= _LOOP_WORDS and not word.isdigit():
            return True
    return False


def is_sure(decoding: Decoding) -> bool:
    """Whether one guess a token is enough; else a wider search is worth its time."""
    return decoding.average_log_probability >= _SURE and not is_looping(decoding.text)


def needs_retry(decoding: Decoding) -> bool:
    """Worth a second pass with more room: it loops, or is speech the model hardly believes."""
    if is_looping(decoding.text):
        return True
    return decoding.average_log_probability < _IMPROBABLE and not is_invented(decoding)


def better(first: Decoding, second: Decoding) -> Decoding:
    """Of two passes over the same speech, the one to believe."""
    looping = is_looping(first.text), is_looping(second.text)
    if looping[0] != looping[1]:
        return second if looping[0] else first
    if looping[0]:
        shorter = len(first.text) <= len(second.text)
        return first if shorter else second
    likelier = second.average_log_probability >= first.average_log_probability
    return second if likelier else first


def is_invented(decoding: Decoding) -> bool:
    """Whether this text was written over silence or noise."""
    doubt = decoding.no_speech_probability
    return (
        decoding.average_log_probability - _DOUBT_WEIGHT * doubt < _NOBODY
        or (doubt > _NO_SPEECH_INVENTED and bare(decoding.text) in _INVENTIONS)
        or not re.search(r"\w", decoding.text)
    )


def without_inventions(decoding: Decoding) -> Decoding:
    """The decoding with its text emptied when nobody spoke."""
    return replace(decoding, text="") if is_invented(decoding) else decoding


def cut(samples: npt.NDArray[np.int16]) -> Iterator[npt.NDArray[np.int16]]:
    """Pieces of at most 30 s, cut where it is quietest."""
    most = int(MAX_WINDOW_S * SAMPLE_RATE_HZ)
    step = SAMPLE_RATE_HZ // 10
    while len(samples) > most:
        begin = most - int(_CUT_SEARCH_S * SAMPLE_RATE_HZ)
        search = samples[begin:most].astype(np.float64).reshape(-1, step)
        at = begin + int(np.argmin(np.mean(search**2, axis=1))) * step + step // 2
        yield samples[:at]
        samples = samples[at:]
    yield samples


def join(decodings: Sequence[Decoding]) -> Decoding:
    """Consecutive windows as one; nothing heard at all is certain silence."""
    if not decodings:
        return Decoding("", 1.0, 0.0)
    return Decoding(
        " ".join(part.text for part in decodings if part.text),
        min(part.no_speech_probability for part in decodings),
        sum(part.average_log_probability for part in decodings) / len(decodings),
    )


def bare(text: str) -> str:
    """Lower case, without punctuation: how two hearings of a word are compared."""
    return " ".join(re.sub(r"[^\w' ]", "", text.lower()).split())
