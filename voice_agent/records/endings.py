"""Why a call ended, in words that are recorded and shown. Pure."""

from __future__ import annotations

_OUTCOMES = {
    "hung_up": "ended_by_caller",
    "caller_hung_up": "ended_by_caller",
    "agent_hung_up": "ended_by_agent",
    "supervisor_ended": "ended_by_supervisor",
    "transferred": "handed_over",
    "human_hung_up": "handed_over",
    "call_back_promised": "call_back_promised",
    "nobody_available": "nobody_available",
    "replaced": "replaced",
    "gateway_stopped": "gateway_stopped",
    "stream_lost": "agent_gone",
    "switched_off": "agent_gone",
    "not_wanted": "agent_gone",
}
"""By why a call ended, in the words of the gateway's ``stop`` or an agent's own. ``agent_gone``:
the gateway parted with this agent, which knows nothing of what came after it."""


def outcome_of(end_reason: str) -> str:
    """How a call ended, as it is recorded and shown; ``failed`` where something broke."""
    return _OUTCOMES.get(end_reason, "failed")
