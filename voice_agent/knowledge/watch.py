"""Looking for changed documents again and again, so that they are answered within a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.build import BuildOptions, BuildReport, build_index
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.parallel_embedder import ParallelEmbedder
from voice_agent.knowledge.pipeline import PassageEmbedder
from voice_agent.knowledge.question_set import QuestionSet, read_questions
from voice_agent.knowledge.sources import (
    FetchResult,
    Source,
    Unchanged,
    Validators,
    from_settings,
)
from voice_agent.knowledge.sources.folder import DOCUMENTS
from voice_agent.knowledge.store import PassageStore

_FAR_EVERY_S = 30.0
_EMBEDDING_THREADS = 1  # changes are small, and calls need the other cores


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: a report, or why it could not be done."""

    report: BuildReport | None = None
    error: KnowledgeError | None = None

    @property
    def news(self) -> str:
        """What is new about it in one line; empty when there is nothing to do."""
        if self.error is not None:
            return f"{self.error.code}: {self.error}"
        report = self.report
        if report is None or (report.reused and not report.fetched and not report.gone):
            return report.held_back if report else ""
        if report.held_back:
            return report.held_back
        return (
            f"version {report.version} answers: {report.fetched} fetched, {report.gone} gone, "
            f"{report.refused_count} refused"
        )


class Rested:
    """A source on another machine, which is left in peace for a while after each answer."""

    def __init__(
        self,
        source: Source,
        every_s: float = _FAR_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._every_s = every_s
        self._clock = clock
        self._next = float("-inf")

    @property
    def name(self) -> str:
        """The name of the source itself."""
        return self._source.name

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """What the source tells, or that nothing has changed."""
        if self._clock() < self._next:
            yield from (Unchanged(uri) for uri in known)
            return
        yield from self._source.fetch(known)
        self._next = self._clock() + self._every_s


class Watcher:
    """Looks, with everything loaded once."""

    def __init__(
        self,
        settings: KnowledgeSettings,
        embedder: PassageEmbedder,
        sources: Sequence[Source],
        server: PassageStore | None = None,
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._sources = sources
        self._server = server
        self._questions: QuestionSet | None = None

    def look(self) -> Look:
        """Build what has changed, and promote it if the gate lets it; never raises our errors."""
        try:
            if self._questions is None and self._settings.questions is not None:
                stored = read_questions(self._settings.questions)
                self._questions = QuestionSet(
                    stored, self._embedder, self._server, self._settings.minimum_score
                )
            report = build_index(
                self._settings,
                self._embedder,
                lambda *_: None,
                self._server,
                BuildOptions(why="a document changed", who="watcher", questions=self._questions),
                self._sources,
            )
        except KnowledgeError as error:
            return Look(error=error)
        return Look(report)


def watch(
    settings: KnowledgeSettings,
    models_folder: Path,
    every_s: float,
    tell: Callable[[Look], None],
    stop: threading.Event,
) -> None:
    """Look every so many seconds until told to stop; the same news is told once.

    Raises:
        EmbedderUnusable, SourceUnusable: it cannot begin.
    """
    server = PassageStore.at_server(settings.server_url) if settings.server_url else None
    near = {DOCUMENTS, *(each.name for each in settings.sources if each.kind == "folder")}
    sources = [
        source if source.name in near else Rested(source) for source in from_settings(settings)
    ]
    with ParallelEmbedder.load(settings, models_folder, _EMBEDDING_THREADS) as embedder:
        watcher = Watcher(settings, embedder, sources, server)
        told = ""
        while not stop.is_set():
            look = watcher.look()
            if look.news and look.news != told:
                tell(look)
            told = look.news
            stop.wait(every_s)
