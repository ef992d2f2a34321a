"""`voice-agent knowledge status`, `versions`, `diff`, `promote`, `rollback`, `pin`, `copy`."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voice_agent.config import Settings
from voice_agent.knowledge.build import LEDGER
from voice_agent.knowledge.console_output import (
    day_and_time,
    fail,
    iso_time,
    print_json,
    progress_bars,
)
from voice_agent.knowledge.copying import copy_versions
from voice_agent.knowledge.diff import Difference, compare
from voice_agent.knowledge.errors import EmbedderUnusable, KnowledgeError
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.journal import Entry, Journal, operator, withdrawn
from voice_agent.knowledge.ledger_schema import connect_read_only
from voice_agent.knowledge.ledger_views import dead_letters, notes, runs, source_answers, states
from voice_agent.knowledge.promotion import Decision, Promotion
from voice_agent.knowledge.question_set import QuestionSet, read_questions
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore

_LISTED = 12


def versions(settings: Settings, as_json: bool) -> int:
    """List what is kept, newest first."""
    store, journal = VersionStore(settings.knowledge.index), Journal(settings.knowledge.index)
    current, previous = store.current_or_none(), Promotion(settings.knowledge).previous()
    entries, pins = journal.entries(), journal.pins()
    promoted, taken_back = {entry.version: entry for entry in entries}, withdrawn(entries)
    rows = [
        {
            **asdict(kept),
            "built_at": iso_time(kept.built_at),
            "current": kept.version == current,
            "previous": kept.version == previous,
            "pinned": pins.get(kept.version),
            "withdrawn": taken_back.get(kept.version),
            "last_promoted": iso_time(promoted[kept.version].at)
            if kept.version in promoted
            else "",
        }
        for kept in store.kept()
    ]
    if as_json:
        print_json(rows)
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("version", "built", "documents", "passages", "refused", "MB", ""):
        right = heading in ("documents", "passages", "refused", "MB")
        table.add_column(heading, justify="right" if right else "left")
    for row, kept in zip(rows, store.kept(), strict=False):
        marks = [name for name in ("current", "previous") if row[name]]
        marks += [f"pinned: {row['pinned']}"] if row["pinned"] is not None else []
        marks += [row["withdrawn"]] if row["withdrawn"] is not None else []
        marks += [kept.problem] if kept.problem else []
        table.add_row(
            kept.version, day_and_time(kept.built_at), str(kept.documents), str(kept.passages),
            str(kept.refused), f"{kept.bytes / 1e6:.1f}", escape(", ".join(marks)),
        )  # fmt: skip
    Console(highlight=False).print(table if rows else "Nothing has been built yet.")
    return 0


def status(settings: Settings, as_json: bool) -> int:
    """What answers, what became of every document, what is wrong; 1 when nothing answers."""
    index = settings.knowledge.index
    store, journal = VersionStore(index), Journal(index)
    current = store.current_or_none()
    found: dict[str, Any] = {
        "current": current,
        "previous": Promotion(settings.knowledge).previous(),
        "promotion": asdict(entry) if (entry := _promotion_of(journal, current)) else None,
        "states": {}, "dead_letters": [], "notes": [], "last_run": None, "sources": [],
    }  # fmt: skip
    if current is not None:
        try:
            manifest = store.manifest(current)
            found |= {name: manifest[name] for name in ("documents", "passages", "embedder")}
        except KnowledgeError as error:
            found["problem"] = str(error)
    database = connect_read_only(index / LEDGER)
    if database is not None:
        with closing(database):
            try:
                found |= _ledger_status(database)
            except sqlite3.Error as error:
                found["problem"] = f"{index / LEDGER}: cannot be read: {error}"
    if as_json:
        print_json(found)
    else:
        _print_status(found)
    return 0 if current is not None and "problem" not in found else 1


def _promotion_of(journal: Journal, version: str | None) -> Entry | None:
    return next((e for e in reversed(journal.entries()) if e.version == version), None)


def _ledger_status(database: sqlite3.Connection) -> dict[str, Any]:
    last = runs(database, 1)
    return {
        "states": states(database),
        "dead_letters": [asdict(letter) for letter in dead_letters(database, 1_000)],
        "notes": [{"document": d, "note": note} for d, note in notes(database)],
        "last_run": last[0] if last else None,
        "sources": source_answers(database),
    }


def _print_status(found: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if found["current"] is None:
        console.print("Nothing answers: no version has been promoted (`knowledge build`).")
    else:
        console.print(
            f"version [bold]{found['current']}[/] answers: "
            f"{found.get('documents', '?')} documents, {found.get('passages', '?')} passages"
        )
        if entry := found["promotion"]:
            console.print(
                f"  {entry['action']} on {day_and_time(entry['at'])} by {escape(entry['who'])}: "
                f"{escape(entry['why'])}"
            )
        console.print(f"  before it: {found['previous'] or 'none is kept'}")
    if "problem" in found:
        console.print(f"[red]{escape(found['problem'])}[/]")
    if found["states"]:
        console.print(", ".join(f"{number} {state}" for state, number in found["states"].items()))
    for source in found["sources"]:
        late = f", but: {source['reason']}" if source["reason"] else ""
        console.print(
            f"source {source['name']} last answered {day_and_time(source['answered_at'])}"
            f"{escape(late)}"
        )
    if run := found["last_run"]:
        console.print(
            f"last run {day_and_time(run['started_at'])}: {run['fetched']} fetched, "
            f"{run['embedded']} passages embedded, {run['seconds']:.1f} s, "
            f"freshness lag {run['freshness_lag_s']:.0f} s, completeness {run['completeness']:.1%}"
        )
    letters = found["dead_letters"]
    for letter in letters[:_LISTED]:
        tries = f" ({letter['attempts']} attempts)" if letter["attempts"] > 1 else ""
        console.print(
            f"[yellow]not {'fetched' if letter['state'] == 'fetched' else 'used'}[/] "
            f"{escape(letter['document'])}: {escape(letter['reason'])}{tries}"
        )
    if len(letters) > _LISTED:
        console.print(f"… and {len(letters) - _LISTED} more (`--json` has them)")
    for row in found["notes"][:_LISTED]:
        console.print(f"[dim]noted[/] {escape(row['document'])}: {escape(row['note'])}")


def diff(settings: Settings, before: str, after: str, as_json: bool) -> int:
    """What differs between two versions; beginnings of names will do."""
    store = VersionStore(settings.knowledge.index)
    try:
        if not before:
            before = Promotion(settings.knowledge).previous() or ""
        difference = compare(store, store.find(before), store.find(after))
    except KnowledgeError as error:
        return fail(error, as_json)
    if as_json:
        print_json(asdict(difference))
    else:
        _print_difference(difference)
    return 0


def _print_difference(found: Difference) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"from {found.before} to {found.after}")
    for name in found.made_otherwise:
        console.print(f"  another {name}")
    for what in ("documents", "passages"):
        for how, colour in (("added", "green"), ("removed", "red"), ("changed", "yellow")):
            names: tuple[str, ...] = getattr(found, f"{what}_{how}")
            console.print(f"{len(names)} {what} {how}")
            for name in names[:_LISTED]:
                console.print(f"  [{colour}]{escape(name)}[/]")
            if len(names) > _LISTED:
                console.print(f"  … and {len(names) - _LISTED} more")


def promote(settings: Settings, version: str, why: str, force: bool, as_json: bool) -> int:
    """Let a kept version answer, if the gate lets it; 1 when it does not."""
    knowledge = settings.knowledge
    try:
        server = _server(settings)
        name = VersionStore(knowledge.index).find(version)
        questions = None
        if knowledge.questions is not None:
            stored = read_questions(knowledge.questions)
            embedder = load_embedder(knowledge, settings.models.folder)
            questions = QuestionSet(stored, embedder, server, knowledge.minimum_score)
        verdict = Promotion(knowledge, server, questions).promote(
            name, Decision(operator(), why, force)
        )
    except KnowledgeError as error:
        return fail(error, as_json)
    if as_json:
        print_json({"version": name, "verdict": asdict(verdict)})
    else:
        over = f", although {'; '.join(verdict.reasons)}" if verdict.reasons else ""
        Console(highlight=False, soft_wrap=True).print(
            escape(f"version {name} answers from now on{over}")
        )
    return 0


def rollback(settings: Settings, why: str, as_json: bool) -> int:
    """Let the version before the current one answer again."""
    started = time.perf_counter()
    try:
        try:
            identity = load_embedder(settings.knowledge, settings.models.folder).identity
        except EmbedderUnusable:
            identity = ""  # going back matters more than knowing that it will work
        entry = Promotion(settings.knowledge, _server(settings)).rollback(
            Decision(operator(), why), identity
        )
    except KnowledgeError as error:
        return fail(error, as_json)
    seconds = round(time.perf_counter() - started, 2)
    if as_json:
        print_json({"version": entry.version, "previous": entry.previous, "seconds": seconds})
    else:
        Console(highlight=False, soft_wrap=True).print(
            f"version {entry.version} answers again instead of {entry.previous} ({seconds:.1f} s); "
            "builds will not promote that one by themselves"
        )
    return 0


def pin(settings: Settings, version: str, why: str | None, as_json: bool) -> int:
    """Keep a version from being deleted; without a reason, let it go."""
    try:
        name = VersionStore(settings.knowledge.index).find(version)
        Journal(settings.knowledge.index).pin(name, why)
    except KnowledgeError as error:
        return fail(error, as_json)
    if as_json:
        print_json({"version": name, "pinned": why})
    else:
        print(f"version {name} is {'kept' if why is not None else 'pinned no more'}")
    return 0


def copy(settings: Settings, url: str, all_kept: bool, as_json: bool) -> int:
    """Fill a Qdrant server from the versions on the disk, and let it answer as they do here."""
    try:
        with progress_bars() as show:
            server = PassageStore.at_server(url)
            copied = copy_versions(VersionStore(settings.knowledge.index), server, all_kept, show)
    except KnowledgeError as error:
        return fail(error, as_json)
    if as_json:
        print_json({"url": url, **asdict(copied)})
    else:
        print(
            f"{len(copied.versions)} versions, {copied.passages} passages copied; "
            f"{copied.current} answers there. "
            f"Set `knowledge.server_url: {url}` and restart the agents."
        )
    return 0


def _server(settings: Settings) -> PassageStore | None:
    url = settings.knowledge.server_url
    return PassageStore.at_server(url) if url else None
