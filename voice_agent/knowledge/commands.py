"""`voice-agent knowledge build`, `retry`, `search` and `ask`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from voice_agent.answering.chat_protocol import Token
from voice_agent.answering.language_model import LanguageModel
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import AnsweringSettings, Settings
from voice_agent.knowledge.build import LEDGER, BuildOptions, BuildReport, build_index, run_fields
from voice_agent.knowledge.console_output import fail, print_json, progress_bars
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.index import Knowledge
from voice_agent.knowledge.ledger import Ledger
from voice_agent.knowledge.parallel_embedder import ParallelEmbedder
from voice_agent.knowledge.search import Retrieval
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import VersionStore

_COMMAND_DEADLINE_MS = 30_000  # a person at a prompt can wait; a caller cannot


def build(settings: Settings, as_json: bool, options: BuildOptions | None = None) -> int:
    """Build the index and promote it if the gate lets it.

    Refused documents are listed with their reasons, and do not make the build fail.

    Returns:
        0 when the version answers, or was not to; 1 when it was held back or nothing was built.
    """
    options = options or BuildOptions()
    knowledge = settings.knowledge
    try:
        server = PassageStore.at_server(knowledge.server_url) if knowledge.server_url else None
        with (
            progress_bars() as show,
            ParallelEmbedder.load(
                knowledge, settings.models.folder, knowledge.build_threads
            ) as embedder,
        ):
            report = build_index(knowledge, embedder, show, server, options)
    except KnowledgeError as error:
        return fail(error, as_json)
    if as_json:
        print_json(_report_fields(report))
    else:
        _print_report(report)
    return 1 if report.held_back and options.promote else 0


def retry(settings: Settings, names: list[str], as_json: bool) -> int:
    """Fetch and parse anew what failed or was refused, then build; exit codes as `build`."""
    try:
        with VersionStore(settings.knowledge.index).building():
            ledger = Ledger(settings.knowledge.index / LEDGER)
            try:
                number = ledger.retry(names)
            finally:
                ledger.close()
    except KnowledgeError as error:
        return fail(error, as_json)
    if names and not number:
        Console(stderr=True).print("nothing of that name has failed; see `knowledge status`")
        return 1
    return build(settings, as_json, BuildOptions(why="retry"))


def _report_fields(report: BuildReport) -> dict[str, Any]:
    return {
        **run_fields(report),
        "refused": [{"document": r.document, "reason": r.reason} for r in report.refused],
        "refused_count": report.refused_count,
        "notes": [{"document": document, "note": note} for document, note in report.notes],
        "reused": report.reused,
        "embed_s": report.embed_s,
        "seconds": report.seconds,
        "verdict": asdict(report.verdict) if report.verdict else None,
        "pruned": list(report.pruned),
    }


def _print_report(report: BuildReport) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for refusal in report.refused:
        console.print(f"[yellow]refused[/] {escape(refusal.document)}: {escape(refusal.reason)}")
    for document, note in report.notes:
        console.print(f"[dim]noted[/]   {escape(document)}: {escape(note)}")
    how = "nothing changed"
    if report.embedded:
        how = (
            f"embedded {report.embedded} ({report.passages_per_s:.0f} passages/s from source to "
            f"index, at most {report.peak_mb} MB)"
        )
    elif not report.reused:
        how = "nothing to embed"
    console.print(
        f"{report.documents} documents, {report.passages} passages, "
        f"{report.refused_count} refused (completeness {report.completeness:.1%}); {how}"
    )
    verdict = report.verdict
    if verdict and verdict.recall_after is not None and verdict.recall_before is not None:
        console.print(
            f"stored questions found: {verdict.recall_after:.1%}, were {verdict.recall_before:.1%}"
        )
    if report.held_back:
        console.print(f"[yellow]{escape(report.held_back)}[/]")
    else:
        since = "still answers" if report.reused and not report.verdict else "answers from now on"
        console.print(f"version {report.version} {since} ({report.seconds:.1f} s)")


def search(settings: Settings, question: str, as_json: bool, *, with_answer: bool = False) -> int:
    """Print the passages a question finds, and the model's answer if asked for and it runs.

    Works beside running agents. 0 when passages were found, 1 when none was or on an error.
    """
    patient = settings.knowledge.model_copy(update={"deadline_ms": _COMMAND_DEADLINE_MS})
    try:
        knowledge = Knowledge.open(patient, settings.models.folder)
        try:
            found = asyncio.run(knowledge.search(question))
        finally:
            knowledge.close()
    except KnowledgeError as error:
        return fail(error, as_json)
    answer = None
    if with_answer and found.passages:
        answer = asyncio.run(_answer(settings.answering, question, found))
    if as_json:
        print_json({"question": question, "answer": answer, **asdict(found)})
    else:
        _print_found(found, answer)
    return 0 if found.passages else 1


def ask(settings: Settings, question: str, as_json: bool) -> int:
    """`search`, with the model's answer."""
    return search(settings, question, as_json, with_answer=True)


async def _answer(settings: AnsweringSettings, question: str, found: Retrieval) -> str | None:
    """What the language model says to the passages; None when its server cannot be used."""
    try:
        template = settings.prompt.read_text(encoding="utf-8")
    except OSError:
        return None
    messages = AnswerPrompt(template, settings.company).messages(question, found.passages)
    model = LanguageModel(settings.model)
    text = ""
    try:
        async with aclosing(model.stream(messages)) as items:
            async for item in items:
                if isinstance(item, Token):
                    text += item.text
    except LanguageModelError:
        return None
    finally:
        await model.close()
    return text.strip() or None


def _print_found(found: Retrieval, answer: str | None) -> None:
    console = Console(highlight=False)
    if not found.passages:
        console.print("No passage is near enough to this question.")
    for passage in found.passages:
        heading = f" > {passage.heading}" if passage.heading else ""
        console.print(f"[bold]{passage.score:.2f}  {escape(passage.title + heading)}[/]")
        console.print(f"      {escape(passage.text)}")
        console.print(f"      [dim]{escape(passage.source)}  {escape(passage.passage_id)}[/]")
    if answer is not None:
        console.print(f"\n[bold green]{escape(answer)}[/]\n")
    console.print(f"[dim]{found.took_ms:.1f} ms, version {found.version}[/]")
