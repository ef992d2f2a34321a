"""The story that travels with a caller: as data for a screen, and one sentence to hear. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from voice_agent.handoff.reasons import KNOWN, Reasons, default_reasons

MAX_QUOTE_CHARS = 140
LAST_TURNS = 6
REASONS = frozenset(KNOWN)
_WORDS_ASK_ONLY = frozenset({"asked", "failed", "not_understood", "language", "supervisor"})
"""Reasons where the words that led here say nothing of the matter."""

Mood: TypeAlias = Literal["calm", "annoyed", "upset", "vulnerable"]


@dataclass(frozen=True, slots=True)
class Brief:
    """What a person who takes over sees. ``spoken`` is what they hear before the bridge."""

    caller: str
    """Where they ring from; personal data."""
    who: str
    """Who they are, once that was shown; empty before."""
    verified: bool
    reason: str
    wants: str
    tried: tuple[str, ...]
    promised: tuple[str, ...]
    mood: Mood
    turns: tuple[tuple[str, str], ...]
    """The last ones, as (caller, agent heard), oldest first."""
    next_step: str
    spoken: str

    def as_data(self) -> dict[str, Any]:
        """For a record, and for JSON."""
        return asdict(self)


def wish(history: Sequence[tuple[str, str]], request: str, reason: str) -> str:
    """What the caller wants, in their own words; empty when they have not said."""
    if reason not in _WORDS_ASK_ONLY and request.split():
        return request
    asked = [caller for caller, _ in history if len(caller.split()) > 2]
    if asked:
        return asked[-1]
    return request if len(request.split()) > 6 else ""


def brief(
    history: Sequence[tuple[str, str]],
    request: str,
    reason: str,
    reasons: Reasons | None = None,
    *,
    verified: bool = False,
    known: str = "",
) -> str:
    """One spoken sentence or two: why the caller rings and why they come to a person.

    ``history`` is (caller, agent heard), oldest first; ``request`` are the words that led here;
    ``known`` says more than they do, such as what an action got to.
    """
    why = (reasons or default_reasons()).of(reason).why
    who = "a verified caller" if verified else "a caller"
    begin = f"Hello, {who} for you. "
    if known:
        return begin + known
    begin += f"They {why}"
    wants = wish(history, request, reason)
    if not wants:
        return f"{begin}, and have not said yet what it is about."
    before = reason in _WORDS_ASK_ONLY and wants != request
    return f"{begin}. {'Before that they' if before else 'They'} said: {_quote(wants)}"


def _quote(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > MAX_QUOTE_CHARS:
        words = words[:MAX_QUOTE_CHARS].rsplit(" ", 1)[0]
    return words if words.endswith((".", "?", "!")) else f"{words}."
