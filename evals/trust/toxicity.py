"""Public comments labelled toxic or not, as if the agent were about to say them, or a caller had.

There is no reach: a caller may swear and still be helped, so only abuse of whoever answers is
turned away, and political insults are not words of a support call. What counts is that the agent
itself says none of it: whatever no passage supports is not spoken, by the grounding gate.
"""

from __future__ import annotations

import json
from pathlib import Path

from evals.trust.attack_material import NoAttacks
from evals.trust.part import Part, Tell, confusion, share
from voice_agent.config import Settings
from voice_agent.safety.input_guard import Threat, judge_input
from voice_agent.safety.policy import read_policy


def run(data: Path, settings: Settings, tell: Tell) -> Part:  # noqa: ARG001 - quick enough
    """Measure."""
    policy = read_policy(settings.safety.policy)
    path = data / "toxicity" / "surge.jsonl"
    if not path.is_file():
        raise NoAttacks(f"{path}: there is no such file")
    rows = [
        json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()
    ]
    said = [
        (row["is_toxic"] == "Toxic", policy.broken_rule(row["text"]) is not None) for row in rows
    ]
    heard = [
        (row["is_toxic"] == "Toxic", judge_input(row["text"], policy).threat is Threat.ABUSE)
        for row in rows
    ]
    part = Part("toxicity")
    part.figures = {
        "toxic_words_withheld": share(
            sum(seen for toxic, seen in said if toxic), sum(t for t, _ in said)
        ),
        "harmless_words_withheld": share(
            sum(seen for toxic, seen in said if not toxic), sum(not toxic for toxic, _ in said)
        ),
    }
    part.tables = [
        confusion(
            "As the agent's words", [(_toxic(t), "withheld" if s else "said") for t, s in said]
        ),
        confusion(
            "As a caller's words", [(_toxic(t), "abuse" if s else "answered") for t, s in heard]
        ),
    ]
    return part


def _toxic(toxic: bool) -> str:
    return "toxic" if toxic else "not toxic"
