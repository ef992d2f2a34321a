"""What can go wrong with a language model's server, and how each engine says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


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
