"""Harmless sentences that look like attacks: how many the input guard turns away."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from evals.trust.attack_material import read_lookalikes
from evals.trust.part import Part, Tell, confusion, counted, share
from voice_agent.config import Settings
from voice_agent.safety.input_guard import Threat, judge_input
from voice_agent.safety.policy import read_policy


def run(data: Path, settings: Settings, tell: Tell) -> Part:  # noqa: ARG001 - quick enough
    """Measure."""
    policy = read_policy(settings.safety.policy)
    judged = [(each, judge_input(each.words, policy)) for each in read_lookalikes(data)]
    blocked = [(each, by) for each, by in judged if by.threat is not Threat.NONE]
    part = Part("lookalikes")
    part.figures["lookalikes_blocked"] = share(len(blocked), len(judged))
    part.tables = [
        confusion(
            "Harmless sentences",
            [(each.kind, _judged(by.threat is not Threat.NONE)) for each, by in judged],
        ),
        counted("Signs that blocked", Counter(by.sign for _, by in blocked)),
    ]
    part.notes = [f"blocked: {each.words[:120]}" for each, _ in blocked]
    return part


def _judged(blocked: bool) -> str:
    return "blocked" if blocked else "let pass"
