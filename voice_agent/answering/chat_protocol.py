"""The OpenAI chat protocol as llama.cpp and vLLM speak it: bodies out, events in. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from voice_agent.config import LanguageModelSettings

Engine: TypeAlias = Literal["llama.cpp", "vllm"]
Message: TypeAlias = Mapping[str, Any]


class LanguageModelError(Exception):
    """The answer could not be had. ``detail`` is the server's own words, which may repeat the
    caller's: log it as personal data only."""

    code = "language_model_failed"
    retryable = False

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail[:300]


class Unreachable(LanguageModelError):
    """No server there, or one that is still loading its model."""

    code = "language_model_unreachable"
    retryable = True


class Overloaded(LanguageModelError):
    """The server has more to do than it takes on."""

    code = "language_model_overloaded"
    retryable = True


class TimedOut(LanguageModelError):
    """No token in time."""

    code = "language_model_timed_out"
    retryable = True


class EngineFailed(LanguageModelError):
    """The server broke before the first token."""

    code = "language_model_engine_failed"
    retryable = True


class Interrupted(LanguageModelError):
    """The stream ended in the middle of an answer; what was yielded before it stands."""

    code = "language_model_interrupted"
    retryable = True


class Garbled(LanguageModelError):
    """The server sent what is not the protocol."""

    code = "language_model_garbled"


class Refused(LanguageModelError):
    """The server will not take this request, now or later."""

    code = "language_model_refused"


class Unauthorised(Refused):
    """The key is missing or wrong."""

    code = "language_model_unauthorised"


class UnknownModel(Refused):
    """The server has no model of that name."""

    code = "language_model_unknown_model"


class ContextTooLong(Refused):
    """The conversation does not fit the model's context."""

    code = "context_too_long"


@dataclass(slots=True, frozen=True)
class Token:
    """The next piece of text, never empty, whole characters only."""

    text: str


@dataclass(slots=True, frozen=True)
class ToolCall:
    """A function the model wants called, with all its arguments."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(slots=True, frozen=True)
class Finished:
    """The end of an answer.

    ``reason`` is ``stop``, ``length`` or ``tool_calls``. Counts are ``None`` where the server
    does not report them; ``cached_tokens`` are prompt tokens that were not read again.
    """

    reason: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


Item: TypeAlias = Token | ToolCall | Finished


def request_body(
    settings: LanguageModelSettings,
    messages: Sequence[Message],
    *,
    max_tokens: int | None = None,
    priority: int = 0,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | None = None,
    response_format: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON body of one streamed chat completion in the dialect of ``settings.engine``.

    ``tool_choice`` is ``auto``, ``none``, ``required`` or the name of one of ``tools``.
    ``priority``: the lower number is served first (vLLM with ``--scheduling-policy priority``,
    which refuses any number but 0 under its default policy); llama.cpp has no such notion.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [dict(message) for message in messages],
        "max_tokens": settings.max_tokens if max_tokens is None else max_tokens,
        "temperature": settings.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if response_format is not None:
        body["response_format"] = dict(response_format)
    if tools:
        body["tools"] = [dict(tool) for tool in tools]
        if tool_choice is not None:
            body["tool_choice"] = tool_choice
    if settings.engine == "llama.cpp":
        body["cache_prompt"] = True
    elif priority:
        body["priority"] = priority
    if tools and tool_choice not in {None, "auto", "none", "required"}:
        if settings.engine == "llama.cpp":  # knows no named choice: offer that one tool only
            body["tools"] = [t for t in body["tools"] if t["function"]["name"] == tool_choice]
            body["tool_choice"] = "required"
        else:
            body["tool_choice"] = {"type": "function", "function": {"name": tool_choice}}
    return body


def refusal(status: int, body: bytes | Mapping[str, Any]) -> LanguageModelError:
    """The error that an HTTP status, or an error event inside a stream, stands for.

    ``body`` is the answer's body, or the event's ``error`` object.
    """
    error = _error_object(body)
    kind = str(error.get("type") or "")
    detail = str(error.get("message") or "")
    said = f"the language model server answered {status}" + (f" ({kind})" if kind else "")
    too_long = kind == "exceed_context_size_error" or (
        "context length" in detail or "maximum model length" in detail
    )
    if status in {400, 413, 422} and too_long:
        return ContextTooLong("the conversation does not fit the model's context", detail)
    if status in {401, 403}:
        return Unauthorised(f"{said}: the key is missing or wrong", detail)
    if status == 404:
        return UnknownModel(f"{said}: no such model, or not an OpenAI server", detail)
    if status in {408, 504}:
        return TimedOut(said, detail)
    if status == 502 or kind == "unavailable_error":  # llama.cpp: 503 while it loads
        return Unreachable(f"{said}: not ready", detail)
    if status in {429, 503}:
        return Overloaded(said, detail)
    if status >= 500:
        return EngineFailed(said, detail)
    if status >= 400:
        return Refused(said, detail)
    return Garbled(said, detail)


def _error_object(body: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(body, bytes):
        return body
    try:
        parsed = json.loads(body)
    except ValueError:
        return {"message": body.decode("utf-8", "replace")}
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    return error if isinstance(error, dict) else {"message": str(error)}


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class AnswerReader:
    """Turns the lines of one server-sent stream into items; :attr:`finished` at its end.

    Server-sent events are one ``data:`` line each here (WHATWG HTML, section 9.2, allows more;
    no engine sends more). Text that a reasoning model thinks but does not say is left out.
    """

    progressed: bool = False
    """Whether the last line brought the answer further (text, thought or part of a call)."""
    started: bool = False
    """Whether the answer has begun, so that an error now is an interruption."""
    done: bool = False
    _reason: str | None = None
    _usage: Mapping[str, Any] = field(default_factory=dict)
    _calls: dict[int, _PartialCall] = field(default_factory=dict)

    def feed(self, line: bytes) -> list[Token]:
        """The text in one line of the stream.

        Raises:
            LanguageModelError: the line reports an error, or is not the protocol.
        """
        self.progressed = False
        name, _, value = line.strip().partition(b":")
        if name not in {b"data", b"error"}:  # blank, comment, id, event, retry …
            if name in {b"", b"id", b"event", b"retry"}:
                return []
            raise Garbled("the language model server sent a line that is no event")
        if value.strip() == b"[DONE]":
            self.done = True
            return []
        try:
            event = json.loads(value)
        except ValueError as error:
            raise Garbled("the language model server sent an event that is not JSON") from error
        if not isinstance(event, dict):
            raise Garbled("the language model server sent an event that is no object")
        if name == b"error" or event.get("error"):
            raise self._failure(event.get("error", event))
        try:
            return self._read(event)
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            raise Garbled("the language model server sent an event of another shape") from error

    def finish(self) -> list[ToolCall | Finished]:
        """What the whole answer ends with, once the stream has ended.

        Raises:
            Interrupted: the stream ended before the answer did.
            Garbled: a tool's arguments are not a JSON object.
        """
        if self._reason is None:
            raise Interrupted("the language model's stream ended in the middle of an answer")
        items: list[ToolCall | Finished] = [
            ToolCall(call.id or f"call-{index}", call.name, _arguments(call.arguments))
            for index, call in sorted(self._calls.items())
        ]
        details = self._usage.get("prompt_tokens_details") or {}
        reason = "tool_calls" if items and self._reason == "stop" else self._reason
        counts = (
            _count(self._usage.get("prompt_tokens")),
            _count(details.get("cached_tokens")) if isinstance(details, dict) else None,
            _count(self._usage.get("completion_tokens")),
        )
        return [*items, Finished(reason, *counts)]

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, even if the stream's last words are missing."""
        return self._reason is not None

    def _failure(self, error: Any) -> LanguageModelError:
        fields = error if isinstance(error, dict) else {"message": str(error)}
        status = fields.get("code")
        failure = refusal(status if isinstance(status, int) else 500, fields)
        if self.started:
            return Interrupted(f"in the middle of an answer, {failure}", failure.detail)
        return failure

    def _read(self, event: dict[str, Any]) -> list[Token]:
        self._usage = event.get("usage") or self._usage
        choices = event["choices"]
        if not choices:  # the event that only brings the token counts
            return []
        choice = choices[0]
        delta = choice.get("delta") or {}
        text = delta.get("content") or ""
        if not isinstance(text, str):
            raise TypeError
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        calls = delta.get("tool_calls") or []
        for part in calls:
            call = self._calls.setdefault(int(part.get("index") or 0), _PartialCall())
            function = part.get("function") or {}
            call.id = call.id or part.get("id") or ""
            call.name += function.get("name") or ""
            call.arguments += function.get("arguments") or ""
        self._reason = choice.get("finish_reason") or self._reason
        self.progressed = bool(text or thought or calls or self._reason)
        self.started = self.started or bool(text or calls)
        return [Token(text)] if text else []


def _arguments(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text or "{}")
    except ValueError as error:
        raise Garbled("the language model wrote tool arguments that are not JSON") from error
    if not isinstance(parsed, dict):
        raise Garbled("the language model wrote tool arguments that are no object")
    return parsed


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
