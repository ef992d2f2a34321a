"""Passages for tests."""

from __future__ import annotations

from voice_agent.knowledge.passages import Passage


def passage(passage_id: str, text: str) -> Passage:
    """A passage with this text."""
    return Passage(
        passage_id=passage_id,
        document_id=f"doc-{passage_id}",
        title="",
        heading="",
        text=text,
        source="",
        score=0.9,
    )
