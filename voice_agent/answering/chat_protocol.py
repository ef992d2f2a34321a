"""The OpenAI chat protocol as llama.cpp and vLLM speak it: bodies out, events in. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from voice_agent.answering.language_model_errors import (
    Garbled,
    Interrupted,
    LanguageModelError,
    refusal,
)
from voice_agent.config import LanguageModelSettings

Engine: TypeAlias = Literal["llama.cpp", "vllm"]
Message: TypeAlias = Mapping[str, Any]


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


_TOOL_CHOICES = ("auto", "none", "required")

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
    ``priority``: the lower number is served first. vLLM wants ``--scheduling-policy priority`` for
    it and documents any number but 0 as an error without; llama.cpp has no such notion.
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
    if settings.engine == "llama.cpp":
        body["cache_prompt"] = True
        # Only a failed write tells the server that the caller has gone while it reads the prompt:
        # without progress to report it reads on to the end (2,800 tokens held a slot for 60 s).
        body["return_progress"] = True
    elif priority:
        body["priority"] = priority
    if tools:
        body["tools"] = [dict(tool) for tool in tools]
        if call_is_written_as_text(settings.engine, tool_choice):
            # The tools stay in the prompt, so that its cached beginning is the same either way.
            body["tool_choice"] = "none"
            body["response_format"] = _form_of_a_call(tools, tool_choice)
        elif tool_choice in _TOOL_CHOICES:
            body["tool_choice"] = tool_choice
        elif tool_choice is not None:
            body["tool_choice"] = {"type": "function", "function": {"name": tool_choice}}
    return body


def call_is_written_as_text(engine: Engine, tool_choice: str | None) -> bool:
    """Whether a call the model must make comes as JSON text.

    llama.cpp takes ``required`` but does not hold every model to it (Qwen2.5 wrote a call and
    then prose around it), and knows no named choice; a grammar does hold the model to it.
    """
    return engine == "llama.cpp" and tool_choice not in {None, "auto", "none"}


def _form_of_a_call(tools: Sequence[Mapping[str, Any]], tool_choice: str | None) -> dict[str, Any]:
    functions = [tool["function"] for tool in tools]
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": function["name"]},
                "arguments": function.get("parameters") or {"type": "object"},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for function in functions
        if tool_choice in {"required", function["name"]}
    ]
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": {"anyOf": calls}}}


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

    text_is_call: bool = False
    """Whether the text is the one call that was asked for (see call_is_written_as_text)."""
    progressed: bool = False
    """Whether the last line brought the answer further (text, thought or part of a call)."""
    started: bool = False
    """Whether the answer has begun, so that an error now is an interruption."""
    done: bool = False
    _reason: str | None = None
    _text: str = ""
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
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise Garbled("the language model server sent an event of another shape") from error

    def finish(self) -> list[ToolCall | Finished]:
        """What the whole answer ends with, once the stream has ended.

        Raises:
            Interrupted: the stream ended before the answer did.
            Garbled: a tool's arguments are not a JSON object.
        """
        if self._reason in {None, "abort", "error"}:  # the latter two: vLLM's, as it goes down
            raise Interrupted("the language model's stream ended in the middle of an answer")
        if self.text_is_call and not self._calls:
            call = _object(self._text)
            name, arguments = call.get("name"), call.get("arguments")
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise Garbled("the language model wrote a tool call of another shape")
            self._calls[0] = _PartialCall("", name, json.dumps(arguments))
        items: list[ToolCall | Finished] = [
            ToolCall(call.id or f"call-{index}", call.name, _object(call.arguments))
            for index, call in sorted(self._calls.items())
        ]
        details = self._usage.get("prompt_tokens_details") or {}
        reason = "tool_calls" if items and self._reason == "stop" else str(self._reason)
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
        if self.text_is_call:
            self._text += text
            return []
        return [Token(text)] if text else []


def _object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text or "{}")
    except ValueError as error:
        raise Garbled("the language model wrote a tool call that is not JSON") from error
    if not isinstance(parsed, dict):
        raise Garbled("the language model wrote tool arguments that are no object")
    return parsed


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
