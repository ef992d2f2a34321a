"""`voice-agent knowledge replay`, `report` and `watch`."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from voice_agent.config import Settings
from voice_agent.knowledge.build import run_fields
from voice_agent.knowledge.console_output import fail, print_json
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.replay import Replayed, VersionFinder, replay
from voice_agent.knowledge.report import gather
from voice_agent.knowledge.report_metrics import as_metrics
from voice_agent.knowledge.report_page import render
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.watch import Look, watch
from voice_agent.records.reading import turn, turns_since
from voice_agent.records.schema import RecordsUnusable

_DEFAULT_EVERY_S = 10.0
_POLITE = 10  # calls come first


def replay_turns(settings: Settings, turn_id: str, as_json: bool) -> int:
    """Repeat the retrieval of one turn, or of all without an id.

    Returns:
        0 when everything that can be repeated is identical; 1 otherwise.
    """
    try:
        turns: Iterable[Mapping[str, Any]]
        if turn_id:
            found = turn(settings.records.path, turn_id)
            if found is None:
                Console(stderr=True).print(
                    f"no turn, or more than one, is called {escape(turn_id)}"
                )
                return 1
            turns = [found]
        else:
            turns = turns_since(settings.records.path, 0.0)
        embedder = load_embedder(settings.knowledge, settings.models.folder)
        url = settings.knowledge.server_url
        server = PassageStore.at_server(url) if url else None
        finder = VersionFinder(settings.knowledge, embedder, server)
        try:
            replayed = [replay(each, finder) for each in turns]
        finally:
            finder.close()
    except (KnowledgeError, RecordsUnusable) as error:
        return fail(error, as_json)
    if turn_id:
        _print_one(replayed[0], as_json)
        return 0 if replayed[0].outcome in ("identical", "late") else 1
    counts = Counter(each.outcome for each in replayed)
    different = [each.turn_id for each in replayed if each.outcome == "different"]
    if as_json:
        print_json({"turns": len(replayed), **counts, "different_turns": different})
    else:
        repeated = counts["identical"] + counts["different"]
        print(f"{counts['identical']} of {repeated} turns identical")
        for outcome in ("late", "not kept", "not recorded"):
            if counts[outcome]:
                print(f"{counts[outcome]} {outcome}")
        for name in different:
            print(f"different: {name}")
    return 1 if different else 0


def _print_one(found: Replayed, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    console = Console(highlight=False)
    console.print(f"query: {escape(found.query)}")
    console.print(
        f"version {found.version or '–'}: [bold]{found.outcome}[/] {escape(found.reason)}"
    )
    recorded = {str(each["passage_id"]) for each in found.recorded}
    for passage in found.passages:
        new = "" if passage.passage_id in recorded else " [yellow](not then)[/]"
        console.print(f"{passage.score:.4f}  {escape(passage.passage_id)}{new}")
        console.print(f"        {escape(passage.text)}")


def report(settings: Settings, days: int, out: Path, metrics: Path | None, as_json: bool) -> int:
    """Write the page, and metrics if asked; 1 when there is nothing to report on."""
    try:
        found = gather(settings, days)
    except (KnowledgeError, RecordsUnusable) as error:
        return fail(error, as_json)
    try:
        _write_private(out, render(found))
        if metrics is not None:
            _write_private(metrics, as_metrics(found), mode=0o644)
    except OSError as error:
        print(f"{error.filename}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    if as_json:
        print_json(asdict(found))
    else:
        print(
            f"{found.turns} turns looked something up, {found.found_nothing} found nothing, "
            f"{len(found.never)} of {found.passages} passages were never found: {out}"
        )
    return 0


def _write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Appears whole or not at all; what callers said is only for the owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    beside.replace(path)


def watch_documents(settings: Settings, every_s: float, as_json: bool) -> int:
    """Look for changes until interrupted."""
    os.nice(_POLITE)
    every_s = every_s or settings.knowledge.watch_s or _DEFAULT_EVERY_S
    console = Console(highlight=False, soft_wrap=True)

    def tell(look: Look) -> None:
        if as_json:
            fields = run_fields(look.report) if look.report else {}
            print_json({"news": look.news, **fields})
        else:
            console.print(escape(look.news))
        sys.stdout.flush()

    try:
        watch(settings.knowledge, settings.models.folder, every_s, tell, threading.Event())
    except KnowledgeError as error:
        return fail(error, as_json)
    except KeyboardInterrupt:
        return 0
    return 0
