"""A recorded turn as the page shows it: what was said and heard, what stands behind it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_REPAIRED = "instead:"
_LATE = "the comparison with examples came too late"
_GUARDED = {
    "refuse": ("guard", "refused", "a guard stopped the request or the answer"),
    "decline": ("grounding", "declined", "no passage answers it"),
    "quote": ("grounding", "quoted", "the passage's own sentence was said"),
    "language": ("input", "asked back", "another language"),
}


def turn_view(turn: Mapping[str, Any], began_at: float) -> dict[str, Any]:
    """One turn, from a row of the records with its JSON read.

    Args:
        turn: the fields of a :class:`voice_agent.records.record_types.TurnRecord`.
        began_at: when the call began, seconds since 1970: ``at_ms`` counts from there.
    """
    spoken = str(turn.get("answer") or turn.get("spoken") or "")
    heard = str(turn.get("heard_by_caller") or "")
    at = turn.get("began_at") or began_at
    return {
        "turn_id": turn.get("turn_id"),
        "index": turn.get("index"),
        "at_ms": max(0, round((float(at) - began_at) * 1000)),
        "caller": turn.get("heard") or "",
        "agent": spoken,
        "heard": heard,
        "cut_off": bool(spoken) and turn.get("end_reason") in ("interrupted", "hung_up"),
        "sources": sources_of(turn),
        "stages_ms": turn.get("waterfall_ms") or {},
        "voice_to_voice_ms": turn.get("voice_to_voice_ms"),
        "road": turn.get("road") or turn.get("outcome") or "",
        "confidence": turn.get("confidence"),
        "runner_up": turn.get("runner_up") or "",
        "outcome": turn.get("outcome") or "",
        "end_reason": turn.get("end_reason") or "",
        "risk": risk_of(turn),
        "knowledge_version": turn.get("knowledge_version") or "",
        "model": turn.get("model") or "",
        "filler": turn.get("filler") or "",
        "actions": [],
        "guards": guards_of(turn),
        "grade": None,
    }


def sources_of(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each sentence that was said and has a passage behind it, which one."""
    passages = {each.get("passage_id"): each for each in turn.get("passages") or []}
    found = []
    for claim in turn.get("claims") or []:
        for passage_id in claim.get("passage_ids") or []:
            passage = passages.get(passage_id, {})
            found.append(
                {
                    "sentence": claim.get("text", ""),
                    "passage_id": passage_id,
                    "title": _title(passage, str(passage_id)),
                    "score": passage.get("score"),
                    "because": claim.get("because", ""),
                }
            )
    return found


def guards_of(turn: Mapping[str, Any]) -> list[dict[str, str]]:
    """What the guards decided about the turn, where it was more than letting it pass."""
    found = []
    outcome, choice = str(turn.get("outcome") or ""), turn.get("choice") or {}
    if outcome in _GUARDED:
        guard, decision, reason = _GUARDED[outcome]
        found.append({"guard": guard, "decision": decision, "reason": reason})
    if choice.get("because") in ("doubt", "late"):
        doubt = choice["because"] == "doubt"
        decision, reason = ("in doubt", "not sure enough") if doubt else ("by default", _LATE)
        found.append({"guard": "way to answer", "decision": decision, "reason": reason})
    for claim in turn.get("claims") or []:
        because = str(claim.get("because") or "")
        if because.startswith(_REPAIRED):
            reason = because.removeprefix(_REPAIRED).strip()
            found.append({"guard": "grounding", "decision": "repaired", "reason": reason})
    if (end := str(turn.get("end_reason") or "")).startswith("failed:"):
        found.append({"guard": "failure", "decision": "excused", "reason": end[7:]})
    return found


def risk_of(turn: Mapping[str, Any]) -> float | None:
    """The share of what was said that the gate had to put something else in the place of, or that
    nothing stands behind; ``None`` where nothing was claimed."""
    claims: Sequence[Mapping[str, Any]] = turn.get("claims") or []
    if not claims or not (turn.get("passages") or []):
        return None
    weak = [
        each
        for each in claims
        if str(each.get("because") or "").startswith(_REPAIRED)
        or not (each.get("passage_ids") or each.get("because"))
    ]
    return round(len(weak) / len(claims), 2)


def _title(passage: Mapping[str, Any], passage_id: str) -> str:
    document = str(passage.get("document_id") or passage_id.partition("#")[0])
    return document.rpartition("/")[2].replace("-", " ").replace("_", " ").capitalize()
