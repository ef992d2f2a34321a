"""From the sources to the index version that answers calls, at the price of what has changed."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from voice_agent.config import KnowledgeSettings
from voice_agent.knowledge.errors import DocumentRefused, NothingToIndex, PromotionRefused
from voice_agent.knowledge.gate import Verdict
from voice_agent.knowledge.intake import PARSER, Progress, Reached
from voice_agent.knowledge.journal import operator
from voice_agent.knowledge.ledger import Ledger
from voice_agent.knowledge.ledger_views import DeadLetter, dead_letters, notes
from voice_agent.knowledge.passages import CHUNKER, MAX_TOKENS, Passage
from voice_agent.knowledge.pipeline import WINDOW, PassageEmbedder, Pipeline
from voice_agent.knowledge.promotion import Decision, Promotion
from voice_agent.knowledge.question_set import QuestionSet, read_questions
from voice_agent.knowledge.sources import Source, from_settings
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.version_writer import IndexedDocument, VersionWriter
from voice_agent.knowledge.versions import VersionStore, version_id

LEDGER = "ledger.sqlite"
_REFUSED_KEPT = 1_000  # in a manifest and in a report; the ledger has them all


def _go_on(_: str) -> None:
    """No test wants to end the process here."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a build ends. `force` promotes against the gate's verdict, for the reason in `why`."""

    promote: bool = True
    force: bool = False
    why: str = "build"
    who: str = ""
    questions: QuestionSet | None = None
    """Those of the settings when absent; given, it remembers what versions answered."""
    reached: Reached = _go_on


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    `reused` says that this version had been built before; `verdict` is absent when the gate was
    not asked. `completeness` is the share of what the sources offer that can be found,
    `freshness_lag_s` the longest time from a document's change to its being in a version,
    `passages_per_s` counts what was embedded from the first fetch to a complete version, `peak_mb`
    is the most memory the process has used.
    """

    version: str
    documents: int
    passages: int
    refused: tuple[DocumentRefused, ...]
    reused: bool
    embed_s: float
    seconds: float
    promoted: bool = True
    verdict: Verdict | None = None
    held_back: str = ""
    fetched: int = 0
    unchanged: int = 0
    gone: int = 0
    failed: int = 0
    refused_count: int = 0
    embedded: int = 0
    passages_per_s: float = 0.0
    peak_mb: int = 0
    completeness: float = 1.0
    freshness_lag_s: float = 0.0
    notes: tuple[tuple[str, str], ...] = ()
    pruned: tuple[str, ...] = ()


def build_index(
    settings: KnowledgeSettings,
    embedder: PassageEmbedder,
    progress: Progress,
    server: PassageStore | None = None,
    options: BuildOptions | None = None,
    sources: Sequence[Source] | None = None,
) -> BuildReport:
    """Fetch, parse, check, embed, write and promote; calls go on with the old version meanwhile.

    What cannot be used is refused, with the reason, and does not stop the build. A build that is
    killed is taken up where it was by the next.

    Args:
        settings: where documents and index are.
        embedder: the embedding model.
        progress: called as work goes on.
        server: the Qdrant server to fill and promote as well, if there is one.
        options: how it ends; promoted, if the gate lets it, when absent.
        sources: where documents come from; those of the settings when absent.

    Raises:
        NothingToIndex: no document can be used; the old version stays.
        BuildRunning, IndexUnusable, IndexUnreachable: the index cannot be written.
    """
    versions = VersionStore(settings.index)
    with versions.building():
        ledger = Ledger(settings.index / LEDGER)
        try:
            build = _Build(settings, embedder, progress, server, options or BuildOptions(), ledger)
            with closing(build):
                return build.run(from_settings(settings) if sources is None else sources)
        finally:
            ledger.close()


class _Build:
    def __init__(
        self,
        settings: KnowledgeSettings,
        embedder: PassageEmbedder,
        progress: Progress,
        server: PassageStore | None,
        options: BuildOptions,
        ledger: Ledger,
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._progress = progress
        self._server = server
        self._options = options
        self._ledger = ledger
        self._versions = VersionStore(settings.index)
        self._parts = {
            "parser": PARSER,
            "chunker": CHUNKER,
            "max_tokens": MAX_TOKENS,
            "embedder": embedder.identity,
        }
        made_by = " ".join(str(part) for part in self._parts.values())
        self._pipeline = Pipeline(ledger, embedder, made_by, progress, options.reached)

    def close(self) -> None:
        self._pipeline.close()

    def run(self, sources: Sequence[Source]) -> BuildReport:
        started_at, started = time.time(), time.perf_counter()
        pipeline, ledger = self._pipeline, self._ledger
        pipeline.take_in(sources)
        pipeline.check()
        refused = dead_letters(ledger.database, _REFUSED_KEPT)
        documents, passages = ledger.size_of_next()
        if not passages:
            raise NothingToIndex(self._nothing(refused))
        pipeline.embed()
        version = ledger.fact("indexed")
        settled = not ledger.changed
        if not settled or not version:
            version = version_id(self._parts, ledger.listed())
        reused = self._versions.intact(version)
        refused_count = self._refused_count()
        if not reused:
            self._write(version, refused, refused_count)
        ingest_s = time.perf_counter() - started
        with ledger.step():
            lag_s = ledger.note_indexed(version, time.time())
        self._options.reached("indexed")
        verdict, held_back = self._promote(version)
        offered = documents + refused_count
        report = BuildReport(
            version=version,
            documents=documents,
            passages=passages,
            refused=tuple(DocumentRefused(letter.document, letter.reason) for letter in refused),
            reused=reused,
            embed_s=round(pipeline.counts.embed_s, 2),
            seconds=round(time.perf_counter() - started, 2),
            promoted=self._versions.current_or_none() == version,
            verdict=verdict,
            held_back=held_back,
            fetched=pipeline.counts.fetched,
            unchanged=pipeline.counts.unchanged,
            gone=pipeline.counts.gone,
            failed=pipeline.counts.failed,
            refused_count=refused_count,
            embedded=pipeline.counts.embedded,
            passages_per_s=round(pipeline.counts.embedded / max(ingest_s, 1e-3), 1),
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            completeness=round(documents / offered, 4),
            freshness_lag_s=round(lag_s, 1),
            notes=tuple(notes(ledger.database)),
            pruned=self._prune(),
        )
        if not (reused and settled):
            ledger.note_run(started_at, report.seconds, run_fields(report))
        return report

    def _nothing(self, refused: Sequence[DeadLetter]) -> str:
        reasons = "; ".join(f"{letter.document}: {letter.reason}" for letter in refused[:3])
        return f"{self._settings.documents}: no document can be used: " + (
            reasons or "the folder is empty"
        )

    def _refused_count(self) -> int:
        counts = self._ledger.counts()
        return sum(counts.get(state, 0) for state in ("refused", "failed"))

    def _write(self, version: str, refused: Sequence[DeadLetter], refused_count: int) -> None:
        pipeline, (_, total) = self._pipeline, self._ledger.size_of_next()
        described = {
            **self._parts,
            "refused": [{"document": r.document, "reason": r.reason} for r in refused],
            "refused_count": refused_count,
        }
        pipeline.contents.begin_use()
        with self._versions.writing(version, described) as writer:
            waiting: list[Passage] = []
            for row, passages in pipeline.passages_of_next():
                writer.add_document(
                    IndexedDocument(
                        row.document_id, row.title, row.named, row.digest, len(passages)
                    )
                )
                for start in range(0, len(passages), WINDOW):
                    waiting += passages[start : start + WINDOW]
                    if len(waiting) >= WINDOW:
                        self._add(writer, waiting)
                        waiting = []
                        self._progress("writing", writer.passages, total)
            self._add(writer, waiting)
            self._progress("writing", writer.passages, total)
            self._options.reached("written")
        pipeline.contents.drop_unused()

    def _add(self, writer: VersionWriter, passages: list[Passage]) -> None:
        if not passages:
            return
        keys, vectors = self._pipeline.vectors_of(passages)
        self._pipeline.contents.note_use(keys)
        writer.add_passages(passages, np.stack([vectors[key] for key in keys]))

    def _promote(self, version: str) -> tuple[Verdict | None, str]:
        """The gate's verdict, and why the version does not answer; empty when it does."""
        if not self._options.promote:
            return None, "it was not asked for"
        current = self._versions.current_or_none()
        if current == version and self._server is None:
            return None, ""
        questions = self._options.questions
        if questions is None and self._settings.questions is not None and current is not None:
            stored = read_questions(self._settings.questions)
            questions = QuestionSet(
                stored, self._embedder, self._server, self._settings.minimum_score
            )
        promotion = Promotion(self._settings, self._server, questions)
        verdict = promotion.judge(version)
        decision = Decision(self._options.who or operator(), self._options.why, self._options.force)
        try:
            promotion.promote(version, decision, verdict)
        except PromotionRefused as refusal:
            return verdict, str(refusal)
        self._options.reached("promoted")
        return verdict, ""

    def _prune(self) -> tuple[str, ...]:
        return tuple(Promotion(self._settings, self._server).prune())


def run_fields(report: BuildReport) -> dict[str, object]:
    """What the ledger keeps of a run."""
    return {
        "version": report.version,
        "promoted": report.promoted,
        "held_back": report.held_back,
        "documents": report.documents,
        "passages": report.passages,
        "fetched": report.fetched,
        "unchanged": report.unchanged,
        "gone": report.gone,
        "failed": report.failed,
        "refused": report.refused_count,
        "embedded": report.embedded,
        "passages_per_s": report.passages_per_s,
        "peak_mb": report.peak_mb,
        "completeness": report.completeness,
        "freshness_lag_s": report.freshness_lag_s,
    }
