"""Repeating the retrieval of a recorded turn on the version that answered it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.errors import IndexMissing, IndexUnusable
from voice_agent.knowledge.evidence import digest
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.search import TextEmbedder, find
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore
from voice_agent.knowledge.wanted import Wanted

Outcome = Literal["identical", "different", "late", "not kept", "not recorded"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A turn's retrieval, then and now.

    `late` turns had nothing in time, so `passages` are what they would have had. A version that
    is `not kept` any more cannot be asked; a turn without a retrieval has nothing to repeat.
    """

    turn_id: str
    version: str
    query: str
    outcome: Outcome
    passages: tuple[Passage, ...] = ()
    recorded: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""


class Finder(Protocol):
    """Searches a version under the conditions of a record."""

    def find(self, version: str, conditions: Mapping[str, Any]) -> tuple[Passage, ...]:
        """The passages; raises IndexMissing or IndexUnusable when the version cannot be asked."""


def replay(turn: Mapping[str, Any], finder: Finder) -> Replayed:
    """Repeat a turn's retrieval.

    Args:
        turn: a turn from the records.
        finder: where to search.
    """
    turn_id, kept = str(turn.get("turn_id", "")), turn.get("retrieval") or {}
    if not kept.get("version"):
        return Replayed(turn_id, "", "", "not recorded", reason="nothing was looked up")
    version, query = str(kept["version"]), str(kept["query"])
    recorded = tuple(kept["passages"])
    try:
        found = finder.find(version, kept)
    except (IndexMissing, IndexUnusable) as error:
        return Replayed(turn_id, version, query, "not kept", recorded=recorded, reason=str(error))
    if kept.get("late"):
        return Replayed(turn_id, version, query, "late", found, recorded)
    same = digest(found) == kept["digest"]
    return Replayed(turn_id, version, query, "identical" if same else "different", found, recorded)


class VersionFinder:
    """Searches kept versions, one loaded at a time, the way calls do."""

    def __init__(
        self,
        settings: KnowledgeSettings,
        embedder: TextEmbedder,
        server: PassageStore | None = None,
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._server = server
        self._versions = VersionStore(settings.index)
        self._loaded = ""
        self._store: PassageStore | None = None

    def find(self, version: str, conditions: Mapping[str, Any]) -> tuple[Passage, ...]:
        """Search a version; see `Finder`."""
        wanted = Wanted(
            question=str(conditions["query"]),
            context=tuple(map(str, conditions.get("context") or ())),
            day=str(conditions.get("day") or ""),
            language=str(conditions.get("language") or ""),
            least=float(conditions["minimum_score"]),
        )
        if not any(character.isalnum() for character in wanted.question):
            return ()
        store = self._load(version)
        return find(store, version, self._embedder, wanted, int(conditions["limit"])).passages

    def _load(self, version: str) -> PassageStore:
        if self._store is None or self._loaded != version:
            kept = self._versions.read(version)
            if kept.embedder != self._embedder.identity:
                raise IndexUnusable(
                    f"knowledge version {version} was made with another embedding model"
                )
            self.close()
            self._store = self._server or PassageStore.embedded()
            self._store.fill(kept)
            self._loaded = version
        return self._store

    def close(self) -> None:
        """Free what is loaded."""
        if self._store is not None and self._store is not self._server:
            self._store.close()
        self._store, self._loaded = None, ""
