"""Who spoke when: replies, interruptions, cut-ins and gaps, from stretches on one axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evals.wire_audio import BLOCK, PACKET_SAMPLES, RATE_HZ, Samples, Span, block_levels

BREATH_MS = 400.0
"""A silence as long between two words of the agent may be its own; a longer one is a stop."""
_NOTHING_RMS = 20.0
_STRONG_RMS = 600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller heard of one turn, in positions and ms of the axis."""

    starts: int
    ends: int
    voice_to_voice_ms: float
    """From the caller's last voiced sample to the agent's first; negative when the agent began
    before the caller had finished."""
    longest_gap_ms: float
    """Longest silence inside the reply."""


def reply_to(said: Span, heard: Sequence[Span], until: int) -> Reply | None:
    """The reply to what was said at ``said``: the first sound that begins after the caller began
    and goes on after the caller has finished, up to the next thing the caller says (``until``);
    ``None`` when there is none. What begins and ends while the caller speaks is a cut-in.

    ``heard`` are the stretches of the agent's sound in order.
    """
    old = running_at(said.start, heard, said.end)
    mine = [
        span
        for span in heard
        if said.start < span.start < until and span.end > said.end and span not in old
    ]
    if not mine:
        return None
    gaps = [later.start - earlier.end for earlier, later in pairwise(mine)]
    return Reply(
        starts=mine[0].start,
        ends=mine[-1].end,
        voice_to_voice_ms=(mine[0].start - said.end) * 1000 / RATE_HZ,
        longest_gap_ms=max(gaps, default=0) * 1000 / RATE_HZ,
    )


def running_at(place: int, heard: Sequence[Span], until: int) -> list[Span]:
    """The agent's speech that was under way at ``place``, word by word: stretches apart by less
    than a breath (``BREATH_MS``), of which none begins at or after ``until``. None: it was silent.
    """
    breath = round(BREATH_MS * RATE_HZ / 1000)
    run: list[Span] = []
    for span in heard:
        if span.start >= until:
            break
        if run and span.start - run[-1].end >= breath:
            if run[-1].end > place:
                break
            run = []
        run.append(span)
    if not run or run[0].start > place:
        return []
    # It ended before; unless it was only drawing breath.
    return run if run[-1].end > place else []


def stopped_after_ms(said: Span, heard: Sequence[Span]) -> float | None:
    """How long the agent went on after the caller's first syllable, which may have come between
    two of its words. ``None`` when the agent was silent already."""
    run = running_at(said.start, heard, said.end)
    return (run[-1].end - said.start) * 1000 / RATE_HZ if run else None


def overlap_ms(voiced: Sequence[Span], heard: Sequence[Span]) -> float:
    """How long both spoke at once."""
    both = 0
    for mine in voiced:
        for theirs in heard:
            both += max(0, min(mine.end, theirs.end) - max(mine.start, theirs.start))
    return both * 1000 / RATE_HZ


@dataclass(frozen=True, slots=True)
class CutIn:
    """The agent began to speak into a pause of the caller's, or just after it."""

    pause: int
    """Which of the pauses, from 0; -1: before the first."""
    after_ms: float
    """Since the pause began, or the first word when there was no pause yet."""
    spoke_ms: float


def cut_ins(said: Span, pauses: Sequence[Span], heard: Sequence[Span]) -> list[CutIn]:
    """Where the agent began to speak although the caller had not finished; once a pause."""
    old = running_at(said.start, heard, said.end)
    found: dict[int, CutIn] = {}
    for span in heard:
        if not said.start < span.start < said.end or span in old:
            continue
        before = [number for number, pause in enumerate(pauses) if pause.start <= span.start]
        number = before[-1] if before else -1
        since = pauses[number].start if before else said.start
        if number not in found:
            after_ms = (span.start - since) * 1000 / RATE_HZ
            found[number] = CutIn(number, round(after_ms, 1), round(span.length_ms, 1))
    return list(found.values())


def torn(samples: Samples, within: Span) -> list[Span]:
    """Where sound breaks off at full strength and goes on at full strength after at least 20 ms of
    nothing: what a pause between words does not do, and starvation before the wire does."""
    first, last = within.start // BLOCK, min(within.end, len(samples)) // BLOCK
    if last - first < 3:
        return []
    rms = block_levels(samples[first * BLOCK : last * BLOCK])
    empty = np.flatnonzero(rms < _NOTHING_RMS)
    found: list[Span] = []
    for run in np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1):
        if len(run) * BLOCK < PACKET_SAMPLES - BLOCK:
            continue
        before, after = rms[max(0, run[0] - 2) : run[0]], rms[run[-1] + 1 : run[-1] + 3]
        if before.max(initial=0.0) > _STRONG_RMS and after.max(initial=0.0) > _STRONG_RMS:
            found.append(Span((first + int(run[0])) * BLOCK, (first + int(run[-1]) + 1) * BLOCK))
    return found
