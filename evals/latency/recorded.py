"""A recorded utterance, where it pauses and ends, and what can be made of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from evals.wire_audio import RATE_HZ, AudioFileError, Samples, Span, stretches

END_OF_UTTERANCE_MS = 2000
"""A longer silence ends an utterance, whoever speaks next."""
SHORTEST_PAUSE_MS = 200
"""Shorter silences belong to the words: a closed "t" takes 100 ms."""
_CLICK_MS = 60
"""A lone sound shorter than this, so far from others, is a click or a breath and no word."""
_SHORTEST_UTTERANCE_MS = 200
_SMOOTH_MS = 5
_LOUD = 5_000
"""Louder than this, an utterance does not raise the floor for the others."""


class SpeechError(AudioFileError):
    """Speech material that cannot be used; the message is one line."""

    code = "speech_unusable"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One utterance at ``RATE_HZ`` (8 kHz).

    ``begin`` and ``end`` are its first voiced sample and the one after its last; ``pauses`` lie
    between them. What is around is the recording's own background.
    """

    name: str
    samples: Samples
    begin: int
    end: int
    pauses: tuple[Span, ...] = ()
    text: str = ""


# --- finding where somebody speaks -------------------------------------------------------------


def voiced(samples: Samples) -> list[Span]:
    """Where somebody speaks, pauses of ``SHORTEST_PAUSE_MS`` and more left out.

    The loudness that counts is judged for each utterance by itself, since callers are not equally
    loud throughout a call.
    """
    found: list[Span] = []
    margin = RATE_HZ * SHORTEST_PAUSE_MS // 1000
    even = np.clip(samples, -_LOUD, _LOUD)
    for coarse in stretches(even, join_ms=END_OF_UTTERANCE_MS):
        first = max(coarse.start - margin, found[-1].end if found else 0)
        piece = samples[first : coarse.end + margin]
        found += [
            Span(span.start + first, span.end + first)
            for span in stretches(piece, join_ms=SHORTEST_PAUSE_MS)
            if span.length_ms >= _CLICK_MS
        ]
    return found


def utterances_of(speaks: Sequence[Span], other: Sequence[Span] = ()) -> list[Span]:
    """Stretches of speech joined into utterances, apart where the ``other`` party spoke."""
    if not speaks:
        return []
    found = [speaks[0]]
    for before, after in pairwise(speaks):
        answered = any(before.end <= span.start < after.start for span in other)
        if answered or Span(before.end, after.start).length_ms > END_OF_UTTERANCE_MS:
            found.append(after)
        else:
            found[-1] = Span(found[-1].start, after.end)
    return [span for span in found if span.length_ms >= _SHORTEST_UTTERANCE_MS]


def pauses_of(speaks: Sequence[Span], utterance: Span) -> tuple[Span, ...]:
    """The silences inside ``utterance``."""
    inside = [s for s in speaks if utterance.start <= s.start and s.end <= utterance.end]
    return tuple(Span(before.end, after.start) for before, after in pairwise(inside))


# --- making more of it -------------------------------------------------------------------------


def background(recorded: Recorded, length: int) -> Samples:
    """``length`` samples of the recording's own background: its quietest 100 ms, there and back."""
    size = min(RATE_HZ // 10, len(recorded.samples))
    start = _quietest(recorded.samples, 0, len(recorded.samples), size)
    piece = recorded.samples[start : start + size]
    both_ways = np.concatenate((piece, piece[::-1]))  # no click at the seams
    return np.resize(both_ways, length)


def word_gap(recorded: Recorded) -> int:
    """Where a pause disturbs least: the middle of the quietest 30 ms between 25 % and 75 % of the
    utterance, outside its own pauses if it has any there."""
    length = recorded.end - recorded.begin
    first, last = recorded.begin + length // 4, recorded.begin + length * 3 // 4
    size = min(RATE_HZ * 30 // 1000, max(1, last - first))
    taken = [(p.start - size, p.end) for p in recorded.pauses]
    return _quietest(recorded.samples, first, last, size, taken) + size // 2


def _quietest(
    samples: Samples, first: int, last: int, size: int, taken: Sequence[tuple[int, int]] = ()
) -> int:
    energy = np.cumsum(np.concatenate(([0.0], samples.astype(np.float64) ** 2)))
    starts = np.arange(first, max(first + 1, last - size + 1))
    free = [at for at in starts if not any(a <= at < b for a, b in taken)] if taken else starts
    candidates = np.asarray(free if len(free) else starts)
    ends = np.minimum(candidates + size, len(samples))
    return int(candidates[np.argmin(energy[ends] - energy[candidates])])


def with_pause(recorded: Recorded, ms: float, at: int | None = None) -> Recorded:
    """The same utterance with the speaker silent for ``ms`` at sample ``at`` (``word_gap``)."""
    at = word_gap(recorded) if at is None else at
    if not recorded.begin < at < recorded.end:
        raise ValueError("a pause lies inside its utterance")
    length = round(ms * RATE_HZ / 1000)
    silence = background(recorded, length)
    before, after = recorded.samples[:at].copy(), recorded.samples[at:].copy()
    rise = np.linspace(0, 1, RATE_HZ * _SMOOTH_MS // 1000)
    for edge, slope in ((before[-len(rise) :], rise[::-1]), (after[: len(rise)], rise)):
        edge[:] = np.rint(edge * slope[: len(edge)])
    pauses = [
        *(p for p in recorded.pauses if p.end <= at),
        Span(at, at + length),
        *(Span(p.start + length, p.end + length) for p in recorded.pauses if p.start >= at),
    ]
    return replace(
        recorded,
        name=f"{recorded.name}+{ms:.0f}ms",
        samples=np.concatenate((before, silence, after)),
        end=recorded.end + length,
        pauses=tuple(pauses),
    )


def with_noise(recorded: Recorded, noise: Samples, snr_db: float, begin: int = 0) -> Recorded:
    """The same utterance in ``noise`` (8 kHz, repeated, from sample ``begin`` on), so loud that
    the speech without its pauses is ``snr_db`` above it.

    Raises:
        SpeechError: the noise is silent.
    """
    levels = noise.astype(np.float64)
    noise_rms = float(np.sqrt(np.mean(levels**2))) if len(levels) else 0.0
    if not noise_rms:
        raise SpeechError(f"{recorded.name}: noise to mix in is silent")
    spoken = np.zeros(len(recorded.samples), bool)
    spoken[recorded.begin : recorded.end] = True
    for pause in recorded.pauses:
        spoken[pause.start : pause.end] = False
    speech = recorded.samples.astype(np.float64)
    speech_rms = float(np.sqrt(np.mean(speech[spoken] ** 2)))
    gain = speech_rms / noise_rms / 10 ** (snr_db / 20)
    mixed = speech + gain * np.resize(np.roll(levels, -begin), len(speech))
    samples = np.clip(np.rint(mixed), -32_768, 32_767).astype(np.int16)
    return replace(recorded, name=f"{recorded.name}@{snr_db:g}dB", samples=samples)
