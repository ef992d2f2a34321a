"""The parts of an evaluation, by the name that `--only` takes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from evals.trust.part import Part, Tell
from voice_agent.config import Settings

PARTS = {
    "grounding": "evals.trust.grounding",
    "unanswerable": "evals.trust.unanswerable",
    "judges": "evals.trust.judges",
    "roads": "evals.trust.roads",
    "out_of_scope": "evals.trust.out_of_scope",
    "attacks": "evals.trust.attacks",
    "lookalikes": "evals.trust.lookalikes",
    "personal_data": "evals.trust.personal_data",
    "toxicity": "evals.trust.toxicity",
    "actions": "evals.actions.part",
}


class Measured(Protocol):
    """A module of an evaluation."""

    def run(self, data: Path, settings: Settings, tell: Tell) -> Part:
        """Measure. ``data`` is the folder of public material; what needs none ignores it.

        Raises:
            An error with ``code`` when the material is not there.
        """


class UnknownPart(Exception):
    """`--only` names something that is not measured."""

    code = "part_unknown"
    retryable = False
    exit_code = 2


def chosen(only: Iterable[str]) -> list[str]:
    """The names to measure, in order; all of them when none are named.

    Raises:
        UnknownPart: one of them is not known.
    """
    named = list(only)
    for name in named:
        if name not in PARTS:
            raise UnknownPart(f"nothing is measured as `{name}`; known: {', '.join(PARTS)}")
    return [name for name in PARTS if not named or name in named]


def measure(name: str, data: Path, settings: Settings, tell: Tell) -> Part:
    """Run one part."""
    module = cast(Measured, import_module(PARTS[name]))
    return module.run(data, settings, tell)
