"""What a company speaks of: the words and the passages of its documents.

A request full of other words is hardly meant for it; one that is near to a passage is, whatever its
words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from voice_agent.knowledge.embedder import DIMENSIONS, Vectors
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.terms import terms_of
from voice_agent.knowledge.versions import VersionStore

log = structlog.get_logger(__name__)

MOST_STRANGE = 2
"""More strange words say no more: one may be a name, two are another subject."""
MOST_PASSAGES = 20_000
"""Compared with each request, about 0.1 ms a thousand; of further ones only words are known."""


@dataclass(frozen=True, slots=True)
class _Known:
    version: str
    words: frozenset[str]
    passages: Vectors


_NOTHING = _Known("", frozenset(), np.zeros((0, DIMENSIONS), dtype=np.float32))


class SpokenOf:
    """What the documents that answer now speak of, and the examples of what is in scope."""

    def __init__(self, examples: Iterable[str], index: Path | None, embedder: str) -> None:
        """``index`` is the folder of the built index; absent, or not built: no word is strange and
        no passage near. ``embedder`` is the identity of the embedding model."""
        self._examples = frozenset(term for text in examples for term in terms_of(text))
        self._versions = VersionStore(index) if index else None
        self._embedder = embedder
        self._known = _NOTHING

    def refresh(self) -> bool:
        """Read the version that answers now, if it is another; whether it is.

        Blocking, about 0.1 ms a passage. Never raises: what was read before stays.
        """
        if self._versions is None:
            return False
        try:
            name = self._versions.current_or_none()
            if name is None or name == self._known.version:
                return False
            version = self._versions.read(name)
            words = {
                term for passage in version.passages for term in terms_of(passage.embedded_text)
            }
            rows = MOST_PASSAGES if version.embedder == self._embedder else 0
            vectors = np.array(version.vectors[:rows], dtype=np.float32)
        except (KnowledgeError, OSError) as error:
            log.warning("documents_not_read", reason=str(error))
            return False
        self._known = _Known(name, self._examples | words, vectors)
        return True

    def strange(self, text: str) -> int:
        """How many different words of a text are strange, at most ``MOST_STRANGE``."""
        known = self._known.words
        return min(MOST_STRANGE, len(set(terms_of(text)) - known)) if known else 0

    def nearness(self, vectors: Vectors) -> Vectors:
        """The cosine of each text's embedding to its nearest passage; -1 where there is none."""
        passages = self._known.passages
        if not len(passages):
            return np.full(len(vectors), -1.0, dtype=np.float32)
        return np.asarray((vectors @ passages.T).max(axis=1))
