"""Which version answers, and older ones for as long as calls that began with them go on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from voice_agent.knowledge.errors import IndexUnusable, KnowledgeError
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A version and where it is searched."""

    version: str
    store: PassageStore


class ServedVersions:
    """The newest version, and those that are held. Any thread may ask."""

    def __init__(
        self,
        versions: VersionStore,
        server: PassageStore | None,
        embedder: str,
        close_later: Callable[[PassageStore], None],
    ) -> None:
        """Load the current version.

        Args:
            versions: those on this machine's disk.
            server: holds them instead; it is never closed here.
            embedder: identity of the model that questions are embedded with.
            close_later: closes a store once no search uses it any more.

        Raises:
            IndexMissing, IndexUnusable, IndexUnreachable: there is none that can be used.
        """
        self._versions = versions
        self._server = server
        self._embedder = embedder
        self._close_later = close_later
        self._reloading = threading.Lock()
        self._refused = ""
        self._held: Counter[str] = Counter()  # versions that calls began with
        self._older: dict[str, Served] = {}  # those of them that are not the newest any more
        self._holding = threading.Lock()
        self.newest = self._load(self._current())

    def holding(self, version: str) -> Served:
        """A version that is held; the newest for any other name."""
        return self._older.get(version, self.newest)

    def hold(self) -> str:
        """Keep the newest version until it is let go as often as it was held."""
        with self._holding:
            version = self.newest.version
            self._held[version] += 1
        return version

    def let_go(self, version: str) -> None:
        """A call that held it is over."""
        with self._holding:
            self._held[version] -= 1
            old = None if self._held[version] else self._older.pop(version, None)
        if old is not None:
            self._close(old)

    def reload(self) -> bool:
        """Take a newly promoted version; whether there was one. Blocks, and never raises: one that
        cannot be loaded is logged once."""
        if not self._reloading.acquire(blocking=False):
            return False
        try:
            version = self._current()
            if version in (self.newest.version, self._refused):
                return False
            loaded = self._load(version)
            with self._holding:
                old, self.newest = self.newest, loaded
                self._older.pop(version, None)  # rolled back to
                held = self._held[old.version] > 0
                if held:
                    self._older[old.version] = old
            if not held:
                self._close(old)
            log.info("knowledge_reloaded", version=version, previous=old.version)
            return True
        except KnowledgeError as error:
            if not error.retryable:
                self._refused = self._peek()
            log.error("knowledge_not_reloaded", code=error.code, reason=str(error))
            return False
        finally:
            self._reloading.release()

    def close(self) -> None:
        """Free every version. No search may be under way."""
        for served in (self.newest, *self._older.values()):
            served.store.close()

    def _close(self, old: Served) -> None:
        if self._server is None:
            self._close_later(old.store)

    def _peek(self) -> str:
        try:
            return self._current()
        except KnowledgeError:
            return ""

    def _current(self) -> str:
        return self._versions.current() if self._server is None else self._server.current()

    def _load(self, name: str) -> Served:
        if self._server is not None:
            self._check_embedder(name, self._server.embedder_of(name))
            return Served(name, self._server)
        version = self._versions.read(name)
        self._check_embedder(name, version.embedder)
        store = PassageStore.embedded()
        store.fill(version)
        return Served(name, store)

    def _check_embedder(self, version: str, made_with: str) -> None:
        if made_with != self._embedder:
            raise IndexUnusable(
                f"knowledge version {version} was made with another embedding model; "
                "run `voice-agent knowledge build`"
            )
