"""Streams answers from a server that speaks the OpenAI chat protocol: llama.cpp or vLLM.

aiohttp rather than the OpenAI library, for what a live call needs of it: closing a response is
one synchronous call, so an interrupted answer leaves the server at once even while its task is
being cancelled; and bytes that are not the protocol (an HTML page, half an event) are noticed
here instead of being read as an empty answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import aiohttp
import structlog
from aiohttp.http import HttpProcessingError

from voice_agent.answering.chat_protocol import (
    AnswerReader,
    Finished,
    Item,
    Message,
    Token,
    ToolCall,
    call_is_written_as_text,
    request_body,
)
from voice_agent.answering.language_model_errors import (
    ContextTooLong,
    EngineFailed,
    Garbled,
    Interrupted,
    LanguageModelError,
    Overloaded,
    Refused,
    TimedOut,
    Unauthorised,
    UnknownModel,
    Unreachable,
    refusal,
)
from voice_agent.config import LanguageModelSettings, secret

__all__ = [
    "ContextTooLong",
    "EngineFailed",
    "Finished",
    "Garbled",
    "Interrupted",
    "Item",
    "LanguageModel",
    "LanguageModelError",
    "Message",
    "Overloaded",
    "Refused",
    "TimedOut",
    "Token",
    "ToolCall",
    "Unauthorised",
    "UnknownModel",
    "Unreachable",
]

CONNECT_TIMEOUT_S = 2.0
READY_TIMEOUT_S = 1.0
WARM_TIMEOUT_S = 60.0  # nobody waits for it, and a long prefix takes a CPU many seconds
ERROR_BODY_BYTES = 8192
EVENT_BYTES = 256 * 1024  # far beyond any real event; bounds what a broken server costs

log = structlog.get_logger(__name__)


class LanguageModel:
    """One server, shared by every call. Never retries: the session knows what a retry is worth."""

    def __init__(self, settings: LanguageModelSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._not_ready_because = ""
        self._live = 0
        """Answers being written for callers who wait."""
        self._reading_ahead: set[asyncio.Timeout] = set()

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        priority: int = 0,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | None = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Item, None]:
        """The answer to ``messages``: tokens as they are written, then whole tool calls, then
        exactly one :class:`Finished`.

        Close the generator (``contextlib.aclosing``) to stop: the connection drops at once and
        the server frees its slot. See :func:`chat_protocol.request_body` for the arguments.

        Raises:
            LanguageModelError: one of its subclasses; items yielded before it stand.
        """
        body = request_body(
            self._settings,
            messages,
            max_tokens=max_tokens,
            priority=priority,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
        )
        reader = AnswerReader(
            text_is_call=bool(tools) and call_is_written_as_text(self._settings.engine, tool_choice)
        )
        patience_s = self._settings.first_token_timeout_s
        live = priority == 0
        try:
            if live:
                self._live += 1
                self._stop_reading_ahead()
            async with aclosing(self._answer(body, reader, patience_s)) as items:
                async for item in items:
                    yield item
        finally:
            self._live -= live

    async def warm(self, messages: Sequence[Message]) -> None:
        """Let the server read ``messages`` into its prefix cache. Cancel freely.

        Reading ahead for one caller never delays another's answer: it is given up, or not begun,
        while one is being written.

        Raises:
            LanguageModelError: as :meth:`stream`.
        """
        if self._live:
            return
        body = request_body(self._settings, messages, max_tokens=1, priority=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as giving_way:
                self._reading_ahead.add(giving_way)
                try:
                    async with aclosing(
                        self._answer(body, AnswerReader(), WARM_TIMEOUT_S)
                    ) as items:
                        async for _ in items:
                            pass
                finally:
                    self._reading_ahead.discard(giving_way)

    def _stop_reading_ahead(self) -> None:
        for reading in self._reading_ahead:
            if not reading.expired():
                reading.reschedule(asyncio.get_running_loop().time())

    async def ready(self) -> bool:
        """Whether the server is up, has its model loaded and takes our key. Never raises."""
        because = ""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                # llama.cpp lists its model while still loading it: ask for its health as well.
                for url in (self._url.removesuffix("/v1") + "/health", self._url + "/models"):
                    async with self._open().get(url, allow_redirects=False) as response:
                        if response.status != 200:
                            because = f"{url} answered {response.status}"
                            break
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            because = f"{type(error).__name__}: {error}".rstrip(": ")
        if because and because != self._not_ready_because:
            log.warning("language_model_not_ready", url=self._url, because=because)
        self._not_ready_because = because
        return not because

    async def close(self) -> None:
        """Drop every connection. The object opens new ones when it is used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection each: llama.cpp closes idle ones, vLLM after five seconds, and a
            # request that meets such a close is lost. Setting one up costs well under 1 ms.
            headers = {"Connection": "close"}
            if key := secret(self._settings.api_key_env):
                headers["Authorization"] = f"Bearer {key}"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            )
        return self._session

    async def _answer(
        self, body: Mapping[str, Any], reader: AnswerReader, first_token_timeout_s: float
    ) -> AsyncGenerator[Item, None]:
        now = asyncio.get_running_loop().time
        deadline = now() + first_token_timeout_s
        response = await self._request(body, deadline)
        try:
            while not reader.done and (line := await self._line(response, reader, deadline)):
                for token in reader.feed(line):
                    yield token
                if reader.progressed:  # after the yields: the consumer's time is not the server's
                    deadline = now() + self._settings.token_timeout_s
            for item in reader.finish():
                yield item
        finally:
            response.close()

    async def _request(self, body: Mapping[str, Any], deadline: float) -> aiohttp.ClientResponse:
        """An open stream of events."""
        url = f"{self._url}/chat/completions"
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._open().post(url, json=body, allow_redirects=False)
                try:
                    if response.status == 200 and response.content_type == "text/event-stream":
                        return response
                    text = await response.content.read(ERROR_BODY_BYTES)
                except BaseException:
                    response.close()
                    raise
                response.close()
        except aiohttp.ClientResponseError as error:
            raise Garbled(f"{url} does not speak HTTP: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise TimedOut("the language model server did not answer in time") from error
            raise Unreachable(f"{url}: {error or type(error).__name__}") from error
        if response.status == 200:
            raise Garbled(f"{url} answered {response.content_type}, not a stream of events")
        raise refusal(response.status, text)

    @staticmethod
    async def _line(
        response: aiohttp.ClientResponse, reader: AnswerReader, deadline: float
    ) -> bytes:
        """The next whole line of the stream; empty at its end."""
        try:
            async with asyncio.timeout_at(deadline):
                line = await response.content.readline(max_line_length=EVENT_BYTES)
        except TimeoutError as error:
            when = "between two tokens" if reader.started else "before the first token"
            raise TimedOut(f"the language model was silent for too long {when}") from error
        except HttpProcessingError as error:
            raise Garbled("the language model server sent a line without end") from error
        except (aiohttp.ClientError, OSError) as error:
            if reader.ended:
                return b""
            raise Interrupted("the language model's connection broke in mid-answer") from error
        return line if line.endswith(b"\n") else b""  # half a line: the server died writing it
