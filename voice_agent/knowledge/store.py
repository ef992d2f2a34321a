"""Where the passages of versions are searched: in this process, or on a Qdrant server.

Both give the same passages for the same query: they differ in how the candidates are come by,
not in how they are ranked (see `ranking`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from pydantic import HttpUrl

from voice_agent.knowledge.errors import IndexMissing
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.rows import Rows
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.wanted import Wanted

Progress = Callable[[int, int], None]


class PassageStore(ABC):
    """Searches versions that it has been filled with. Blocking; used from one thread at a time."""

    @staticmethod
    def embedded() -> PassageStore:
        """In this process, from a version's files."""
        return EmbeddedStore()

    @staticmethod
    def at_server(url: str | HttpUrl) -> PassageStore:
        """A Qdrant server; nothing is sent yet."""
        from voice_agent.knowledge.server_store import ServerStore

        return ServerStore.at(str(url))

    @abstractmethod
    def fill(self, version: Version, progress: Progress | None = None) -> None:
        """Take in a version's passages; safe to repeat.

        Raises:
            IndexUnreachable: the server does not answer or refuses.
        """

    @abstractmethod
    def promote(self, version: str) -> None:
        """Let a filled version answer from now on, in one atomic step.

        Raises:
            IndexUnreachable: the server does not answer or refuses.
        """

    def drop(self, version: str) -> None:  # noqa: B027 - most stores keep nothing for long
        """Forget a version that does not answer; safe to repeat.

        Raises:
            IndexUnreachable: the server does not answer or refuses.
        """

    @abstractmethod
    def current(self) -> str:
        """The version that answers.

        Raises:
            IndexMissing: none has been promoted.
            IndexUnreachable: the server does not answer.
        """

    @abstractmethod
    def embedder_of(self, version: str) -> str:
        """Identity of the embedding model a version was made with; empty when unknown.

        Raises:
            IndexUnreachable: the server does not answer, or has lost the version.
        """

    @abstractmethod
    def find(
        self,
        version: str,
        wanted: Wanted,
        meaning: npt.NDArray[np.float32] | None,
        limit: int,
    ) -> list[Passage]:
        """The passages that a query is about, best first, none nearly said twice.

        Args:
            version: where to look.
            wanted: the question, what was said before, and what is left out.
            meaning: the question as embedded, ``(384,)`` or a row for each of its parts. Without
                it, passages with at least half of the question's words, as known so far.
            limit: most passages.

        Returns:
            Passages whose `score` is the cosine similarity to the question, which says how near
            each is; the order comes from `ranking.relevance`.

        Raises:
            IndexUnreachable: the server does not answer, or has lost the version.
        """

    def search(
        self, version: str, query: str, vector: npt.NDArray[np.float32] | None, limit: int
    ) -> list[Passage]:
        """`find` for a question that stands alone, on any day and in any language."""
        return self.find(version, Wanted(query), vector, limit)

    @abstractmethod
    def close(self) -> None:
        """Free the versions, or the connection."""


class EmbeddedStore(PassageStore):
    """Versions in this process; the last one promoted answers."""

    def __init__(self) -> None:
        self._rows: dict[str, Rows] = {}
        self._embedders: dict[str, str] = {}
        self._current = ""

    def fill(self, version: Version, progress: Progress | None = None) -> None:
        """Read a version's words and titles; its vectors stay on disk."""
        if version.version not in self._rows:
            self._rows[version.version] = Rows(version)
            self._embedders[version.version] = version.embedder
        if progress is not None:
            progress(len(version.passages), len(version.passages))

    def promote(self, version: str) -> None:
        """Let a version answer."""
        self._current = version

    def current(self) -> str:
        """The version promoted last."""
        if not self._current:
            raise IndexMissing("no knowledge version answers here")
        return self._current

    def embedder_of(self, version: str) -> str:
        """Identity of the embedding model of a version that is here."""
        return self._embedders.get(version, "")

    def find(
        self,
        version: str,
        wanted: Wanted,
        meaning: npt.NDArray[np.float32] | None,
        limit: int,
    ) -> list[Passage]:
        """The passages that a query is about (see `PassageStore.find`)."""
        rows = self._rows.get(version)
        if rows is None:
            raise IndexMissing(f"knowledge version {version} is not here")
        return rows.search(wanted, meaning, limit)

    def close(self) -> None:
        """Let go of every version."""
        self._rows.clear()
