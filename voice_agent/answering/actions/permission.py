"""Whether an action may be done: the one place that says so, whoever asks. Pure.

Neither the model, nor a document, nor a tool's result has a way around it: whatever chose the
action, its arguments, the caller's identity and their consent are judged here again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voice_agent.answering.actions.consent import Consent, heard_whole, judge_consent
from voice_agent.answering.actions.declaration import Action
from voice_agent.answering.actions.errors import NotAllowed
from voice_agent.answering.actions.values import Value


@dataclass(frozen=True, slots=True)
class Agreement:
    """A caller's consent to a write: what was read to them, what they heard, what they said."""

    statement: str
    heard: str
    words: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A caller whose identity was checked; ``customer`` is the company's id of them."""

    customer: str
    factor: str


def check_permission(
    action: Action,
    values: Mapping[str, Value],
    verified: Verified | None,
    agreement: Agreement | None,
) -> None:
    """Raise unless the action may be done now.

    Raises:
        NotAllowed: with the rule that forbids it.
    """
    asked = {name for name, each in action.parameters.items() if each.kind != "identity"}
    if set(values) != asked:
        raise NotAllowed("arguments")
    if action.identity and verified is None:
        raise NotAllowed("identity")
    if over_limit(action, values):
        raise NotAllowed("limit")
    if action.effect == "write":
        if (
            agreement is None
            or judge_consent(agreement.words, agreement.statement) is not Consent.YES
        ):
            raise NotAllowed("not_confirmed")
        if agreement.statement != read_back(action, values):
            raise NotAllowed("other_than_read_back")
        if not heard_whole(agreement.statement, agreement.heard):
            raise NotAllowed("read_back_not_heard")


def over_limit(action: Action, values: Mapping[str, Value]) -> bool:
    """Whether a value is beyond what is done without a person."""
    return any(
        limit.parameter in values and float(values[limit.parameter].data) > limit.at_most
        for limit in action.limits
    )


def read_back(action: Action, values: Mapping[str, Value]) -> str:
    """What a write will do, in the words the caller confirms."""
    return action.read_back.format(**{name: value.told for name, value in values.items()})
