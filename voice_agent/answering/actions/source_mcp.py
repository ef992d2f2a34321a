"""Tools of an MCP server, over HTTP or started as a process of our own.

The server's own descriptions and annotations are not believed: what may be called, and how, is
declared in ``configs/actions.yaml``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import structlog
from mcp import Client, MCPError, StdioServerParameters

from voice_agent.answering.actions.errors import ToolRefused, ToolUnavailable, ToolUncertain
from voice_agent.answering.actions.results import refusal_in
from voice_agent.answering.actions.tools import Call, Tool

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 3.0


class McpSource:
    """One server; connected on the first use, and anew after it was lost.

    ``server`` is an address, the command of a local server, or (in tests) a server itself.
    """

    def __init__(self, server: Any, token: str = "") -> None:
        if isinstance(server, tuple):
            server = StdioServerParameters(command=server[0], args=list(server[1:]))
        self._server = server
        self._token = token
        self._client: Client | None = None
        self._holding: asyncio.Task[None] | None = None
        self._let_go = asyncio.Event()
        self._connecting = asyncio.Lock()

    async def tools(self) -> Sequence[Tool]:
        """What the server offers."""
        client = await self._connected()
        try:
            listed = await client.list_tools()
        except Exception as error:
            await self.close()
            raise ToolUnavailable(f"the MCP server lists no tools: {error!r}") from error
        return [Tool(tool.name, tool.description or "", tool.input_schema) for tool in listed.tools]

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """See :class:`tools.Source`. Key and customer travel in the request's ``_meta``."""
        client = await self._connected()
        meta: Any = {
            name: value
            for name, value in (("idempotencyKey", call.key), ("customer", call.caller))
            if value
        }
        try:
            result = await client.call_tool(
                tool,
                dict(call.arguments),
                read_timeout_seconds=call.timeout_s,
                meta=meta or None,
            )
        except MCPError as error:
            raise ToolUncertain(f"the MCP server answered {error}") from error
        except Exception as error:
            await self.close()
            raise ToolUncertain(f"the MCP server was lost: {error!r}") from error
        data = result.structured_content or _json_in(result.content)
        if result.is_error:
            raise ToolRefused(refusal_in(data) or "tool_error")
        if not isinstance(data, Mapping):
            raise ToolUncertain("the MCP server answered with no object")
        return data

    async def close(self) -> None:
        """Leave the server."""
        holding, self._holding, self._client = self._holding, None, None
        if holding is not None:
            self._let_go.set()
            await asyncio.wait({holding}, timeout=CONNECT_TIMEOUT_S)
            holding.cancel()

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is not None and self._holding and not self._holding.done():
                return self._client
            await self.close()
            self._let_go = asyncio.Event()
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._holding = asyncio.create_task(self._hold(ready, self._let_go))
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    self._client = await asyncio.shield(ready)
            except Exception as error:
                await self.close()
                raise ToolUnavailable(f"the MCP server is not there: {error!r}") from error
            return self._client

    async def _hold(self, ready: asyncio.Future[Client], let_go: asyncio.Event) -> None:
        """Keep the connection in one task, as the library wants it."""
        try:
            async with Client(self._transport()) as client:
                if not ready.done():
                    ready.set_result(client)
                await let_go.wait()
        except Exception as error:  # whatever the library's transports raise
            if ready.done():
                log.warning("mcp_connection_lost", reason=repr(error))
            else:
                ready.set_exception(error)

    def _transport(self) -> Any:
        if isinstance(self._server, str) and self._token:
            from mcp.client.streamable_http import streamable_http_client

            headers = {"Authorization": f"Bearer {self._token}"}
            return streamable_http_client(
                self._server, http_client=httpx2.AsyncClient(headers=headers)
            )
        return self._server


def _json_in(content: Sequence[Any]) -> Any:
    texts = [part.text for part in content if getattr(part, "type", "") == "text"]
    try:
        return json.loads(texts[0]) if len(texts) == 1 else None
    except ValueError:
        return None
