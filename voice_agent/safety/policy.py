"""The policy file: what the agent keeps to itself, never says and does not listen to.

Read strictly: an unknown key, a pattern that is none and a rule that does not do what its own
examples say are errors, found before the first call.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from telephony.settings import Section
from voice_agent.safety.personal_data_kinds import Kind
from voice_agent.yaml_file import read_yaml


class PolicyError(Exception):
    """A policy file that cannot be used; the message is one line that says why."""

    code = "policy_invalid"
    retryable = False
    exit_code = 2


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"`{value}` is not a regular expression: {error}") from error
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]


class OutputRule(Section):
    """Something the agent may not say, and what it says instead."""

    name: str = Field(description="How records and metrics call it")
    about: str = Field("", description="What it is for")
    patterns: tuple[Pattern, ...] = Field(min_length=1, description="Any of them breaks the rule")
    instead: str = Field(min_length=1, description="Said in place of the sentence and the rest")
    blocks: tuple[str, ...] = Field(min_length=1, description="Sentences it must catch")
    allows: tuple[str, ...] = Field(min_length=1, description="Sentences it must let pass")

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """All patterns as one."""
        return any_of(self.patterns)


class Masks(Section):
    """Which kinds of personal data are masked where."""

    logs: frozenset[Kind] = Field(description="Lines of the log, `pii` included")
    prompts: frozenset[Kind] = Field(description="What the language model is given")
    records: frozenset[Kind] = Field(description="Turns as they are kept and exported")


class Policy(Section):
    """The whole file."""

    mask: Masks
    attack: str = Field(min_length=1, description="Said to an attempt to turn the agent")
    private: str = Field(min_length=1, description="Said to who asks for others' data or secrets")
    card_keyed: str = Field(min_length=1, description="Said when a card number was keyed in")
    abuse: str = Field(min_length=1, description="Said to an abusive caller")
    abuse_again: str = Field(min_length=1, description="The next time, before a person is offered")
    disclosure: str = Field(
        min_length=1, description="Said first where the law wants a machine to say that it is one"
    )
    what_it_is: str = Field(
        min_length=1, description="Said to who asks whether this is a machine or a person"
    )
    recorded: str = Field(min_length=1, description="Said to who asks, while the call is recorded")
    not_recorded: str = Field(min_length=1, description="Said to who asks, while it is not")
    recording_stopped: str = Field(min_length=1, description="Said to who does not want it")
    abuse_words: tuple[Pattern, ...] = Field(description="Abuse of whoever answers")
    output: tuple[OutputRule, ...] = Field(description="What may not be said, most serious first")

    @cached_property
    def abusive(self) -> re.Pattern[str]:
        """All words of abuse as one expression."""
        return any_of(self.abuse_words)

    def broken_rule(self, text: str) -> OutputRule | None:
        """The first rule that a text breaks."""
        return next((rule for rule in self.output if rule.expression.search(text)), None)

    def failures(self) -> list[str]:
        """What a rule's own examples say it should do and it does not: one line each."""
        found = []
        for rule in self.output:
            found += [
                f"output rule `{rule.name}` does not block: {text}"
                for text in rule.blocks
                if not rule.expression.search(text)
            ]
            found += [
                f"output rule `{rule.name}` blocks: {text}"
                for text in (*rule.allows, rule.instead)
                if rule.expression.search(text)
            ]
        return found


def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for several; one that never matches for none."""
    return re.compile("|".join(f"(?:{each})" for each in patterns) or r"(?!)", re.IGNORECASE)


DEFAULT_POLICY = Path(__file__).resolve().parents[2] / "configs" / "policy.yaml"


@cache
def default_policy() -> Policy:
    """The policy that comes with the project."""
    return read_policy(DEFAULT_POLICY)


def read_policy(path: Path) -> Policy:
    """Read and check a policy file, its examples included.

    Raises:
        PolicyError: with one line that says what is wrong.
    """
    policy = read_yaml(path, Policy, PolicyError)
    if failures := policy.failures():
        raise PolicyError(f"{path}: {failures[0]}")
    return policy
