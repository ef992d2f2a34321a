"""Which approved answers callers can hear: those that the version that answers was built with."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.sources.settings import FolderSourceSettings


@dataclass(frozen=True, slots=True)
class Publication:
    """What answers now. ``version`` is empty where none was built, or none can be looked into."""

    version: str
    approved: frozenset[str]
    """The ids of approved answers in it, as ``grades.approved_id`` makes them."""


class Published:
    """Looks into the version that answers. Its calls block: use them from a thread.

    Args:
        verified: the file of approved answers.
    """

    def __init__(self, knowledge: KnowledgeSettings, verified: Path) -> None:
        self._knowledge = knowledge
        self._verified = verified
        self._lock = threading.Lock()
        self._known = Publication("", frozenset())

    @property
    def is_source(self) -> bool:
        """Whether a build reads approved answers at all."""
        folder = self._verified.resolve().parent
        return any(
            isinstance(source, FolderSourceSettings)
            and folder.is_relative_to(source.path.resolve())
            for source in self._knowledge.sources
        ) or folder.is_relative_to(self._knowledge.documents.resolve())

    def now(self) -> Publication:
        """What answers now; a version's documents are read once."""
        # knowledge brings numpy and tokenizers along, which nothing else here needs
        from voice_agent.knowledge.errors import KnowledgeError
        from voice_agent.knowledge.versions import VersionStore

        store = VersionStore(self._knowledge.index)
        with self._lock:
            try:
                version = store.current_or_none() or ""
                if version and version != self._known.version:
                    names = (each.id.rpartition(":")[2] for each in store.documents(version))
                    held = frozenset(name for name in names if name.startswith("approved-"))
                    self._known = Publication(version, held)
            except KnowledgeError:
                return Publication("", frozenset())
            return self._known if version else Publication("", frozenset())
