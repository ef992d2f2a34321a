"""Tools from an OpenAPI description: each operation with an ``operationId`` is one.

Arguments are checked against the description before anything is sent. The service learns of the
write's name by ``Idempotency-Key`` and of the verified customer by ``X-Customer``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import yaml
from jsonschema import Draft202012Validator

from voice_agent.answering.actions.errors import (
    ActionsInvalid,
    ToolRefused,
    ToolUnavailable,
    ToolUncertain,
)
from voice_agent.answering.actions.results import refusal_in
from voice_agent.answering.actions.tools import Call, Tool

_METHODS = ("get", "post", "put", "patch", "delete")
CONNECT_TIMEOUT_S = 1.5
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is, and which arguments go where."""

    method: str
    path: str
    tool: Tool
    places: Mapping[str, str]
    """Argument: ``path``, ``query`` or ``body``."""


class OpenApiSource:
    """The operations of one service."""

    def __init__(self, description: Path, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._operations = read_operations(description)
        self._session: aiohttp.ClientSession | None = None

    async def tools(self) -> Sequence[Tool]:
        """What the description offers."""
        return [operation.tool for operation in self._operations.values()]

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """See :class:`tools.Source`."""
        operation = self._operations.get(tool)
        if operation is None:
            raise ToolUnavailable(f"there is no operation `{tool}`")
        fault = next(
            Draft202012Validator(operation.tool.schema).iter_errors(dict(call.arguments)), None
        )
        if fault is not None:
            raise ToolRefused("arguments_invalid")
        path, query, body = operation.path, {}, {}
        for name, value in call.arguments.items():
            match operation.places[name]:
                case "path":
                    path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
                case "query":
                    query[name] = str(value)
                case _:
                    body[name] = value
        headers = {"Idempotency-Key": call.key} if call.key else {}
        if call.caller:
            headers["X-Customer"] = call.caller
        has_body = any(place == "body" for place in operation.places.values())
        try:
            async with self._open().request(
                operation.method,
                f"{self._url}{path}",
                params=query,
                json=body if has_body else None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=call.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, call.timeout_s)
                ),
            ) as response:
                text = await response.content.read(MAX_ANSWER_BYTES + 1)
                return _answer(response.status, text)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ToolUnavailable(f"{self._url}: {type(error).__name__}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ToolUncertain(f"{self._url}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Drop every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            self._session = aiohttp.ClientSession(headers=headers)
        return self._session


def _answer(status: int, text: bytes) -> Mapping[str, Any]:
    """What an answer means for a write: only a clear word of the service settles it."""
    try:
        data = json.loads(text) if len(text) <= MAX_ANSWER_BYTES else None
    except ValueError:
        data = None
    if 200 <= status < 300 and isinstance(data, dict):
        return data
    if status in (408, 425, 429):  # a proxy's 503 may follow a request that got through
        raise ToolUnavailable(f"the service answered {status}")
    if 400 <= status < 500:
        raise ToolRefused(refusal_in(data) or f"http_{status}")
    raise ToolUncertain(f"the service answered {status}, or not with an object")


def read_operations(path: Path) -> dict[str, Operation]:
    """The operations of a description in YAML or JSON, by their ids.

    Raises:
        ActionsInvalid: one line that says what is wrong.
    """
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        paths = described["paths"].items()
        return {
            operation["operationId"]: _operation(described, method, template, item, operation)
            for template, item in paths
            for method, operation in item.items()
            if method in _METHODS and "operationId" in operation
        }
    except OSError as error:
        raise ActionsInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ActionsInvalid(f"{path}: is no OpenAPI description: {error!r}") from error


def _operation(
    described: Mapping[str, Any],
    method: str,
    template: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
) -> Operation:
    properties: dict[str, Any] = {}
    places: dict[str, str] = {}
    required: list[str] = []
    for raw in (*item.get("parameters", ()), *operation.get("parameters", ())):
        parameter = _resolved(described, raw)
        if parameter["in"] in ("path", "query"):
            properties[parameter["name"]] = _resolved(described, parameter.get("schema", {}))
            places[parameter["name"]] = parameter["in"]
            if parameter.get("required"):
                required.append(parameter["name"])
    if "requestBody" in operation:
        body = _resolved(described, operation["requestBody"])
        schema = _resolved(described, body["content"]["application/json"]["schema"])
        for name, each in schema.get("properties", {}).items():
            properties[name] = _resolved(described, each)
            places[name] = "body"
        required += schema.get("required", [])
    whole = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    about = operation.get("summary") or operation.get("description", "")
    return Operation(method.upper(), template, Tool(operation["operationId"], about, whole), places)


def _resolved(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """``schema`` with a reference into the same file followed."""
    for _ in range(10):
        if "$ref" not in schema:
            return schema
        found: Any = described
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    raise KeyError("a reference that never ends")
