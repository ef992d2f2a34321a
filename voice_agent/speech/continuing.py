"""Which words of a growing utterance need not be decoded again. Pure.

Whisper reads whole windows, so the words it hears in an utterance that still grows are only trusted
when two decodings in a row agree on them (LocalAgreement: Liu et al., "Low-Latency
Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection", 2020;
Macháček et al., "Turning Whisper into Real-Time Transcription System", 2023). Trusted words are
settled up to a dip between two of them, and from then on only what follows the dip is read.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from voice_agent.speech.hearing import SAMPLE_RATE_HZ, Decoding, bare, loud_frames
from voice_agent.speech.log_mel import HOP, Frames

SETTLE_AFTER_S = 6.0
"""Shorter rests are decoded whole, which is a little more accurate."""
_KEEP_S = 2.5
"""Never settled: what Whisper hears at an end that is not the end changes."""
_LEAD_S = 1.0
_LEAST_SETTLED_S = 1.0
_DIP_SEARCH_S = (0.2, 0.2)
_DIP_FRAME = SAMPLE_RATE_HZ // 50
_DIP_DEPTH = 0.15
_RECITED_WORDS = 4
_LANGUAGE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a decoding; ``start_s`` counts from the beginning of what was decoded."""

    text: str
    tokens: tuple[int, ...]
    start_s: float


@dataclass(frozen=True, slots=True)
class Settled:
    """The beginning of an utterance that is not decoded again; ``samples`` long."""

    samples: int = 0
    tokens: tuple[int, ...] = ()
    lead: tuple[int, ...] = ()
    """Trusted words right after the cut, heard while it still had words before it."""
    decoding: Decoding | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What one decoding leaves to the next of the same utterance."""

    samples: int = 0
    checksum: int = 0
    sure: bool = False
    """Decoded with the care of a final text, so that it is one if nothing more is said."""
    settled: Settled = Settled()
    words: tuple[str, ...] = ()
    """Of what is not settled."""
    language: str | None = None
    """Another language than the one expected."""
    language_samples: int = 0
    """How much the language was judged by."""
    frames: Frames = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)


def checksum(samples: npt.NDArray[np.int16]) -> int:
    """Tells one beginning from another."""
    return zlib.crc32(np.ascontiguousarray(samples).data)


def is_beginning(progress: Progress, samples: npt.NDArray[np.int16]) -> bool:
    """Whether that progress was made on the beginning of these very samples."""
    if not 0 < progress.samples <= len(samples):
        return False
    return progress.checksum == checksum(samples[: progress.samples])


def says_it_all(progress: Progress, samples: npt.NDArray[np.int16]) -> bool:
    """Whether the earlier text is the text of all samples: nothing loud came after it."""
    if not progress.sure:
        return False
    heard_s = progress.samples / SAMPLE_RATE_HZ
    loud = loud_frames(samples)
    return not len(loud) or (int(loud[-1]) + 1) * 0.02 <= heard_s


def language_is_known(progress: Progress, samples: int) -> bool:
    """Whether the language was judged by enough of what there is now."""
    return progress.language_samples >= _LANGUAGE_SHARE * samples


def agreed(before: Sequence[str], now: Sequence[str]) -> int:
    """How many words two decodings of the same beginning have in common from its start."""
    count = 0
    for one, other in zip(before, now, strict=False):
        if bare(one) != bare(other):
            break
        count += 1
    return count


def is_recited(text: str) -> bool:
    """Whether words come twice in a row of four: Whisper, told what was said, may say it again.

    Callers do so too, therefore it is only a reason to read again without telling.
    """
    words = bare(text).split()
    rows = [tuple(words[at : at + _RECITED_WORDS]) for at in range(len(words) - _RECITED_WORDS + 1)]
    return len(set(rows)) < len(rows)


def settle(
    words: Sequence[Word], trusted: int, rest: npt.NDArray[np.int16]
) -> tuple[int, int, int] | None:
    """How many words of ``rest`` to settle and to trust, and at which sample to cut; None: not yet.

    ``trusted`` words were heard the same way twice. The cut is the deepest dip before one of them.
    """
    duration_s = len(rest) / SAMPLE_RATE_HZ
    trusted = min(trusted, len(words))
    count = len(rest) // _DIP_FRAME
    pieces = rest[: count * _DIP_FRAME].astype(np.float64).reshape(count, _DIP_FRAME)
    rms = np.sqrt(np.mean(pieces**2, axis=1))
    if not count or duration_s < SETTLE_AFTER_S:
        return None
    deep = _DIP_DEPTH * float(np.percentile(rms, 95))
    while trusted and words[trusted - 1].start_s > duration_s - _LEAD_S:
        trusted -= 1
    best: tuple[float, int, int] | None = None
    for number in range(1, trusted):
        at_s = words[number].start_s
        if at_s < _LEAST_SETTLED_S or at_s > duration_s - _KEEP_S:
            continue
        begin = max(0, round((at_s - _DIP_SEARCH_S[0]) * SAMPLE_RATE_HZ) // _DIP_FRAME)
        end = min(count, round((at_s + _DIP_SEARCH_S[1]) * SAMPLE_RATE_HZ) // _DIP_FRAME)
        quietest = begin + int(np.argmin(rms[begin:end]))
        depth = float(rms[quietest])
        if depth <= deep and (best is None or depth <= best[0] or depth <= deep / 3):
            best = (depth, number, quietest * _DIP_FRAME + _DIP_FRAME // 2)
    return None if best is None else (best[1], trusted, best[2] // HOP * HOP)
