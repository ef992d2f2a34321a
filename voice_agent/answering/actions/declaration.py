"""What ``configs/actions.yaml`` may say. It alone decides what can be done, never a tool's source:
what a service offers and nobody declared here cannot be called.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from telephony.settings import Section
from voice_agent.answering.actions.errors import ActionsInvalid
from voice_agent.yaml_file import read_yaml

_NAMED = re.compile(r"\{(\w+)\}")

ValueKind = Literal["code", "digits", "money", "date", "choice", "email", "text", "identity"]
FieldKind = Literal["code", "money", "date", "choice", "name", "number", "flag"]


class Parameter(Section):
    """A value that a tool needs, and how it is heard."""

    kind: ValueKind = Field(description="How it is said; `identity`: the verified caller's own id")
    ask: str = Field("", description="What asks for it")
    again: str = Field("", description="What asks after it was not understood; default: `ask`")
    prefix: str = Field("", description="Letters a code begins with")
    digits: int = Field(0, ge=0, le=32, description="How many digits a code or number has")
    future: bool = Field(False, description="A date that lies ahead; otherwise it is past")
    choices: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Value: words that mean it"
    )


class Limit(Section):
    """Beyond this a person decides."""

    parameter: str = Field(description="A money parameter")
    at_most: float = Field(gt=0, description="The most that is done without a person")


class ResultField(Section):
    """A field of a result that may be spoken. What does not fit its kind is not spoken."""

    kind: FieldKind = Field(description="What it must be")
    choices: dict[str, str] = Field(default_factory=dict, description="Value: how it is said")
    absent: str = Field("", description="Said instead where it may be missing")


class Result(Section):
    """How a result is understood and told."""

    must: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Fields that say that it was done, with those values"
    )
    echo: dict[str, str] = Field(
        default_factory=dict, description="Field: the parameter it must be equal to"
    )
    fields: dict[str, ResultField] = Field(default_factory=dict, description="What may be spoken")
    say: str = Field(description="The result as told, with {fields}")


class Action(Section):
    """Something that can be done for a caller."""

    title: str = Field(description="What it is, for a person's brief: `a refund`")
    tool: str = Field(pattern=r"^\w+\.[\w-]+$", description="source.tool")
    effect: Literal["read", "write"] = Field(description="A write is confirmed and done once")
    identity: bool = Field(False, description="Only for a caller whose identity was checked")
    parameters: dict[str, Parameter] = Field(default_factory=dict, description="What it needs")
    limits: tuple[Limit, ...] = Field((), description="Beyond these a person decides")
    timeout_s: float = Field(3.0, gt=0, le=30, description="Patience with the service")
    idempotency: Literal["header", "argument", "none"] = Field(
        "header",
        description="How a write says that it is the same one; `none`: it is never sent twice",
    )
    once_per: Literal["call", "customer"] = Field(
        "call", description="The same write with the same values is done once in a call, or ever"
    )
    read_back: str = Field("", description="What a write will do, with every {parameter}")
    result: Result = Field(description="How its result is understood and told")
    refusals: dict[str, str] = Field(
        default_factory=dict, description="Reasons of the service: what the caller hears"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        asked = {name for name, each in self.parameters.items() if each.kind != "identity"}
        for name in asked:
            if not self.parameters[name].ask:
                raise ValueError(f"parameter `{name}` has no `ask`")
        if self.effect == "write":
            unread = asked - set(_NAMED.findall(self.read_back))
            if not self.read_back or unread:
                missing = ", ".join(sorted(unread)) or "read_back"
                raise ValueError(f"a write is read back in full; missing: {missing}")
            if not self.result.must:
                raise ValueError("a write needs `result.must`: how it is known to be done")
        for limit in self.limits:
            if limit.parameter not in asked or self.parameters[limit.parameter].kind != "money":
                raise ValueError(f"limit on `{limit.parameter}`, which is no money parameter")
        if self.once_per == "customer" and not self.identity:
            raise ValueError("`once_per: customer` needs `identity: true`")
        if any(each.kind == "identity" for each in self.parameters.values()) and not self.identity:
            raise ValueError("an `identity` parameter needs `identity: true`")
        unknown = set(_NAMED.findall(self.result.say)) - set(self.result.fields) - asked
        if unknown:
            raise ValueError(f"`result.say` names unknown fields: {', '.join(sorted(unknown))}")
        for name, known in self.result.echo.items():
            if known not in self.parameters:
                raise ValueError(f"`result.echo.{name}`: there is no parameter `{known}`")
        return self


class Identity(Section):
    """How a caller shows who they are."""

    tool: str = Field(pattern=r"^\w+\.[\w-]+$", description="Tool that checks it")
    subjects: dict[str, Parameter] = Field(description="What names a customer; the first is asked")
    factors: dict[str, Parameter] = Field(description="What only the customer knows")
    ask: str = Field(description="What asks for one of the factors")
    attempts: int = Field(3, ge=1, le=10, description="Then only a person can help")
    window_s: float = Field(3600, gt=0, description="Failed attempts count for so long")
    timeout_s: float = Field(3.0, gt=0, le=30, description="Patience with the check")


class Source(Section):
    """Where tools come from."""

    kind: Literal["functions", "openapi", "mcp"] = Field(description="Which kind of source")
    folder: Path | None = Field(None, description="functions: folder of Python files")
    description: Path | None = Field(None, description="openapi: file with the description")
    url: str = Field("", description="openapi: base address; mcp: address of the server")
    command: tuple[str, ...] = Field((), description="mcp: command of a local server")
    token_env: str = Field("", description="Environment variable with a bearer token")

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed = {
            "functions": self.folder,
            "openapi": self.description and self.url,
            "mcp": self.url or self.command,
        }
        if not needed[self.kind]:
            raise ValueError(f"a source of kind `{self.kind}` says where it is")
        return self


class Declarations(Section):
    """The whole file."""

    sources: dict[str, Source] = Field(default_factory=dict, description="Where tools come from")
    identity: Identity | None = Field(None, description="How callers show who they are")
    actions: dict[str, Action] = Field(default_factory=dict, description="What can be done")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, action in self.actions.items():
            if action.tool.split(".")[0] not in self.sources:
                raise ValueError(f"action `{name}`: there is no source `{action.tool}`")
            if action.identity and self.identity is None:
                raise ValueError(f"action `{name}` needs an identity check; `identity` is missing")
        return self


def read_declarations(path: Path) -> Declarations:
    """Read and check the file.

    Raises:
        ActionsInvalid: one line that says which key is wrong and why.
    """
    return read_yaml(path, Declarations, ActionsInvalid)
