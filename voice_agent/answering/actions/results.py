"""What a service answered, as data. Pure.

A result is never text for the model and never spoken as it is: only declared fields are, and only
when they are what they were declared to be. So a result can add neither words nor instructions.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from voice_agent.answering.actions.declaration import Result, ResultField
from voice_agent.answering.actions.errors import ToolRefused, ToolUncertain

_FAILED = frozenset({"error", "failed", "failure", "rejected", "denied"})
_NAME = re.compile(r"[^\W_][\w '&,./-]{0,39}")
_NAME_WORDS = 5
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,23}")
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|instructions?|prompt|system|password|tell|say|call|http|www)\b",
    re.IGNORECASE,
)


def refusal_in(data: Any) -> str:
    """The reason for which a service says no inside an answer that looks like a success, or
    nothing."""
    if not isinstance(data, Mapping):
        return ""
    for key in ("error", "errors", "fault"):
        if data.get(key):
            return _reason(data[key])
    if data.get("success") is False or data.get("ok") is False or data.get("isError") is True:
        return _reason(data.get("reason") or data.get("code") or "")
    status = data.get("status")
    if isinstance(status, str) and status.lower() in _FAILED:
        return _reason(data.get("reason") or data.get("code") or status)
    return ""


def _reason(error: Any) -> str:
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, Mapping):
        error = error.get("code") or error.get("reason") or error.get("type") or ""
    text = str(error)
    return text if re.fullmatch(r"[a-z0-9_.-]{1,40}", text, re.IGNORECASE) else "unnamed"


def check_result(result: Result, data: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Make sure that ``data`` says what was asked for was done.

    Raises:
        ToolRefused: it says that it was not.
        ToolUncertain: it does not say so, or speaks of something else.
    """
    if reason := refusal_in(data):
        raise ToolRefused(reason)
    for name, values in result.must.items():
        if str(data.get(name)) not in values:
            raise ToolUncertain(f"the answer's `{name}` does not say that it was done")
    for name, parameter in result.echo.items():
        if not _same(data.get(name), arguments.get(parameter)):
            raise ToolUncertain(f"the answer's `{name}` is not what was asked for")


def _same(one: Any, other: Any) -> bool:
    try:
        return abs(float(one) - float(other)) < 0.005
    except (TypeError, ValueError):
        return str(one).casefold() == str(other).casefold()


def told(result: Result, data: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """The result as the caller is told it; ``values`` are the parameters as told.

    Raises:
        ToolUncertain: a field that must be spoken is missing or not what it must be.
    """
    fields = {name: field_told(field, data.get(name)) for name, field in result.fields.items()}
    wanted = set(re.findall(r"\{(\w+)\}", result.say))
    unfit = [name for name in wanted if name in fields and fields[name] is None]
    if unfit:
        raise ToolUncertain(f"the answer's `{unfit[0]}` cannot be spoken")
    return result.say.format(**{**values, **fields})


def field_told(field: ResultField, value: Any) -> str | None:
    """A field as it is spoken; ``None`` when it is not what it was declared to be."""
    if value is None or value == "":
        return field.absent or None
    said = _told(field, value)
    return said if said is not None else (field.absent or None)


def _told(field: ResultField, value: Any) -> str | None:
    match field.kind:
        case "choice":
            return field.choices.get(str(value))
        case "flag":
            return field.choices.get(str(value).lower()) if isinstance(value, bool) else None
        case "money":
            amount = _number(value)
            return None if amount is None or amount < 0 else f"${amount:,.2f}"
        case "number":
            number = _number(value)
            return None if number is None else f"{number:g}"
        case "date":
            return _date(value)
        case "code":
            return str(value) if _CODE.fullmatch(str(value)) else None
        case "name":
            return name_told(value)


def name_told(value: Any) -> str | None:
    """A name of a thing or person; ``None`` for anything longer, or that speaks to somebody."""
    text = " ".join(str(value).split())
    fits = _NAME.fullmatch(text) and len(text.split()) <= _NAME_WORDS and not _ORDERS.search(text)
    return text if fits else None


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _date(value: Any) -> str | None:
    try:
        day = datetime.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None
    return f"{day:%B} {day.day}, {day.year}"
