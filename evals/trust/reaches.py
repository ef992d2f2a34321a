"""What the figures must reach: ``configs/trust.yaml``, read strictly, and held against a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from telephony.settings import Section
from voice_agent.yaml_file import read_yaml

REACHES = Path("configs/trust.yaml")


class ReachError(Exception):
    """A file of reaches that cannot be used; the message is one line that says why."""

    code = "reaches_invalid"
    retryable = False
    exit_code = 2


class Reach(Section):
    """The least or the most that a figure may be."""

    at_least: float | None = Field(None, description="The figure must not be less")
    at_most: float | None = Field(None, description="The figure must not be more")

    @model_validator(mode="after")
    def _one_of_them(self) -> Reach:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self

    def met_by(self, value: float) -> bool:
        """Whether a figure reaches it."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


class _File(Section):
    reaches: dict[str, Reach] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Held:
    """A figure against what it must reach; without a reach it is only told."""

    name: str
    value: float
    reach: Reach | None

    @property
    def missed(self) -> bool:
        """Whether it must be better."""
        return self.reach is not None and not self.reach.met_by(self.value)


def read_reaches(path: Path = REACHES) -> dict[str, Reach]:
    """The reaches by the name of their figure.

    Raises:
        ReachError: the file is not there, is no YAML, or says something else.
    """
    return read_yaml(path, _File, ReachError).reaches


def held(figures: Mapping[str, float], reaches: Mapping[str, Reach]) -> list[Held]:
    """Every figure against its reach, in the order of the figures."""
    return [Held(name, value, reaches.get(name)) for name, value in figures.items()]
