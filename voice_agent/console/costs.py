"""What calls cost, from the prices in the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agent.console.facts import Facts
from voice_agent.console.settings import CostSettings


@dataclass(frozen=True, slots=True)
class Costs:
    """Amounts in the currency of the settings; ``None`` where there is nothing to divide by."""

    parts: dict[str, float]
    total: float
    a_call: float | None
    a_resolved_call: float | None


def costs_of(facts: Facts, settings: CostSettings) -> Costs:
    """The cost of a period. Machines cost by the hour, whether they are used or not; a person by
    what a handed-over call takes of them."""
    minutes = sum(call.minutes for call in facts.calls)
    handed_over = len(facts.escalated())
    tokens = sum(turn.tokens for turn in facts.turns)
    parts = {
        "line": minutes * settings.line_minute,
        "machines": (facts.until - facts.since) / 3600 * settings.machine_hour,
        "language model": tokens / 1000 * settings.thousand_tokens,
        "people": handed_over * settings.person_call_minutes * settings.person_minute,
    }
    total = sum(parts.values())
    calls, resolved = len(facts.calls), len(facts.resolved())
    return Costs(
        parts, total, total / calls if calls else None, total / resolved if resolved else None
    )
