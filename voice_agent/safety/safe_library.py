"""The company's documents as a call may see them: as data, without orders to the agent."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import structlog

from voice_agent.knowledge.query import Query
from voice_agent.knowledge.search import Retrieval
from voice_agent.records import metrics
from voice_agent.safety.planted import safe_passage

log = structlog.get_logger(__name__)


class Library(Protocol):
    """Where passages are found (see ``knowledge.index.Knowledge``)."""

    async def search(self, query: Query, limit: int | None = None) -> Retrieval:
        """Passages for a query, best first."""


class SafeLibrary:
    """Stands before the index; a passage of which nothing is left is not given at all."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def search(self, query: Query, limit: int | None = None) -> Retrieval:
        """Passages for a query, best first, without what was planted in them."""
        found = await self._library.search(query, limit)
        safe = tuple(safe_passage(passage) for passage in found.passages)
        if safe == found.passages:
            return found
        for before, after in zip(found.passages, safe, strict=True):
            if before is not after:
                metrics.guarded.labels(side="document", reason="orders").inc()
                log.warning("document_guarded", document_id=before.document_id)
        return replace(found, passages=tuple(passage for passage in safe if passage.text))
