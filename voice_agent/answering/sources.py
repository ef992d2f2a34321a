"""Which passage stands behind a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from voice_agent.knowledge.index import Passage

_WORD = re.compile(r"[a-z]{4,}|\$?\d[\d.,]*", re.IGNORECASE)
_STEM = 6
"""Words count as equal when their first letters are: deliver, delivery, delivered."""


def sources_of(sentence: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """The id of the passage that shares most words and numbers with ``sentence``, if any does."""
    said = _stems(sentence)
    best = max(passages, key=lambda passage: len(said & _stems(_full(passage))), default=None)
    if best is None or not said & _stems(_full(best)):
        return ()
    return (best.passage_id,)


def _full(passage: Passage) -> str:
    return f"{passage.title} {passage.heading} {passage.text}"


def _stems(text: str) -> set[str]:
    return {word.lower().rstrip(".,")[:_STEM] for word in _WORD.findall(text)}
