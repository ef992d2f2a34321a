"""`voice-agent knowledge evaluate`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voice_agent.config import Settings
from voice_agent.errors import code_of
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.evaluate import (
    RANKS,
    Collection,
    Evaluated,
    PassageEmbedder,
    Question,
    Recall,
    machine,
    recall,
)
from voice_agent.knowledge.evaluate_bank import read_bank
from voice_agent.knowledge.evaluate_faq import read_spoken_faq
from voice_agent.knowledge.index import load_embedder
from voice_agent.knowledge.question_set import read_questions
from voice_agent.knowledge.versions import VersionStore

_SHOWN = 10


def evaluate(
    settings: Settings,
    spoken_faq: Path | None,
    bank: Path | None,
    questions: Path | None,
    as_json: bool,
) -> int:
    """Print how much is found of what each set of questions needs.

    0 when measured, 1 when the data or the model cannot be read.
    """
    started = time.perf_counter()
    try:
        embedder = load_embedder(settings.knowledge, settings.models.folder)
        figures: dict[str, Any] = dict(_figures(settings, embedder, spoken_faq, bank, questions))
    except (KnowledgeError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if as_json:
            code = code_of(error) or "data_unusable"
            print(json.dumps({"error": {"code": code, "message": reason}}))
        else:
            Console(stderr=True, highlight=False).print(f"[red]{escape(reason)}[/]")
        return 1
    figures |= {"machine": machine(), "seconds": round(time.perf_counter() - started, 1)}
    if as_json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
    else:
        _print(figures)
    return 0


def _figures(
    settings: Settings,
    embedder: PassageEmbedder,
    spoken_faq: Path | None,
    bank: Path | None,
    questions: Path | None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    least = settings.knowledge.minimum_score
    if spoken_faq is not None:
        entries, asked = read_spoken_faq(spoken_faq)
        result = _ask(entries, embedder, least, asked)[0]
        yield "spoken_faq", {"entries": len(entries.passages), **result.as_json()}
    if bank is not None:
        documents, ways = read_bank(bank, embedder.count_tokens)
        recalled = _ask(documents, embedder, least, *ways.values(), deepest=max(RANKS))
        by_way = dict(zip(ways, recalled, strict=True))
        yield (
            "bank",
            {
                "documents": len({each.document_id for each in documents.passages}),
                "needed": len(by_way["told"].ranks),
                **by_way["told"].as_json(),
                "turns": by_way["turns"].as_json(),
                "within": {way: _shares(found) for way, found in by_way.items()},
            },
        )
    if questions is not None:
        index = VersionStore(settings.knowledge.index)
        kept = Collection(tuple(index.read(index.current()).passages), lambda p: p.document_id)
        result = _ask(kept, embedder, least, _stored(questions))[0]
        yield "questions", result.as_json()


def _ask(
    collection: Collection,
    embedder: PassageEmbedder,
    least: float,
    *sets: list[Question],
    deepest: int = 0,
) -> list[Recall]:
    evaluated = Evaluated(collection, embedder, least)
    try:
        return [recall(evaluated.ids, questions, deepest=deepest) for questions in sets]
    finally:
        evaluated.close()


def _shares(found: Recall) -> dict[str, float]:
    return {str(depth): round(share, 4) for depth, share in found.within().items()}


def _stored(path: Path) -> list[Question]:
    """The stored questions and their follow-ups, as the gate asks them."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there")
    return [
        Question(each.question, (each.query,), frozenset({each.document}))
        for each in read_questions(path)
    ]


_WAYS = {
    "told": "the whole matter at once",
    "turns": "turn by turn, the best turn",
    "sentences": "every sentence, the best one",
}


def _table(within: dict[str, dict[str, float]], needed: int) -> Table:
    """How near all the documents needed are to being found."""
    table = Table(f"of {needed} needed, searched", *(f"in the first {n}" for n in RANKS), "farther")
    for way, shares in within.items():
        farther = 1 - shares[str(max(RANKS))]
        table.add_row(_WAYS[way], *(f"{shares[str(n)]:.0%}" for n in RANKS), f"{farther:.0%}")
    return table


def _print(figures: dict[str, Any]) -> None:
    console = Console(highlight=False)
    for name, measured in figures.items():
        if not isinstance(measured, dict) or "questions" not in measured:
            continue
        sets = [(name, measured)]
        if "turns" in measured:
            sets.append((f"{name}, turn by turn", measured["turns"]))
        for called, of_set in sets:
            shares = "  ".join(
                f"@{key.removeprefix('recall_at_')} {value:.2f}"
                for key, value in of_set.items()
                if key.startswith("recall_at_")
            )
            console.print(
                f"[bold]{called}[/]  recall {shares}  ({of_set['questions']} questions, "
                f"{of_set['seen']:.0f} seen for each, "
                f"p95 {of_set['search_ms']['p95']:.0f} ms a search)"
            )
        for question in measured["missed"][:_SHOWN]:
            console.print(f"  missed: {question[:100]}", markup=False)
        if "within" in measured:
            console.print(_table(measured["within"], measured["needed"]))
    console.print(f"[dim]{figures['machine']}  {figures['seconds']} s[/]")
