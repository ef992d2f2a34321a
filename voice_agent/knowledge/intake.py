"""From sources to parsed documents in the ledger."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from voice_agent.knowledge import parsing
from voice_agent.knowledge.contents import Contents, content_digest
from voice_agent.knowledge.errors import DocumentRefused, KnowledgeError
from voice_agent.knowledge.ledger import Ledger
from voice_agent.knowledge.ledger_items import ParsedDocument
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

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, how much there is."""
Reached = Callable[[str], None]
"""Called when a state has been committed; a test may end the process there."""


@dataclass(slots=True)
class Counts:
    """What a run met."""

    fetched: int = 0
    unchanged: int = 0
    gone: int = 0
    failed: int = 0
    embedded: int = 0
    embed_s: float = 0.0


class Intake:
    """Fetches from every source of a run, and parses what is new."""

    def __init__(
        self,
        ledger: Ledger,
        contents: Contents,
        counts: Counts,
        progress: Progress,
        reached: Reached,
    ) -> None:
        self._ledger = ledger
        self._contents = contents
        self._counts = counts
        self._progress = progress
        self._reached = reached

    def take_in(self, sources: Sequence[Source], after_some: Callable[[], None]) -> None:
        """Fetch and parse what is new or changed; call `after_some` now and then meanwhile."""
        names = [source.name for source in sources]
        if self._ledger.items.sources() != names:
            self._ledger.mark_changed()
            self._ledger.items.configure(names)
        with parsing.Parser() as parser:
            for source in sources:
                self._take_from(source, parser, after_some)

    def _take_from(
        self, source: Source, parser: parsing.Parser, after_some: Callable[[], None]
    ) -> None:
        ledger, name = self._ledger, source.name
        fault = ""
        before = self._counts.fetched + self._counts.unchanged
        ledger.items.begin_telling()
        results = source.fetch(ledger.items.known(name, PARSER))
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
            if not ledger.items.note_told(result.uri):
                log.warning("document_told_twice", source=name, uri=result.uri)
                continue
            match result:
                case Fetched():
                    self._take(name, result, parser)
                    if self._counts.fetched % _CHECKED_AT_ONCE == 0:
                        after_some()
                case Unchanged():
                    self._counts.unchanged += 1
                    if result.validators is not None:
                        ledger.items.note_same(name, result.uri, result.validators)
                    ledger.items.note_answered(name, result.uri)
                case Gone():
                    self._counts.gone += 1
                    self._forget(name, result.uri)
                case FetchFailed():
                    self._counts.failed += 1
                    if not ledger.items.was_parsed(name, result.uri):  # it may be the whole source
                        fault = f"{result.uri}: {result.reason}"
                    ledger.items.note_failed(
                        name, result.uri, result.reason, result.retryable, time.time()
                    )
            done = self._counts.fetched + self._counts.unchanged
            self._progress("reading", done, done)
        answered = not fault or self._counts.fetched + self._counts.unchanged > before
        if answered and (left := ledger.items.untold(name, PARSER, with_content=not fault)):
            self._ledger.mark_changed()
            for uri in left:
                ledger.items.note_gone(name, uri)
        ledger.items.note_answer(name, time.time() if answered else None, fault)
        if fault:
            log.warning("source_incomplete", source=name, reason=fault)

    def _forget(self, source: str, uri: str) -> None:
        self._ledger.mark_changed()
        with self._ledger.step():
            self._ledger.items.note_gone(source, uri)

    def _take(self, source: str, item: Fetched, parser: parsing.Parser) -> None:
        ledger = self._ledger
        item = _with_digest(item)
        if item.validators.digest == ledger.items.digest_of(source, item.uri, PARSER):
            self._counts.unchanged += 1  # only its time of change, or its ETag, is another
            ledger.items.note_same(source, item.uri, item.validators)
            ledger.items.note_answered(source, item.uri)
            return
        self._counts.fetched += 1
        self._ledger.mark_changed()
        ledger.items.note_fetched(source, item)
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
                self._contents.keep_document(digest, document)
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
            ledger.items.note_parsed(
                source, item, PARSER, rows, _changed_at(item, ledger.items.answered_at(source))
            )
        self._reached("parsed")


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
