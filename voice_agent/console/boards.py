"""The boards: one shape for every reader, made of the facts of a period. Pure.

A board is ``{title, period, tiles, charts, tables}``; each function says who reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from voice_agent.console.audit_chain import Verdict
from voice_agent.console.costs import costs_of
from voice_agent.console.facts import Facts, over_time, percentile, share
from voice_agent.console.pruning import Pruned
from voice_agent.console.settings import CostSettings
from voice_agent.records.retention import Deletion

SLOTS = 24
Tone = Literal["", "good", "bad"]
REACH_MS = 800.0
"""Voice to voice at p95: what is promised."""


def tile(
    name: str, value: float | str | None, unit: str = "", tone: Tone = "", note: str = ""
) -> dict[str, Any]:
    """One figure; of the unit ``time`` it is seconds since 1970."""
    if isinstance(value, float):
        value = round(value, 2) if abs(value) < 100 else round(value)
    return {"name": name, "value": value, "unit": unit, "tone": tone, "note": note}


def chart(
    title: str,
    unit: str,
    kind: Literal["line", "bar"],
    labels: Sequence[Any],
    series: Mapping[str, Sequence[float | None]],
    reach: float | None = None,
) -> dict[str, Any]:
    """One picture; labels are texts, or seconds since 1970."""
    return {
        "title": title,
        "unit": unit,
        "kind": kind,
        "labels": list(labels),
        "series": [{"name": name, "values": list(values)} for name, values in series.items()],
        "reach": reach,
    }


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Rows of texts and numbers."""
    return {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}


def _board(
    title: str,
    facts: Facts,
    tiles: list[dict[str, Any]],
    charts: list[dict[str, Any]],
    tables: list[dict[str, Any]],
) -> dict[str, Any]:
    period = {
        "from": facts.since, "to": facts.until, "shortened": facts.since > facts.asked_since,
    }  # fmt: skip
    return {"title": title, "period": period, "tiles": tiles, "charts": charts, "tables": tables}


def _calls_over_time(facts: Facts) -> tuple[list[float], list[float | None]]:
    return over_time(
        facts,
        SLOTS,
        lambda begin, end: float(sum(begin <= call.began_at < end for call in facts.calls)),
    )


def operations(facts: Facts, *, live: int, waiting: int, capacity: int) -> dict[str, Any]:
    """For who keeps it running: latency, errors, capacity."""
    waits = [turn.voice_to_voice_ms for turn in facts.turns if turn.voice_to_voice_ms is not None]
    p95 = percentile(waits, 0.95)
    failed = [turn for turn in facts.turns if turn.end_reason.startswith("failed")]
    begins, calls = _calls_over_time(facts)

    def wait_at(at: float) -> list[float | None]:
        return over_time(
            facts,
            SLOTS,
            lambda begin, end: percentile(
                (
                    turn.voice_to_voice_ms
                    for turn in facts.turns
                    if turn.voice_to_voice_ms is not None and begin <= turn.began_at < end
                ),
                at,
            ),
        )[1]

    measured = {name for turn in facts.turns for name in turn.parts_ms}
    parts = sorted(measured, key=lambda name: (*_PARTS, name).index(name))
    part_rows = [
        [
            name,
            _rounded(
                percentile((t.parts_ms[name] for t in facts.turns if name in t.parts_ms), 0.5)
            ),
            _rounded(
                percentile((t.parts_ms[name] for t in facts.turns if name in t.parts_ms), 0.95)
            ),
        ]
        for name in parts
    ]
    used = share(live, capacity)
    return _board(
        "Operations",
        facts,
        [
            tile("Live calls", live, "", "bad" if used and used >= 90 else "", f"of {capacity}"),
            tile("Waiting for a person", waiting, "", "bad" if waiting else ""),
            tile("Calls", len(facts.calls)),
            tile("Wait for an answer, median", percentile(waits, 0.5), "ms"),
            tile(
                "Wait for an answer, p95", p95, "ms",
                "" if p95 is None else "good" if p95 <= REACH_MS else "bad",
            ),
            tile("Failed turns", len(failed), "", "bad" if failed else "good"),
        ],
        [
            chart(
                "Wait for an answer", "ms", "line", begins,
                {"median": wait_at(0.5), "p95": wait_at(0.95)}, REACH_MS,
            ),
            chart("Calls", "", "bar", begins, {"calls": calls}),
        ],
        [
            table("Where the wait goes", ["part", "median ms", "p95 ms"], part_rows),
            table(
                "Failures", ["code", "turns"],
                Counter(t.end_reason.partition(":")[2] or "?" for t in failed).most_common(20),
            ),
            table(
                "Since the processes started", ["counter", "value"],
                [
                    [name, value]
                    for name, value in sorted(facts.metrics.items())
                    if name.startswith(_OPERATIONAL) and value
                ],
            ),
        ],
    )  # fmt: skip


_PARTS = (
    "silence", "transcription", "retrieval", "first_token", "first_clause", "synthesis", "gate",
    "playout",
)  # fmt: skip
"""In the order they follow one another."""
_OPERATIONAL = (
    "gateway_calls_total", "gateway_agent", "gateway_stream", "gateway_transfers",
    "gateway_line_transfers", "gateway_clock_stalls", "gateway_frames_concealed",
    "voice_agent_errors",
    "voice_agent_records_lost", "gateway_recording_dropped",
)  # fmt: skip


def quality(facts: Facts, grades: Mapping[str, int]) -> dict[str, Any]:
    """For who listens to calls: resolution, escalation, grounding, mood, grades."""
    ended = [call for call in facts.calls if call.ended_at]
    resolved, escalated = facts.resolved(), facts.escalated()
    risky = [turn.risk for turn in facts.turns if turn.risk is not None]
    asked = [turn for turn in facts.turns if turn.road]
    declined = [turn for turn in asked if turn.outcome in ("decline", "out_of_scope")]
    moods = Counter(turn.group for turn in asked if turn.road == "person" and turn.group in _MOODS)
    graded = sum(grades.values())
    solved = {call.call_id for call in resolved}
    begins, share_solved = over_time(
        facts,
        SLOTS,
        lambda begin, end: share(
            sum(call.call_id in solved for call in ended if begin <= call.began_at < end),
            sum(begin <= call.began_at < end for call in ended),
        ),
    )
    roads = Counter(turn.road for turn in asked)
    reasons = Counter(str(each.get("reason") or "unknown") for each in facts.handoffs) or Counter(
        turn.group or "unknown" for turn in asked if turn.road == "person"
    )
    return _board(
        "Quality",
        facts,
        [
            tile("Resolved by the agent", share(len(resolved), len(ended)), "%"),
            tile("Handed to a person", share(len(escalated), len(ended)), "%"),
            tile("Not known or not done here", share(len(declined), len(asked)), "%"),
            tile(
                "Sentences weakly supported",
                100 * sum(risky) / len(risky) if risky else None, "%",
                "" if not risky else "good" if sum(risky) / len(risky) <= 0.01 else "bad",
            ),
            tile("Upset or vulnerable callers", sum(moods.values())),
            tile(
                "Answers graded right", share(grades.get("right", 0), graded), "%", "",
                f"of {graded} graded",
            ),
        ],
        [
            chart("Resolved by the agent", "%", "line", begins, {"resolved": share_solved}),
            chart("Roads", "turns", "bar", list(roads), {"turns": list(roads.values())}),
            chart(
                "Grades", "answers", "bar", list(_GRADES),
                {"answers": [float(grades.get(each, 0)) for each in _GRADES]},
            ),
        ],
        [
            table("Why a person", ["reason", "calls"], reasons.most_common(20)),
            table(
                "How turns ended", ["end", "turns"],
                Counter(turn.end_reason or "unknown" for turn in facts.turns).most_common(20),
            ),
            table("Mood", ["mood", "turns"], moods.most_common()),
        ],
    )  # fmt: skip


_MOODS = frozenset({"upset", "vulnerable"})
_GRADES = ("right", "wrong", "unsafe", "person")


def business(facts: Facts, settings: CostSettings) -> dict[str, Any]:
    """For who pays: volume, cost a call, cost a resolved call."""
    costs = costs_of(facts, settings)
    unit = settings.currency
    begins, calls = _calls_over_time(facts)
    _, minutes = over_time(
        facts,
        SLOTS,
        lambda begin, end: sum(c.minutes for c in facts.calls if begin <= c.began_at < end),
    )
    resolved = len(facts.resolved())
    lines = Counter(call.line for call in facts.calls)
    return _board(
        "Business",
        facts,
        [
            tile("Calls", len(facts.calls)),
            tile("Minutes", sum(call.minutes for call in facts.calls)),
            tile("Resolved by the agent", resolved),
            tile("Cost a call", costs.a_call, unit),
            tile("Cost a resolved call", costs.a_resolved_call, unit),
            tile("Cost in all", costs.total, unit),
        ],
        [
            chart("Calls", "", "bar", begins, {"calls": calls}),
            chart("Minutes", "", "bar", begins, {"minutes": minutes}),
        ],
        [
            table(
                "What it is made of", ["part", unit],
                [[name, round(amount, 2)] for name, amount in costs.parts.items()],
            ),
            table("Lines", ["line", "calls"], lines.most_common()),
            table(
                "Outcomes", ["outcome", "calls"],
                Counter(call.outcome or "live" for call in facts.calls).most_common(),
            ),
        ],
    )  # fmt: skip


def compliance(
    facts: Facts,
    *,
    recordings: Sequence[tuple[float, int]],
    recording_on: bool,
    users: Sequence[tuple[str, str, bool, int]],
    audit: Verdict,
    acts: Mapping[str, int],
    policy: str,
    deleted: Sequence[Deletion],
    pruned: Pruned,
) -> dict[str, Any]:
    """For who answers for it: recordings, personal data, guard events, who did what.

    Args:
        recordings: time (seconds since 1970) and size in bytes of each.
        users: name, role, whether they have a second factor, open sessions.
        audit: whether the audit log is whole.
        acts: how often which act is in the audit log, within the period.
        policy: how long what is kept, in words.
        deleted: what was deleted within the period, oldest first.
        pruned: when the policy was last followed, and what is wrong with that.
    """
    size = sum(each[1] for each in recordings)
    age, age_unit = None, ""
    if recordings:
        age, age_unit = _age(facts.until - min(each[0] for each in recordings))
    guards = {
        name.partition("{")[2].rstrip("}"): value
        for name, value in facts.metrics.items()
        if name.startswith("voice_agent_guarded_total") and value
    }
    refused = Counter(t.outcome for t in facts.turns if t.outcome in ("refuse", "decline"))
    without = [user for user in users if not user[2]]
    masked = sum(turn.masked for turn in facts.turns)
    begins, refusals = over_time(
        facts,
        SLOTS,
        lambda begin, end: float(
            sum(t.outcome == "refuse" for t in facts.turns if begin <= t.began_at < end)
        ),
    )
    return _board(
        "Compliance",
        facts,
        [
            tile("Recordings kept", len(recordings), "", "", "on" if recording_on else "off"),
            tile("Their size", size / 1e6, "MB"),
            tile("Oldest recording", age, age_unit, "", policy),
            tile(
                "Last pruned", round(pruned.at) if pruned.at else "never",
                "time" if pruned.at else "",
                "bad" if pruned.fault else "", pruned.fault or policy,
            ),
            tile("Personal data masked", masked, "", "", "pieces in what callers said"),
            tile("Requests refused", refused["refuse"], "", "", "by a guard, in this time"),
            tile(
                "Audit log", "whole" if not audit.fault else "broken", "",
                "bad" if audit.fault else "good", audit.fault or _signed(audit),
            ),
            tile("Users without a second factor", len(without), "", "bad" if without else "good"),
        ],
        [chart("Requests refused by a guard", "turns", "bar", begins, {"turns": refusals})],
        [
            table(
                "What guards did since the agent started", ["guard", "times"],
                sorted(guards.items()),
            ),
            table(
                "Deleted", ["when", "by", "policy", "calls", "recordings", "failed"],
                [
                    [round(d.at), d.by, d.policy, d.calls, d.recordings, d.failed]
                    for d in reversed(deleted[-40:])
                ],
            ),
            table("Acts in the audit log", ["act", "times"], Counter(acts).most_common(40)),
            table(
                "Users", ["name", "role", "second factor", "sessions"],
                [[name, role, "yes" if totp else "no", n] for name, role, totp, n in users],
            ),
        ],
    )  # fmt: skip


def _signed(audit: Verdict) -> str:
    if not audit.signed:
        return f"{audit.entries} entries, not signed"
    before = f" but for the first {audit.unsigned}" if audit.unsigned else ""
    return f"{audit.entries} entries, signed{before}"


def _age(seconds: float) -> tuple[int, str]:
    """In the unit somebody would say it in."""
    for unit, length in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * length:
            return int(seconds // length), unit
    return int(seconds // 60), "minutes"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value)
