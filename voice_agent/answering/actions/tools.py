"""What a source offers: something that can be called with typed arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. ``key`` is the same for every try of the same write; ``caller`` is the
    verified customer on whose behalf it is made, empty for none."""

    arguments: Mapping[str, Any]
    key: str = ""
    caller: str = ""
    timeout_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of a source. ``schema`` is the JSON schema of its arguments, an object."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """Where tools come from."""

    async def tools(self) -> Sequence[Tool]:
        """What it offers.

        Raises:
            ActionsInvalid: it cannot be understood.
            ToolUnavailable: it cannot be reached.
        """

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """Call a tool; its result is an object.

        Raises:
            ToolUnavailable: it was not reached, so nothing was done.
            ToolUncertain: it may have been done.
            ToolRefused: it was not done, with the service's reason.
        """

    async def close(self) -> None:
        """Give everything back."""
