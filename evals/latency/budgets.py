"""What a run must reach: ``configs/bench.yaml``, read strictly, and held against a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from evals.latency.figures import BY_NAME, FIGURES, Figure
from telephony.settings import Section
from voice_agent.yaml_file import read_yaml

BUDGETS = Path("configs/bench.yaml")

Verdict = Literal["met", "missed", "not measured"]


class BudgetError(Exception):
    """A budget file that cannot be used; the message is one line that says why."""

    code = "budgets_invalid"
    retryable = False
    exit_code = 2


class Budget(Section):
    """What one figure must reach, and by how much it may be worse than in an earlier run."""

    reach: float | None = Field(None, ge=0, description="At most; for shares of right: at least")
    worse_by: float | None = Field(None, ge=0, description="How much worse than an earlier run")


class _File(Section):
    budgets: dict[str, Budget] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> _File:
        for name, budget in self.budgets.items():
            if name not in BY_NAME:
                raise ValueError(f"there is no figure `{name}`")
            if budget.reach is None and budget.worse_by is None:
                raise ValueError(f"`{name}` asks for nothing")
        return self


@dataclass(frozen=True, slots=True)
class Held:
    """A figure of a run against its budget, if it has one."""

    figure: Figure
    value: float | None
    reach: float | None
    verdict: Verdict | None


def read_budgets(path: Path) -> dict[str, Budget]:
    """The budgets by the name of their figure.

    Raises:
        BudgetError: the file is not there, is no YAML, or has a figure or key that is unknown.
    """
    return read_yaml(path, _File, BudgetError).budgets


def held(summary: Mapping[str, Any], budgets: Mapping[str, Budget]) -> list[Held]:
    """Every figure of a summary against its budget, in the order of ``FIGURES``."""
    rows = []
    for figure in FIGURES:
        value = summary.get(figure.name)
        budget = budgets.get(figure.name)
        reach = budget.reach if budget else None
        rows.append(Held(figure, value, reach, _verdict(figure, value, reach)))
    return rows


def _verdict(figure: Figure, value: float | None, reach: float | None) -> Verdict | None:
    if reach is None:
        return None
    if value is None:
        return "not measured"
    good = value <= reach if figure.better == "less" else value >= reach
    return "met" if good else "missed"
