"""Why callers come to a person, as ``configs/handoff.yaml`` gives it, read strictly."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field, model_validator

from telephony.settings import Section
from voice_agent.config import ConfigError
from voice_agent.yaml_file import read_yaml

KNOWN = (
    "asked",
    "not_understood",
    "unsure",
    "unknown",
    "repeated",
    "upset",
    "vulnerable",
    "legal",
    "medical",
    "policy",
    "over_limit",
    "action",
    "language",
    "supervisor",
    "failed",
)


class Reason(Section):
    """One reason."""

    says: str = Field(min_length=3, description="What the caller hears")
    why: str = Field(min_length=3, description="What the person hears: `They …`")
    queue: str = Field("", description="One of `gateway.human.queues`; else the human line")
    next_step: str = Field("", description="What the person is told to do first")


class Reasons(Section):
    """All of them."""

    reasons: dict[str, Reason] = Field(description="Reasons by their code")

    @model_validator(mode="after")
    def _complete(self) -> Reasons:
        for name in self.reasons:
            if name not in KNOWN:
                raise ValueError(f"`{name}` is no reason; known: {', '.join(KNOWN)}")
        for name in KNOWN:
            if name not in self.reasons:
                raise ValueError(f"`{name}` is missing")
        return self

    def of(self, name: str) -> Reason:
        """The reason of that code; any other counts as having asked."""
        return self.reasons.get(name) or self.reasons["asked"]

    def sentences(self) -> tuple[str, ...]:
        """All that is said as it is written, for keeping it as sound."""
        return tuple(dict.fromkeys(reason.says for reason in self.reasons.values()))


def read_reasons(path: Path) -> Reasons:
    """Read the file.

    Raises:
        ConfigError: one line that says what is wrong with it.
    """
    return read_yaml(path, Reasons, ConfigError)


@cache
def default_reasons() -> Reasons:
    """Those of the sample company."""
    return read_reasons(Path(__file__).parents[2] / "configs" / "handoff.yaml")
