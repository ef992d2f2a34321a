"""What the law of a caller's place asks of a call: read from a file of rules, chosen by number.

A rule is chosen by where the caller rings from (the longest prefix of their number) and by what
they dialled; where both say something, the stricter of the two holds, in each thing by itself. A
number of no rule, and a caller without a number or a rule for what they dialled, get ``otherwise``,
which is the strictest unless the file says else.

A caller's number can be forged or hidden: it decides which sentence is heard, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from telephony.errors import GatewayError
from telephony.routing import dialled_route, number_of
from telephony.settings import Section

Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class LawInvalid(GatewayError):
    """A file of rules that cannot be used; the message is one line that says why."""

    code = "law_invalid"


class RecordingRule(StrEnum):
    """What has to come before a recording; each is stricter than the one before."""

    UNANNOUNCED = "unannounced"
    """Nothing: the file begins with the call."""
    NOTICE = "notice"
    """The caller has heard that the call is recorded."""
    CONSENT = "consent"
    """The caller was asked, and said yes by word or by key."""
    NEVER = "never"
    """Nothing may: the call is not recorded."""


class Disclosure(StrEnum):
    """When the agent says that it is a machine; asked, it always does."""

    WHEN_ASKED = "when_asked"
    AT_START = "at_start"


Kind = TypeVar("Kind", RecordingRule, Disclosure)
_STRICTEST_LAST: tuple[StrEnum, ...] = (*RecordingRule, *Disclosure)


class Rule(Section):
    """What holds for a call."""

    recording: RecordingRule = Field(
        RecordingRule.CONSENT, description="unannounced, notice, consent or never"
    )
    ai_disclosure: Disclosure = Field(Disclosure.AT_START, description="at_start or when_asked")


class PlaceRule(Rule):
    """What holds at a place."""

    name: Text = Field(description="How records, logs and the console call it")
    numbers: tuple[Prefix, ...] = Field((), description="Callers whose number begins so")
    routes: tuple[Text, ...] = Field((), description="Callers who dialled one of these names")
    sources: tuple[Text, ...] = Field(min_length=1, description="Where the law says so")

    @model_validator(mode="after")
    def _chosen_by_something(self) -> PlaceRule:
        if not self.numbers and not self.routes:
            raise ValueError(f"rule `{self.name}` has neither numbers nor routes")
        return self


class Law(Section):
    """The whole file."""

    answer_s: float = Field(
        5.0, ge=1, le=30, description="After the question a caller has so long to say yes"
    )
    home: Prefix | None = Field(
        None, description="Numbers that begin with neither + nor 00 are of this country"
    )
    otherwise: Rule = Field(Rule(), description="For callers whom no rule names")
    rules: tuple[PlaceRule, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> Law:
        for what, every in (
            ("the name", [rule.name for rule in self.rules]),
            ("the number", [number for rule in self.rules for number in rule.numbers]),
            ("the route", [route.lower() for rule in self.rules for route in rule.routes]),
        ):
            if twice := next((each for each in every if every.count(each) > 1), None):
                raise ValueError(f"{what} `{twice}` is in two rules, or twice in one")
        return self


@dataclass(frozen=True, slots=True)
class CallLaw:
    """What holds for one call, and by which rules: their names, perhaps ``otherwise``."""

    recording: RecordingRule
    ai_disclosure: Disclosure
    rules: tuple[str, ...]


def law_for(law: Law, caller: str, dialled: str) -> CallLaw:
    """What holds for a call. ``caller`` and ``dialled`` are SIP addresses, or what a line has in
    their place. Pure."""
    number, route = _international(number_of(caller), law.home), dialled_route(dialled)
    by_number = max(
        (
            (len(prefix), rule)
            for rule in law.rules
            for prefix in rule.numbers
            if number.startswith(prefix)
        ),
        key=lambda found: found[0],
        default=(0, None),
    )[1]
    by_route = next(
        (rule for rule in law.rules if route in (name.lower() for name in rule.routes)), None
    )
    chosen: dict[str, Rule] = {rule.name: rule for rule in (by_number, by_route) if rule}
    if by_number is None and (number_of(caller) or by_route is None):
        chosen["otherwise"] = law.otherwise
    return CallLaw(
        strictest(rule.recording for rule in chosen.values()),
        strictest(rule.ai_disclosure for rule in chosen.values()),
        tuple(chosen),
    )


def stricter(one: CallLaw, other: CallLaw) -> CallLaw:
    """What holds where both do: in each thing by itself the stricter. Pure."""
    return CallLaw(
        strictest((one.recording, other.recording)),
        strictest((one.ai_disclosure, other.ai_disclosure)),
        tuple(dict.fromkeys(one.rules + other.rules)),
    )


def for_call_back(law: Law, now: CallLaw, then: CallLaw | None) -> CallLaw:
    """What holds for a call that was promised in another: what held there and what holds for this
    one. ``then`` is ``None`` where it is not known, which counts as ``otherwise``. Pure."""
    otherwise = CallLaw(law.otherwise.recording, law.otherwise.ai_disclosure, ("otherwise",))
    return stricter(now, then or otherwise)


def strictest(each: Iterable[Kind]) -> Kind:
    """The strictest of several; there is at least one."""
    return max(each, key=_STRICTEST_LAST.index)


def _international(number: str, home: str | None) -> str:
    if number.startswith("+"):
        return number
    if number.startswith("00"):
        return f"+{number[2:]}"
    return f"{home}{number.lstrip('0')}" if number and home else ""


def read_law(path: Path) -> Law:
    """Read and check a file of rules.

    Raises:
        LawInvalid: with one line that says what is wrong.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Law.model_validate(raw)
    except OSError as error:
        raise LawInvalid(f"gateway.law: {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LawInvalid(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise LawInvalid(f"{path}: `{key}`: {said}" if key else f"{path}: {said}") from error
