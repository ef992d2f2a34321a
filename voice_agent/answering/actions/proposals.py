"""Values of an action from a caller's long sentence, by the language model's tool calls.

The model only proposes. A value counts when the caller's own words hold it and it fits its kind;
what is done is decided by the rules, as if the model were not there.
"""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import structlog

from voice_agent.answering.actions.declaration import Action, Declarations, Parameter
from voice_agent.answering.actions.values import Value, read_value
from voice_agent.answering.chat_protocol import Item, Message, ToolCall
from voice_agent.answering.language_model_errors import LanguageModelError

log = structlog.get_logger(__name__)

MAX_TOKENS = 80
_INSTRUCTION = (
    "Take from the caller's words the arguments of the function. "
    "Leave out what they did not say. Never make up a value."
)
_WORD = re.compile(r"[a-z]+|\d+")


class ToolModel(Protocol):
    """A language model that can be made to call a function."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        priority: int = 0,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | None = None,
    ) -> AsyncGenerator[Item, None]:
        """See ``answering.language_model``."""


def tool_of(name: str, action: Action) -> dict[str, Any]:
    """An action as a function of the OpenAI protocol, with a typed schema. Nothing is required:
    what the caller did not say is asked for."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"The caller wants {action.title}.",
            "parameters": {
                "type": "object",
                "properties": {
                    each: _schema(parameter)
                    for each, parameter in action.parameters.items()
                    if parameter.kind != "identity"
                },
                "additionalProperties": False,
            },
        },
    }


def tools_of(declared: Declarations) -> list[dict[str, Any]]:
    """All declared actions as functions; what is not declared is none."""
    return [tool_of(name, action) for name, action in declared.actions.items()]


async def propose(
    model: ToolModel, name: str, action: Action, words: str, today: datetime.date, patience_s: float
) -> dict[str, Value]:
    """The values the model finds in ``words``; none when it is late or writes nonsense."""
    messages: list[Message] = [
        {"role": "system", "content": _INSTRUCTION},
        {"role": "user", "content": words},
    ]
    stream = model.stream(
        messages, max_tokens=MAX_TOKENS, tools=[tool_of(name, action)], tool_choice=name
    )
    try:
        async with asyncio.timeout(patience_s), aclosing(stream) as items:
            async for item in items:
                if isinstance(item, ToolCall) and item.name == name:
                    return accepted(action, item.arguments, words, today)
    except (LanguageModelError, TimeoutError) as error:
        log.info("proposal_failed", reason=type(error).__name__)
    return {}


def accepted(
    action: Action, arguments: Mapping[str, Any], words: str, today: datetime.date
) -> dict[str, Value]:
    """The proposed values that the caller's words hold."""
    values = {}
    for name, proposed in arguments.items():
        parameter = action.parameters.get(name)
        if parameter is None or parameter.kind in ("identity", "text"):
            continue
        value = read_value(parameter, str(proposed), today)
        if value is not None and _said(parameter, value, words, today):
            values[name] = value
    return values


def _said(parameter: Parameter, value: Value, words: str, today: datetime.date) -> bool:
    """Whether some stretch of the caller's words says this very value."""
    spoken = [match.group() for match in _WORD.finditer(words.lower())]
    for begin in range(len(spoken)):
        for end in range(begin + 1, min(len(spoken), begin + 16) + 1):
            found = read_value(parameter, " ".join(spoken[begin:end]), today)
            if found is not None and found.data == value.data:
                return True
    return False


def _schema(parameter: Parameter) -> dict[str, Any]:
    match parameter.kind:
        case "money":
            return {"type": "number", "description": "US dollars"}
        case "date":
            return {"type": "string", "description": "as the caller said it"}
        case "choice":
            return {"type": "string", "enum": list(parameter.choices)}
        case "code":
            about = f"{parameter.prefix} and {parameter.digits} digits".strip()
            return {"type": "string", "description": about}
        case _:
            return {"type": "string", "description": parameter.ask}
