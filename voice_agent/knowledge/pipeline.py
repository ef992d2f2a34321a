"""From sources to documents that are checked, cut and embedded; every step is in the ledger."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from voice_agent.knowledge import checks, parsing
from voice_agent.knowledge.contents import Contents, content_digest, vector_key
from voice_agent.knowledge.embedder import Vectors
from voice_agent.knowledge.errors import DocumentRefused, KnowledgeError
from voice_agent.knowledge.ledger import DocumentRow, Ledger, ParsedDocument
from voice_agent.knowledge.passages import Passage, cut_into_passages
from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    Gone,
    Source,
    Unchanged,
    Validators,
)

log = structlog.get_logger(__name__)

PARSER = str(getattr(parsing, "IDENTITY", "1"))
"""Whatever was parsed by another one is fetched and parsed anew."""
_CHECKED_AT_ONCE = 256
WINDOW = 1_024
"""Passages embedded between two commits: enough to sort them by length, seconds to repeat."""

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""
Reached = Callable[[str], None]
"""Called when a state has been committed; a test may end the process there."""


class PassageEmbedder(Protocol):
    """What a build needs of the embedding model."""

    identity: str

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384), rows of length one."""

    def count_tokens(self, text: str) -> int:
        """Length of a text in the model's tokens."""


@dataclass(slots=True)
class Counts:
    """What a run met."""

    fetched: int = 0
    unchanged: int = 0
    gone: int = 0
    failed: int = 0
    embedded: int = 0
    embed_s: float = 0.0


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
            self._change()
            ledger.begin_again_from_parsed()
            ledger.note_fact("made_by", made_by)

    def close(self) -> None:
        """End the thread that embeds."""
        self._worker.shutdown(cancel_futures=True)

    @property
    def changed(self) -> bool:
        """Whether the next version may be another than the last one that was complete."""
        return self._ledger.fact("changed") != ""

    def _change(self) -> None:
        """Noted before anything is changed, so that a killed run leaves no change unnoticed."""
        if not self.changed:
            self._ledger.note_fact("changed", "yes")

    # --- fetched, parsed ---------------------------------------------------------------------

    def take_in(self, sources: Sequence[Source]) -> None:
        """Fetch and parse what is new or changed; what cannot be is in the ledger with a reason."""
        names = [source.name for source in sources]
        if self._ledger.sources() != names:
            self._change()
            self._ledger.configure(names)
        with parsing.Parser() as parser:
            for source in sources:
                self._take_from(source, parser)

    def _take_from(self, source: Source, parser: parsing.Parser) -> None:
        ledger, name = self._ledger, source.name
        fault = ""
        before = self.counts.fetched + self.counts.unchanged
        ledger.begin_telling()
        results = source.fetch(ledger.known(name, PARSER))
        while True:
            try:
                result = next(results, None)
            except (KnowledgeError, sqlite3.Error):
                raise
            except Exception as error:  # one source's fault must not end the others' run
                fault = " ".join(f"{type(error).__name__}: {error}".split())
                break
            if result is None:
                break
            if not ledger.note_told(result.uri):
                log.warning("document_told_twice", source=name, uri=result.uri)
                continue
            match result:
                case Fetched():
                    self._take(name, result, parser)
                    if self.counts.fetched % _CHECKED_AT_ONCE == 0:
                        self._check_parsed()
                case Unchanged():
                    self.counts.unchanged += 1
                    if result.validators is not None:
                        ledger.note_same(name, result.uri, result.validators)
                    ledger.note_answered(name, result.uri)
                case Gone():
                    self.counts.gone += 1
                    self._forget(name, result.uri)
                case FetchFailed():
                    self.counts.failed += 1
                    if not ledger.was_parsed(name, result.uri):  # it may be the whole source
                        fault = f"{result.uri}: {result.reason}"
                    ledger.note_failed(
                        name, result.uri, result.reason, result.retryable, time.time()
                    )
            done = self.counts.fetched + self.counts.unchanged
            self._progress("reading", done, done)
        answered = not fault or self.counts.fetched + self.counts.unchanged > before
        if answered and (left := ledger.untold(name, PARSER, with_content=not fault)):
            self._change()
            for uri in left:
                ledger.note_gone(name, uri)
        ledger.note_answer(name, time.time() if answered else None, fault)
        if fault:
            log.warning("source_incomplete", source=name, reason=fault)

    def _forget(self, source: str, uri: str) -> None:
        self._change()
        with self._ledger.step():
            self._ledger.note_gone(source, uri)

    def _take(self, source: str, item: Fetched, parser: parsing.Parser) -> None:
        ledger = self._ledger
        item = _with_digest(item)
        if item.validators.digest == ledger.digest_of(source, item.uri, PARSER):
            self.counts.unchanged += 1  # only its time of change, or its ETag, is another
            ledger.note_same(source, item.uri, item.validators)
            ledger.note_answered(source, item.uri)
            return
        self.counts.fetched += 1
        self._change()
        ledger.note_fetched(source, item)
        self._reached("fetched")
        try:
            parsed = parser.parse(item)
            refused = parsed.refused
        except DocumentRefused as refusal:
            parsed, refused = parsing.Parsed(()), (refusal,)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            log.error("parser_failed", uri=item.uri, exc_info=error)
            reason = f"the parser failed: {type(error).__name__}"
            parsed, refused = parsing.Parsed(()), (DocumentRefused(item.uri, reason),)
        rows = []
        with ledger.step():
            for document in parsed.documents:
                digest = content_digest(document)
                self.contents.keep_document(digest, document)
                rows.append(
                    ParsedDocument(
                        document.document_id,
                        document.title,
                        document.source,
                        digest,
                        document.valid_until,
                    )
                )
            for each in refused:
                rows.append(ParsedDocument("", "", each.document, reason=each.reason))
            ledger.note_parsed(
                source, item, PARSER, rows, _changed_at(item, ledger.answered_at(source))
            )
        self._reached("parsed")

    # --- checked -------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse what cannot be what its author meant, cut the rest, and find duplicates."""
        self._check_parsed()
        self._embed_ahead()
        self._keep_ahead()
        if self.changed:
            self._find_duplicates()

    def _check_parsed(self) -> None:
        waiting = self._ledger.counts().get("parsed", 0)
        if waiting:
            self._change()
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

    def _find_duplicates(self) -> None:
        """The first document of an id or a text stays; of near-equal ones, all do, with a note."""
        database = self._ledger.database
        database.execute("DROP TABLE IF EXISTS temp.firsts")
        database.execute(
            "CREATE TEMP TABLE firsts (key TEXT PRIMARY KEY, named TEXT, likeness BLOB)"
        )

        def first(key: str) -> tuple[str, bytes] | None:
            row = database.execute("SELECT * FROM firsts WHERE key = ?", (key,)).fetchone()
            return (row["named"], row["likeness"]) if row else None

        with self._ledger.step():
            for row in self._ledger.usable():
                by_id, by_words = f"id {row.document_id}", f"words {row.words_hash}"
                note = duplicate = ""
                if same := first(by_id):
                    duplicate = f"its id `{row.document_id}` belongs to {same[0]}"
                elif same := first(by_words):
                    duplicate = f"a copy of {same[0]}"
                else:
                    keys = [by_id, by_words]
                    for number, band in enumerate(checks.bands(row.likeness)):
                        keys.append(f"band {number} {band.hex()}")
                        near = first(keys[-1])
                        if near and checks.alike(near[1], row.likeness) >= checks.NEARLY_THE_SAME:
                            note = f"nearly the same as {near[0]}: one of them may be out of date"
                    database.executemany(
                        "INSERT OR IGNORE INTO firsts VALUES (?, ?, ?)",
                        [(key, row.named, row.likeness) for key in keys],
                    )
                self._ledger.note_duplicate(row, duplicate, note)

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


def _changed_at(item: Fetched, looked_at: float) -> float:
    """When an item was changed at the earliest: after the last look at its source."""
    if not looked_at:
        return item.fetched_at
    return min(max(item.modified_at, looked_at), item.fetched_at)


def _with_digest(item: Fetched) -> Fetched:
    if item.validators.digest:
        return item
    try:
        digest = (
            _digest_of_file(item.content)
            if isinstance(item.content, Path)
            else hashlib.sha256(item.content).hexdigest()
        )
    except OSError:
        digest = "unreadable"
    given = item.validators
    validators = Validators(digest, given.etag, given.last_modified, given.size, given.mtime_ns)
    return Fetched(
        item.uri, item.content, item.media_type, validators, item.fetched_at, item.modified_at,
        item.title, item.language,
    )  # fmt: skip


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
