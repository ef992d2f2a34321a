"""From a call that is over to what a CRM is told of it. Pure."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

from voice_agent.answering.actions.desk import Done
from voice_agent.records.record_types import CallRecord, HandoffRecord

MAX_SUMMARY_CHARS = 600


def outcome_fields(
    call: CallRecord,
    *,
    turns: int,
    done: Sequence[Done],
    brief: str,
    transcript_url: str,
    handoff: HandoffRecord | None = None,
) -> dict[str, Any]:
    """The fields of a :class:`call_outcome.CallOutcome`, not yet checked.

    ``turns`` are those in which the caller spoke; ``brief`` is what a person who took over heard.
    """
    ended_at = call.ended_at or call.started_at
    return {
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"call.ended:{call.call_id}:{ended_at}")),
        "type": "call.ended",
        "call_id": call.call_id,
        "caller": call.caller[:120],
        "started_at": _time(call.started_at),
        "ended_at": _time(ended_at),
        "summary": _summary(call, turns, done, brief),
        "disposition": _disposition(call, turns, done),
        "actions": [
            {"action": each.action, "state": each.state, "reason": each.reason, "key": each.key}
            for each in done
        ],
        "handoff": {
            "reason": handoff.reason,
            "queue": handoff.queue[:120],
            "outcome": handoff.outcome,
            "link": handoff.link,
        }
        if handoff
        else None,
        "transcript_url": transcript_url.replace("{call_id}", call.call_id),
    }


def _disposition(call: CallRecord, turns: int, done: Sequence[Done]) -> str:
    if call.outcome in ("failed", "handed_over"):
        return call.outcome
    if any(each.state == "done" for each in done):
        return "action_done"
    return "answered" if turns else "abandoned"


def _summary(call: CallRecord, turns: int, done: Sequence[Done], brief: str) -> str:
    said = [f"The caller spoke {turns} time{'' if turns == 1 else 's'}."]
    for each in done:
        why = f" ({each.reason})" if each.reason else ""
        said.append(f"{each.action.replace('_', ' ').capitalize()}: {each.state}{why}.")
    if brief:
        said.append(brief)
    said.append(f"Ended: {call.outcome.replace('_', ' ') or call.end_reason}.")
    return " ".join(said)[:MAX_SUMMARY_CHARS]


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()
