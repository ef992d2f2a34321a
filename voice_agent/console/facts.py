"""What the boards are made of: calls, turns and handoffs of a period, read from the records."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_agent.console.history import History
from voice_agent.console.turn_view import risk_of
from voice_agent.records.record_types import CONSENT_ROAD

MOST_TURNS = 100_000
"""Of a period; of one with more, the latest are taken, and it begins with the first of them."""
_ESCALATED = "handed_over"


@dataclass(frozen=True, slots=True)
class CallFact:
    """One call. Times are seconds since 1970; ``ended_at`` is None while it lasts."""

    call_id: str
    began_at: float
    ended_at: float | None
    outcome: str
    end_reason: str
    line: str

    @property
    def minutes(self) -> float:
        """How long it lasted; a call that is not over counts nothing."""
        return max(0.0, (self.ended_at - self.began_at) / 60) if self.ended_at else 0.0


@dataclass(frozen=True, slots=True)
class TurnFact:
    """One turn, without its words."""

    call_id: str
    began_at: float
    road: str
    outcome: str
    end_reason: str
    voice_to_voice_ms: float | None
    parts_ms: Mapping[str, float]
    tokens: int
    risk: float | None
    found_nothing: bool
    because: str
    group: str
    """Which group of examples the request was like: why a person, among others."""
    masked: int
    """Pieces of personal data that were taken out before it was written."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything of one period."""

    since: float
    until: float
    calls: Sequence[CallFact] = ()
    turns: Sequence[TurnFact] = ()
    handoffs: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of gateway and agent since they started: ``name`` or ``name{label=value}``."""
    wished_since: float | None = None
    """Where the period was to begin, had it not more turns than can be taken."""

    @property
    def asked_since(self) -> float:
        """Where the period was asked to begin."""
        return self.since if self.wished_since is None else self.wished_since

    def by_call(self) -> dict[str, list[TurnFact]]:
        """The turns of each call."""
        found: dict[str, list[TurnFact]] = {}
        for turn in self.turns:
            found.setdefault(turn.call_id, []).append(turn)
        return found

    def resolved(self) -> list[CallFact]:
        """Calls the agent dealt with alone: something was answered or done, nobody else was
        needed, nothing failed, and the last request was not one it had to leave."""
        turns = self.by_call()
        return [
            call
            for call in self.calls
            if call.ended_at
            and call.outcome != _ESCALATED
            and (asked := [each for each in turns.get(call.call_id, []) if each.road])
            and asked[-1].outcome not in ("decline", "out_of_scope", "refuse", "failed", "unclear")
            and not asked[-1].end_reason.startswith("failed")
            and call.outcome in ("ended_by_caller", "ended_by_agent")
        ]

    def escalated(self) -> list[CallFact]:
        """Calls that a person took over."""
        return [call for call in self.calls if call.outcome == _ESCALATED]


def gather(history: History, since: float, until: float, metrics: Mapping[str, float]) -> Facts:
    """Read a period from the records. Blocks; an absent or older file gives what it has."""
    with history.rows() as database:
        if database is None:
            return Facts(since, until, metrics=metrics)
        turns = [
            _turn(row)
            for row in database.execute(
                "SELECT * FROM turns WHERE began_at >= ? AND began_at < ?"
                " ORDER BY began_at DESC LIMIT ?",
                (since, until, MOST_TURNS + 1),
            )
        ]
        asked_since = since
        if len(turns) > MOST_TURNS:  # calls without their turns would make figures wrong
            del turns[MOST_TURNS:]
            since = turns[-1].began_at
        calls = [
            CallFact(
                row["call_id"], row["started_at"], row["ended_at"], row["outcome"],
                row["end_reason"], row["line"],
            )
            for row in database.execute(
                "SELECT * FROM calls WHERE started_at >= ? AND started_at < ? ORDER BY started_at",
                (since, until),
            )
        ]  # fmt: skip
        try:
            handoffs = [
                dict(row)
                for row in database.execute(
                    "SELECT reason, queue, state, outcome FROM handoffs"
                    " WHERE asked_at >= ? AND asked_at < ?",
                    (since, until),
                )
            ]
        except sqlite3.OperationalError:  # a file of an older version has no such table
            handoffs = []
    turns.reverse()
    return Facts(since, until, calls, turns, handoffs, metrics, asked_since)


def _turn(row: sqlite3.Row) -> TurnFact:
    known = set(row.keys())

    def value(name: str, default: Any) -> Any:
        return row[name] if name in known and row[name] is not None else default

    choice = _json(value("choice", "{}"), {})
    passages = _json(value("passages", "[]"), [])
    return TurnFact(
        row["call_id"],
        row["began_at"],
        "" if value("road", "") == CONSENT_ROAD else value("road", ""),
        value("outcome", ""),
        row["end_reason"],
        value("voice_to_voice_ms", None),
        _json(value("waterfall_ms", "{}"), {}),
        int(row["prompt_tokens"]) + int(row["completion_tokens"]),
        risk_of({"claims": _json(value("claims", "[]"), []), "passages": passages}),
        bool(row["query"]) and not passages,
        str(choice.get("because", "")),
        str(choice.get("name", "")),
        sum(str(row[name]).count("[") for name in ("heard",)),
    )


def _json(text: Any, default: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return default


# --- small statistics --------------------------------------------------------------------------


def percentile(values: Iterable[float], share: float) -> float | None:
    """The nearest-rank percentile; ``None`` of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def share(part: int, whole: int) -> float | None:
    """A percentage; ``None`` of nothing."""
    return round(100 * part / whole, 1) if whole else None


def over_time(
    facts: Facts, slots: int, of: Callable[[float, float], float | None]
) -> tuple[list[float], list[float | None]]:
    """A figure in each of ``slots`` equal parts of the period: their beginnings, and the figure."""
    width = (facts.until - facts.since) / slots
    begins = [facts.since + slot * width for slot in range(slots)]
    return begins, [of(begin, begin + width) for begin in begins]
