"""Where the wait of a turn went: the wire's figure laid beside the agent's own record. Pure.

The agent's record of a turn splits its wait into consecutive parts, from the caller's last voiced
sample, as it arrived on the agent's clock, to the reply's first sample leaving the gateway. What
the wire and its buffers need on top was measured beforehand without any thinking (``line``). The
agent takes the speech for over a little before or after it is (``noticing``), which shows where
both clocks are known. The clocks of gateway, SIP stack and caller meet in a phase of each call's
own: the stack may hold one packet more all call long (``packet_phase``, never more than a packet).
What is left of the wire's figure is unexplained, and is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

PARTS = (
    "silence",
    "transcription",
    "retrieval",
    "first_token",
    "first_clause",
    "synthesis",
    "gate",
    "playout",
)
"""As the agent records them, in the order in which they are spent."""
NOTICING = "noticing"
LINE = "line"
PACKET_PHASE = "packet_phase"
PACKET_MS = 20.0
AGREE_MS = 30.0
"""A difference so large is looked into."""
ROUNDING_MS = 1.0


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One turn's wait in ms. ``parts``, ``line`` among them, and ``unexplained_ms`` add up to
    ``wire_ms``; ``why`` says where a large unexplained rest went, as far as is known."""

    wire_ms: float
    parts: dict[str, float]
    unexplained_ms: float
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def reconcile_call(
    turns: Sequence[Mapping[str, Any]], line_ms: float | None
) -> list[Waterfall | None]:
    """The waterfalls of one call's turns, its packet phase told from all of them."""
    if line_ms is None:
        return [reconcile(turn, None) for turn in turns]
    rests = [
        found.unexplained_ms
        for turn in turns
        if (found := reconcile(turn, line_ms)) and turn.get("agent_turns", 1) == 1
    ]
    phase_ms = min(PACKET_MS, max(0.0, median(rests))) if len(rests) > 1 else 0.0
    return [reconcile(turn, line_ms, phase_ms) for turn in turns]


def reconcile(
    turn: Mapping[str, Any], line_ms: float | None, phase_ms: float = 0.0
) -> Waterfall | None:
    """The waterfall of a turn of the wire; ``None`` when it has no answer, began before the caller
    had finished, or the agent did not record its parts.

    ``turn`` has ``voice_to_voice_ms`` of the wire and the agent's record in ``agent``. Without a
    ``line_ms`` (ms; the probe failed) the line is a part of what is unexplained.
    """
    wire_ms = turn.get("voice_to_voice_ms")
    recorded = (turn.get("agent") or {}).get("waterfall_ms")
    if wire_ms is None or wire_ms < 0 or not recorded:
        return None
    parts = {name: round(float(ms), 1) for name, ms in recorded.items()}
    if (noticing_ms := turn["agent"].get("noticing_ms")) is not None:
        parts = {NOTICING: round(noticing_ms, 1), **parts}
    if line_ms is not None:
        parts[LINE] = round(line_ms, 1)
    if phase_ms:
        parts[PACKET_PHASE] = round(phase_ms, 1)
    unexplained_ms = round(wire_ms - sum(parts.values()), 1)
    why = _why(turn, unexplained_ms, line_ms) if abs(unexplained_ms) > AGREE_MS else ""
    return Waterfall(float(wire_ms), parts, unexplained_ms, why)


def noticing_ms(
    turn: Mapping[str, Any], answered_at: float, ended_at: float, to_agent_ms: float
) -> float:
    """How much later than the caller's last voiced sample reached it the agent took its last one to
    have come, in ms; negative when it missed a soft end.

    Args:
        turn: with ``began_s`` and ``speech_ms`` of the wire.
        answered_at: when the wire's axis begins, seconds since 1970.
        ended_at: the agent's last voiced sample, seconds since 1970.
        to_agent_ms: the line's way there.
    """
    spoken_at = answered_at + turn["began_s"] + turn["speech_ms"] / 1000
    return float((ended_at - spoken_at) * 1000 - to_agent_ms)


def _why(turn: Mapping[str, Any], unexplained_ms: float, line_ms: float | None) -> str:
    agent = turn["agent"]
    said_ms = agent.get("voice_to_voice_ms")
    reasons = []
    if line_ms is None:
        reasons.append("the line was not measured")
    if said_ms is not None:
        lost_ms = said_ms - sum(agent["waterfall_ms"].values())
        if abs(lost_ms) > ROUNDING_MS:
            reasons.append(f"the record's own parts leave out {lost_ms:.0f} ms")
    if turn.get("agent_turns", 1) > 1:
        reasons.append("the agent took it for several turns")
    if (starved_ms := turn.get("starved_gap_ms") or 0.0) > AGREE_MS and unexplained_ms > 0:
        reasons.append(f"packets came up to {starved_ms:.0f} ms late")
    return "; ".join(reasons) or "unexplained"
