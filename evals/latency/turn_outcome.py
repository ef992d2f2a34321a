"""What the turn engine made of recorded callers: delays and false cut-ins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.latency.turn_replay import Commit, Heard
from voice_agent.config import TurnSettings

PAUSES_MS = (500, 1500)
"""Pauses by which false cut-ins are counted."""
SPLICED_MS = (550, 800, 1000, 1200, 1450)
NOTICED_MS = 120
"""A commit so long after a pause's end was still caused by it: voice is noticed late."""


@dataclass(frozen=True, slots=True)
class PauseSeen:
    """A pause of a caller. ``cut_in_ms``: silence after which the turn was wrongly committed."""

    length_ms: float
    cut_in_ms: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine made of one utterance.

    ``delay_ms`` is from its last voiced sample to the commit; ``None`` when none came. ``strays``
    are commits while the caller was heard speaking.
    """

    name: str
    delay_ms: float | None
    pauses: tuple[PauseSeen, ...]
    strays: int


@dataclass(frozen=True, slots=True)
class Point:
    """One place on the curve."""

    threshold: float
    end_silence_ms: int
    ends: int
    missed: int
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    pauses: int
    false_cut_ins: int
    false_cut_in_rate: float | None
    strays: int


def outcome(heard: Heard, commits: Sequence[Commit]) -> Outcome:
    """Which commits were right and which were not."""
    recorded = heard.recorded
    end_ms = heard.ms(recorded.end)
    left = list(commits)
    pauses = []
    for pause in recorded.pauses:
        start_ms = heard.ms(pause.start)
        until_ms = min(heard.ms(pause.end) + NOTICED_MS, end_ms)
        inside = [commit for commit in left if start_ms <= commit.at_ms < until_ms]
        left = [commit for commit in left if commit not in inside]
        cut_in_ms = inside[0].at_ms - start_ms if inside else None
        pauses.append(PauseSeen(pause.length_ms, cut_in_ms, inside[0].text if inside else ""))
    after = [commit.at_ms - end_ms for commit in left if commit.at_ms >= end_ms]
    return Outcome(
        name=recorded.name,
        delay_ms=after[0] if after else None,
        pauses=tuple(pauses),
        strays=len(left) - len(after),
    )


def counted(outcomes: Sequence[Outcome], only_spliced: frozenset[str]) -> list[PauseSeen]:
    """The pauses by which false cut-ins are counted; of an utterance in ``only_spliced``, whose
    own pauses were counted without the splice, only the one that is new."""
    seen = []
    for each in outcomes:
        pauses = [p for p in each.pauses if PAUSES_MS[0] <= p.length_ms <= PAUSES_MS[1]]
        if each.name in only_spliced:
            pauses = [p for p in pauses if p.length_ms in SPLICED_MS]
        seen += pauses
    return seen


def point(settings: TurnSettings, outcomes: Sequence[Outcome], spliced: frozenset[str]) -> Point:
    """The figures of one setting. Ends of utterances in ``spliced`` are not counted again."""
    ends = [each for each in outcomes if each.name not in spliced]
    delays = [each.delay_ms for each in ends if each.delay_ms is not None]
    pauses = counted(outcomes, spliced)
    cut_ins = sum(pause.cut_in_ms is not None for pause in pauses)
    return Point(
        threshold=settings.complete_threshold,
        end_silence_ms=settings.end_silence_ms,
        ends=len(ends),
        missed=len(ends) - len(delays),
        delay_p50_ms=percentile(delays, 50),
        delay_p95_ms=percentile(delays, 95),
        pauses=len(pauses),
        false_cut_ins=cut_ins,
        false_cut_in_rate=round(cut_ins / len(pauses), 4) if pauses else None,
        strays=sum(each.strays for each in outcomes),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` % of ``values`` lie; ``None`` of none."""
    return round(float(np.percentile(values, share)), 1) if values else None
