"""From sources to documents that are checked, cut and embedded; every step is in the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import structlog

from voice_agent.knowledge import checks
from voice_agent.knowledge.contents import Contents, vector_key
from voice_agent.knowledge.duplicates import find_duplicates
from voice_agent.knowledge.embedder import Vectors
from voice_agent.knowledge.intake import Counts, Intake, Progress, Reached
from voice_agent.knowledge.ledger import DocumentRow, Ledger
from voice_agent.knowledge.passages import Passage, cut_into_passages
from voice_agent.knowledge.sources.fetched import (
    Source,
)

log = structlog.get_logger(__name__)

WINDOW = 1_024
"""Passages embedded between two commits: enough to sort them by length, seconds to repeat."""


class PassageEmbedder(Protocol):
    """What a build needs of the embedding model."""

    identity: str

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384), rows of length one."""

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's tokens."""


class Pipeline:
    """The states of one run, up to embedded."""

    def __init__(
        self,
        ledger: Ledger,
        embedder: PassageEmbedder,
        made_by: str,
        progress: Progress,
        reached: Reached,
    ) -> None:
        self.counts = Counts()
        self.contents = Contents(ledger.database)
        self._ledger = ledger
        self._embedder = embedder
        self._progress = progress
        self._reached = reached
        self._checked = 0
        self._to_embed: list[Passage] = []
        self._ahead: tuple[list[bytes], Future[Vectors]] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        if ledger.fact("made_by") != made_by:
            self._ledger.mark_changed()
            ledger.begin_again_from_parsed()
            ledger.note_fact("made_by", made_by)

    def close(self) -> None:
        """End the thread that embeds."""
        self._worker.shutdown(cancel_futures=True)

    def take_in(self, sources: Sequence[Source]) -> None:
        """Fetch and parse what is new or changed; what cannot be is in the ledger with a reason."""
        intake = Intake(self._ledger, self.contents, self.counts, self._progress, self._reached)
        intake.take_in(sources, self._check_parsed)

    # --- checked -------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse what cannot be what its author meant, cut the rest, and find duplicates."""
        self._check_parsed()
        self._embed_ahead()
        self._keep_ahead()
        if self._ledger.changed:
            find_duplicates(self._ledger)

    def _check_parsed(self) -> None:
        waiting = self._ledger.counts().get("parsed", 0)
        if waiting:
            self._ledger.mark_changed()
        total = self._checked + waiting
        for row in self._ledger.in_state("parsed"):
            document = self.contents.document(row.digest)
            reason = checks.fault(document) if document else "its parsed text is lost; retry it"
            passages: list[Passage] = []
            if document and not reason:
                passages = cut_into_passages(document, self._embedder.count_tokens)
                reason = "" if passages else "headings without any text"
            with self._ledger.step():
                if reason or document is None:
                    self._ledger.note_refused(row, reason)
                else:
                    self.contents.keep_passages(row.digest, passages)
                    self._ledger.note_checked(
                        row, len(passages), checks.words_hash(document), checks.likeness(document)
                    )
            self._reached("checked")
            self._checked += 1
            self._progress("checking", self._checked, total)
            self._to_embed += passages
            if len(self._to_embed) >= WINDOW:
                self._embed_ahead()

    # --- embedded ------------------------------------------------------------------------------

    def _embed_ahead(self) -> None:
        """Embed what has been checked, on other cores, while further documents are checked."""
        passages, self._to_embed = self._to_embed, []
        self._keep_ahead()
        _, _, missing = self._looked_up(passages)
        if missing:
            self._ahead = list(missing), self._worker.submit(self._timed, list(missing.values()))

    def _keep_ahead(self) -> None:
        if self._ahead is not None:
            (keys, made), self._ahead = self._ahead, None
            self._keep(keys, made.result())

    def _timed(self, texts: list[str]) -> Vectors:
        started = time.perf_counter()
        made = self._embedder.embed(texts)
        self.counts.embed_s += time.perf_counter() - started
        return made

    def _keep(self, keys: list[bytes], made: Vectors) -> list[tuple[bytes, Vectors]]:
        new = list(zip(keys, made, strict=True))
        with self._ledger.step():
            self.contents.keep_vectors(new)
        self.counts.embedded += len(new)
        return new

    def embed(self) -> None:
        """See that there is a vector for each passage of the next version."""
        total, done = self._ledger.passages_to_embed(), 0
        rows: list[DocumentRow] = []
        passages: list[Passage] = []
        for row in self._ledger.included_in_state("checked"):
            cut = self.contents.passages(row.digest) or []
            for start in range(0, len(cut), WINDOW):
                passages += cut[start : start + WINDOW]
                while len(passages) >= WINDOW:
                    done += self._embed(passages[:WINDOW], rows)
                    passages, rows = passages[WINDOW:], []
                    self._progress("embedding", done, total)
            rows.append(row)
        if rows:
            done += self._embed(passages, rows)
            self._progress("embedding", done, total)

    def _embed(self, passages: list[Passage], documents: list[DocumentRow]) -> int:
        """Documents whose last passage is in an earlier call are embedded once this one is."""
        self.vectors_of(passages)
        with self._ledger.step():
            self._ledger.note_embedded(documents)
        self._reached("embedded")
        return len(passages)

    def vectors_of(self, passages: Sequence[Passage]) -> tuple[list[bytes], dict[bytes, Vectors]]:
        """The key of each passage's vector, and the vectors, made and kept where they are new."""
        keys, kept, missing = self._looked_up(passages)
        if missing:
            kept.update(self._keep(list(missing), self._timed(list(missing.values()))))
        return keys, kept

    def _looked_up(
        self, passages: Sequence[Passage]
    ) -> tuple[list[bytes], dict[bytes, Vectors], dict[bytes, str]]:
        texts = [passage.embedded_text for passage in passages]
        keys = [vector_key(self._embedder.identity, text) for text in texts]
        kept = self.contents.vectors(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        return keys, kept, missing

    def passages_of_next(self) -> Iterator[tuple[DocumentRow, list[Passage]]]:
        """The documents of the next version with what they are cut into, in order."""
        for row in self._ledger.included():
            yield row, self.contents.passages(row.digest) or []
