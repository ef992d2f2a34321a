"""What the person who takes over hears first: one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_QUOTE_CHARS = 140
_WHY = {
    "asked": "asked for a person",
    "failed": "could not be helped because of a technical problem",
    "upset": "are upset",
    "vulnerable": "may be in a difficult situation, so please take care",
    "legal": "raised a legal matter",
    "medical": "raised a matter of health or an injury",
    "policy": "want something that only a person may decide",
}
REASONS = frozenset(_WHY)
"""The reasons that are said in words of their own."""


def brief(history: Sequence[tuple[str, str]], request: str, reason: str) -> str:
    """One spoken sentence: why the caller rings and why they come to a person.

    ``history`` is (caller, agent heard), oldest first; ``request`` are the words that led here,
    which say the most themselves unless they only ask for a person.
    """
    asked = [caller for caller, _ in history if len(caller.split()) > 2]
    why = _WHY.get(reason, "need a person")
    if reason not in ("asked", "failed") and request.split():
        return f"Hello, a caller for you. They {why}. They said: {_quote(request)}"
    if asked:
        return f"Hello, a caller for you. They {why}. Before that they said: {_quote(asked[-1])}"
    if len(request.split()) > 6:
        return f"Hello, a caller for you. They {why}. They said: {_quote(request)}"
    return f"Hello, a caller for you. They {why}, and have not said yet what it is about."


def _quote(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > MAX_QUOTE_CHARS:
        words = words[:MAX_QUOTE_CHARS].rsplit(" ", 1)[0]
    return words if words.endswith((".", "?", "!")) else f"{words}."
