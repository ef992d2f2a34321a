"""What calls made of the knowledge: from the records, the ledger and the current version."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import log
from statistics import median
from typing import Any

from voice_agent.config import Settings
from voice_agent.knowledge.build import LEDGER
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.ledger_schema import connect_read_only
from voice_agent.knowledge.ledger_views import (
    DeadLetter,
    dead_letters,
    expired,
    notes,
    runs,
    source_answers,
)
from voice_agent.knowledge.versions import VersionStore
from voice_agent.records.reading import turns_since

DAY_S = 86_400
SCORE_STEPS = 20
"""Bars of the histogram of best scores, from 0 to 1."""
_NAMED = 200  # passages, questions and documents named in a report
_SHIFT = 0.2  # of the stability index: beyond it a distribution is held to have shifted


@dataclass(frozen=True, slots=True)
class PassageUse:
    """How often a passage of the current version was found, and first of all those found."""

    passage_id: str
    title: str
    heading: str
    found: int
    best: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Something that callers asked and that found nothing. `last_at` is a Unix time in seconds."""

    question: str
    times: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days of turns, the last of which ends now. `scores` counts best scores in steps."""

    begins_at: float
    turns: int
    found_nothing: int
    late: int
    median_score: float | None
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """What turns made of the knowledge; all of it is from the records."""

    turns: int = 0
    found_nothing: int = 0
    late: int = 0
    uses: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By passage: how often it was found, how often first."""
    unanswered: tuple[Unanswered, ...] = ()
    weeks: tuple[Week, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page and the metrics show. Times are Unix times in seconds."""

    at: float
    days: int
    version: str
    built_at: float
    documents: int
    passages: int
    turns: int
    found_nothing: int
    late: int
    used: tuple[PassageUse, ...]
    never: tuple[str, ...]
    unused_documents: tuple[str, ...]
    unanswered: tuple[Unanswered, ...]
    weeks: tuple[Week, ...]
    shift: float | None
    """How far the last week's best scores are from those of the weeks before."""
    versions: Mapping[str, int]
    sources: tuple[Mapping[str, Any], ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    expired: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()

    @property
    def shifted(self) -> bool:
        """Whether callers are served otherwise than in the weeks before."""
        return self.shift is not None and self.shift > _SHIFT


def gather(settings: Settings, days: int, now: float | None = None) -> Report:
    """Read everything there is.

    Raises:
        IndexMissing, IndexUnusable: no version answers.
        RecordsUnusable: the records cannot be read.
    """
    at = time.time() if now is None else now
    store = VersionStore(settings.knowledge.index)
    version = store.current()
    records = settings.records.path
    turns = turns_since(records, at - days * DAY_S) if records.exists() else ()
    looked = look_over(turns, at, days)
    used: list[PassageUse] = []
    never: list[str] = []
    documents: set[str] = set()
    total = 0
    for passage in store.read(version).passages:
        total += 1
        found, best = looked.uses.get(passage.passage_id, (0, 0))
        if found:
            documents.add(passage.document_id)
            name = passage.passage_id
            used.append(PassageUse(name, passage.title, passage.heading, found, best))
        else:
            never.append(passage.passage_id)
    listed = [document.id for document in store.documents(version)]
    return Report(
        at=at,
        days=days,
        version=version,
        built_at=next((v.built_at for v in store.kept() if v.version == version), 0.0),
        documents=len(listed),
        passages=total,
        turns=looked.turns,
        found_nothing=looked.found_nothing,
        late=looked.late,
        used=tuple(sorted(used, key=lambda use: (-use.found, -use.best, use.passage_id))),
        never=tuple(never),
        unused_documents=tuple(name for name in listed if name not in documents),
        unanswered=looked.unanswered,
        weeks=looked.weeks,
        shift=stability_index(looked.weeks),
        versions=looked.versions,
        **_from_ledger(settings, at),
    )


def _from_ledger(settings: Settings, at: float) -> dict[str, Any]:
    database = connect_read_only(settings.knowledge.index / LEDGER)
    if database is None:
        return {}
    today = datetime.fromtimestamp(at, UTC).date().isoformat()
    with closing(database):
        try:
            return {
                "sources": tuple(source_answers(database)),
                "dead_letters": tuple(dead_letters(database, _NAMED)),
                "expired": tuple(expired(database, today)[:_NAMED]),
                "notes": tuple(notes(database, _NAMED)),
                "runs": tuple(runs(database, 20)),
            }
        except sqlite3.Error as error:
            raise _Unreadable(f"the ledger cannot be read: {error}") from error


class _Unreadable(KnowledgeError):
    code = "ledger_unreadable"


def look_over(turns: Iterable[Mapping[str, Any]], at: float, days: int) -> Looked:
    """Count what turns found. Pure.

    Args:
        turns: turns of the records; those that looked nothing up are left out.
        at: now, as a Unix time in seconds; the last week ends then.
        days: how far back the turns go.
    """
    uses: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    unanswered: dict[str, list[float]] = defaultdict(list)
    versions: Counter[str] = Counter()
    number = max(1, -(-days // 7))
    weeks: list[list[tuple[bool, bool, float | None]]] = [[] for _ in range(number)]
    for turn in turns:
        kept = turn.get("retrieval") or {}
        if not kept.get("version"):
            continue
        versions[str(kept["version"])] += 1
        found = kept["passages"]
        for place, passage in enumerate(found):
            uses[str(passage["passage_id"])][0] += 1
            uses[str(passage["passage_id"])][1] += place == 0
        late, began_at = bool(kept.get("late")), float(turn["began_at"])
        if not found and not late:
            question = " ".join(str(turn.get("heard") or kept["query"]).lower().split())
            unanswered[question].append(began_at)
        best = max((float(passage["score"]) for passage in found), default=None)
        week = min(max(int((at - began_at) // (7 * DAY_S)), 0), number - 1)
        weeks[number - 1 - week].append((not found and not late, late, best))
    return Looked(
        turns=sum(map(len, weeks)),
        found_nothing=sum(nothing for week in weeks for nothing, _, _ in week),
        late=sum(late for week in weeks for _, late, _ in week),
        uses={name: (found, best) for name, (found, best) in uses.items()},
        unanswered=tuple(
            sorted(
                (
                    Unanswered(question, len(when), max(when))
                    for question, when in unanswered.items()
                ),
                key=lambda each: (-each.times, -each.last_at),
            )[:_NAMED]
        ),
        weeks=tuple(
            _week(at - (number - index) * 7 * DAY_S, week) for index, week in enumerate(weeks)
        ),
        versions=dict(versions.most_common()),
    )


def _week(begins_at: float, turns: Sequence[tuple[bool, bool, float | None]]) -> Week:
    scores = [best for _, _, best in turns if best is not None]
    bars = Counter(min(int(max(score, 0.0) * SCORE_STEPS), SCORE_STEPS - 1) for score in scores)
    return Week(
        begins_at=begins_at,
        turns=len(turns),
        found_nothing=sum(nothing for nothing, _, _ in turns),
        late=sum(late for _, late, _ in turns),
        median_score=round(median(scores), 4) if scores else None,
        scores=tuple(bars[step] for step in range(SCORE_STEPS)),
    )


def stability_index(weeks: Sequence[Week]) -> float | None:
    """How far the last week's best scores are from the weeks before (population stability index).

    Returns:
        0 when they are alike; beyond 0.2 they are held to have shifted. None when there are
        fewer than 30 scores on either side.
    """
    if not weeks:
        return None
    now = weeks[-1].scores
    before = [sum(week.scores[step] for week in weeks[:-1]) for step in range(len(now))]
    # two steps to a bar: with few turns, empty bars would count as shifts
    pairs = [
        (before[step] + before[step + 1], now[step] + now[step + 1])
        for step in range(0, len(now), 2)
    ]
    all_before, all_now = sum(before), sum(now)
    if min(all_before, all_now) < 30:
        return None
    index = 0.0
    for was, is_now in pairs:
        old, new = (was + 0.5) / (all_before + 5), (is_now + 0.5) / (all_now + 5)
        index += (new - old) * log(new / old)
    return round(float(index), 3)
