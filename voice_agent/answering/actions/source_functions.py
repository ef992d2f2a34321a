"""Tools from Python files in a folder: each public function with typed parameters is one.

A function may take ``key`` (the name of the write) and ``caller`` (the verified customer's id);
these are given by the agent and are no arguments of the tool. It returns a mapping, raises
:class:`errors.ToolRefused` to say no, and may be ``async``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from voice_agent.answering.actions.errors import ActionsInvalid, ToolRefused, ToolUnavailable
from voice_agent.answering.actions.tools import Call, Tool

_GIVEN = frozenset({"key", "caller"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function with the model of its arguments."""

    run: Callable[..., Any]
    arguments: type[BaseModel]
    given: frozenset[str]
    tool: Tool


class FunctionSource:
    """The functions of a folder, loaded once."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ActionsInvalid(f"{folder}: there is no such folder of functions")
        self._functions: dict[str, Function] = {}
        for path in sorted(folder.glob("[!_]*.py")):
            for function in _functions_of(path):
                if function.tool.name in self._functions:
                    raise ActionsInvalid(f"{path}: there are two functions `{function.tool.name}`")
                self._functions[function.tool.name] = function

    async def tools(self) -> Sequence[Tool]:
        """What the folder offers."""
        return [function.tool for function in self._functions.values()]

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """See :class:`tools.Source`."""
        function = self._functions.get(tool)
        if function is None:
            raise ToolUnavailable(f"there is no function `{tool}`")
        try:
            arguments = function.arguments.model_validate(dict(call.arguments))
        except ValidationError as error:
            raise ToolRefused("arguments_invalid") from error
        given = {"key": call.key, "caller": call.caller}
        values = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        values |= {name: given[name] for name in function.given}
        if inspect.iscoroutinefunction(function.run):
            result = await function.run(**values)
        else:
            result = await asyncio.to_thread(function.run, **values)
        if not isinstance(result, Mapping):
            raise TypeError(f"`{tool}` returned no mapping")
        return result

    async def close(self) -> None:
        """Nothing is held."""


def _functions_of(path: Path) -> list[Function]:
    spec = importlib.util.spec_from_file_location(f"voice_agent_actions_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ActionsInvalid(f"{path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody else's code
        raise ActionsInvalid(f"{path}: {type(error).__name__}: {error}") from error
    return [
        _function(path, name, value)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    ]


def _function(path: Path, name: str, run: Callable[..., Any]) -> Function:
    hints = get_type_hints(run)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(run).parameters.values():
        if parameter.name in _GIVEN:
            continue
        if parameter.name not in hints:
            raise ActionsInvalid(f"{path}: `{name}`: parameter `{parameter.name}` has no type")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    given = _GIVEN & set(inspect.signature(run).parameters)
    about = (inspect.getdoc(run) or "").split("\n")[0]
    return Function(run, model, given, Tool(name, about, model.model_json_schema()))
