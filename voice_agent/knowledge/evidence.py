"""What a turn's record keeps of its retrieval, so that it can be repeated and compared. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.search import Retrieval

_NOT_CONDITIONS = ("passages", "took_ms")


def evidence(retrieval: Retrieval) -> dict[str, Any]:
    """A retrieval as JSON values.

    Returns:
        Every condition of the search (``version``, ``query`` as embedded, filters, ``late``), the
        ``passages`` in order with their scores, and ``digest``, the SHA-256 of all of their text.
    """
    kept = {
        each.name: getattr(retrieval, each.name)
        for each in fields(retrieval)
        if each.name not in _NOT_CONDITIONS
    }
    return {
        **kept,
        "passages": [
            {"passage_id": p.passage_id, "document_id": p.document_id, "score": float(p.score)}
            for p in retrieval.passages
        ],
        "digest": digest(retrieval.passages),
    }


def as_lines(passages: Sequence[Passage]) -> bytes:
    """Passages with their scores, one line of JSON each: the same bytes for the same passages."""
    lines = (json.dumps(asdict(passage), ensure_ascii=False) + "\n" for passage in passages)
    return "".join(lines).encode("utf-8", "replace")


def digest(passages: Sequence[Passage]) -> str:
    """The SHA-256 of passages, with scores, in order."""
    return hashlib.sha256(as_lines(passages)).hexdigest()
