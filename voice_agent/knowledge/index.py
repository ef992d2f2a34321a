"""Finding passages during a call: off the event loop, within a deadline, always the newest index.

One thread embeds and searches, in turn, for every call of the process; both take a few
milliseconds, and Qdrant's local mode is not made for more than one thread.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import structlog

from voice_agent import models
from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.embedder import Embedder
from voice_agent.knowledge.errors import EmbedderUnusable
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.search import Found, Retrieval, TextEmbedder, clean_query, find
from voice_agent.knowledge.served import ServedVersions
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore
from voice_agent.knowledge.wanted import Wanted

log = structlog.get_logger(__name__)

MAX_WAITING = 16  # searches; one more is answered late at once instead of making all late


class _Asked:
    """A search under way: what it wants, and what it has so far."""

    def __init__(self, version: str, wanted: Wanted, limit: int) -> None:
        self.version = version  # that a call holds; any other means the newest
        self.wanted = wanted
        self.limit = limit
        self.so_far = Found((), wanted.question)


class Knowledge:
    """The company's documents, searchable. Made by `open`; shared by all calls of a process."""

    def __init__(
        self, settings: KnowledgeSettings, embedder: TextEmbedder, server: PassageStore | None
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._server = server
        self._served = ServedVersions(
            VersionStore(settings.index), server, embedder.identity, self._close_later
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="knowledge")
        self._waiting = 0

    @classmethod
    def open(
        cls,
        settings: KnowledgeSettings,
        models_folder: Path,
        embedder: TextEmbedder | None = None,
    ) -> Knowledge:
        """Load the embedding model, unless it is given, and the current index (blocking, under a
        second).

        Raises:
            EmbedderUnusable, IndexMissing, IndexUnusable, IndexUnreachable: one line that says
                what to do.
        """
        embedder = embedder or load_embedder(settings, models_folder)
        server = PassageStore.at_server(settings.server_url) if settings.server_url else None
        knowledge = cls(settings, embedder, server)
        knowledge._find(knowledge._asked("", "warm up", None, None, ""))
        return knowledge

    @property
    def version(self) -> str:
        """The index version that answers now."""
        return self._served.newest.version

    def for_call(self) -> PinnedKnowledge:
        """The version that answers now, for as long as the result is referred to."""
        version = self._served.hold()
        pinned = PinnedKnowledge(self, version)
        weakref.finalize(pinned, self._served.let_go, version).atexit = False
        return pinned

    def _close_later(self, store: PassageStore) -> None:
        """Behind the searches that still use it."""
        with suppress(RuntimeError):  # all of it is being closed
            self._executor.submit(store.close)

    async def search(
        self,
        query: Query | str,
        limit: int | None = None,
        *,
        day: str | None = None,
        language: str = "",
        version: str = "",
    ) -> Retrieval:
        """Find the passages for a query; any text is a valid query.

        Args:
            query: what to look for (see `knowledge.query.make_query`).
            limit: most passages to return; the configured number when absent.
            day: passages must be valid on it (ISO date); today when absent, "" for any.
            language: passages must be in it (ISO 639-1) or of no known one; "" for any.
            version: one that a call holds (see `for_call`); the newest when absent or let go.

        Returns:
            Passages at least as near as the configured minimum, best first. When the deadline
            passes: what the words alone have found by then, and `late`.

        Raises:
            KnowledgeError: the index cannot be searched (server gone, model broken).
        """
        started = time.perf_counter()
        served = self._served.holding(version)
        asked = self._asked(version, query, limit, day, language)
        wanted = asked.wanted

        def retrieved(found: Found, version: str, late: bool = False) -> Retrieval:
            return Retrieval(
                passages=found.passages,
                query=found.question,
                took_ms=_ms_since(started),
                version=version,
                late=late,
                context=wanted.context,
                day=wanted.day,
                language=wanted.language,
                limit=asked.limit,
                minimum_score=wanted.least,
            )

        if not any(character.isalnum() for character in wanted.question):
            return retrieved(asked.so_far, served.version)
        if self._waiting >= MAX_WAITING:
            log.warning("retrieval_refused", waiting=self._waiting)
            return retrieved(asked.so_far, served.version, late=True)
        self._waiting += 1
        work = self._executor.submit(self._find, asked)
        finding: asyncio.Future[tuple[Found, str]] = asyncio.wrap_future(work)
        finding.add_done_callback(self._one_less)
        try:
            async with asyncio.timeout(self._settings.deadline_ms / 1000):
                found, version = await asyncio.shield(finding)
        except TimeoutError:
            log.warning("retrieval_late", version=served.version, waiting=self._waiting)
            return retrieved(asked.so_far, served.version, late=True)
        finally:
            work.cancel()  # nobody waits for it any more; has no effect once it has begun
        return retrieved(found, version)

    def _asked(
        self,
        version: str,
        query: Query | str,
        limit: int | None,
        day: str | None,
        language: str,
    ) -> _Asked:
        asked = Query(query) if isinstance(query, str) else query
        wanted = Wanted(
            question=clean_query(asked.text),
            context=tuple(clean_query(said) for said in asked.context),
            day=date.today().isoformat() if day is None else day,
            language=language,
            least=self._settings.minimum_score,
            shorter=tuple(clean_query(reading) for reading in asked.shorter),
        )
        return _Asked(version, wanted, limit or self._settings.passages)

    def _one_less(self, finding: asyncio.Future[tuple[Found, str]]) -> None:
        self._waiting -= 1
        if not finding.cancelled():
            finding.exception()  # taken here, because nobody waits for a late one any more

    def _find(self, asked: _Asked) -> tuple[Found, str]:
        # taken here, where a version is closed as well: never one that is closed already
        served = self._served.holding(asked.version)
        store, version, wanted = served.store, served.version, asked.wanted

        def by_words() -> None:
            if self._server is None:  # the words are here; a server would be asked twice
                words = store.find(version, wanted, None, asked.limit)
                asked.so_far = Found(tuple(words), wanted.question)

        return find(store, version, self._embedder, wanted, asked.limit, by_words), version

    async def reload_if_changed(self) -> bool:
        """Serve a newly promoted version from the next search on; cheap when nothing changed.

        Never raises: a version that cannot be loaded is logged once and the old one goes on
        answering.

        Returns:
            Whether another version is served now.
        """
        return await asyncio.to_thread(self._served.reload)

    def close(self) -> None:
        """Stop the thread and free the index."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._served.close()


class PinnedKnowledge:
    """One version, for a call that began with it."""

    def __init__(self, knowledge: Knowledge, version: str) -> None:
        self._knowledge = knowledge
        self.version = version

    async def search(self, query: Query | str, limit: int | None = None) -> Retrieval:
        """As `Knowledge.search`, on this version whatever is promoted meanwhile."""
        return await self._knowledge.search(query, limit, version=self.version)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def load_embedder(settings: KnowledgeSettings, models_folder: Path) -> Embedder:
    """The configured embedding model.

    Raises:
        EmbedderUnusable: it is not there or does not load.
    """
    try:
        folder = models.locate(models_folder, settings.embedder)
    except models.ModelsError as error:
        raise EmbedderUnusable(str(error)) from error
    return Embedder.load(folder)
