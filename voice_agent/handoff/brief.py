"""What the person who takes over hears first: one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_QUOTE_CHARS = 140


def brief(history: Sequence[tuple[str, str]], request: str, reason: str) -> str:
    """One spoken sentence: why the caller rings and why they come to a person.

    ``history`` is (caller, agent heard), oldest first; ``request`` are the words that led here.
    """
    asked = [caller for caller, _ in history if len(caller.split()) > 2]
    why = {
        "asked": "asked for a person",
        "failed": "could not be helped because of a technical problem",
    }.get(reason, "needs a person")
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
