"""`voice-agent knowledge build` and `voice-agent knowledge ask`."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from voice_agent.answering.chat_protocol import Token
from voice_agent.answering.language_model import LanguageModel
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import AnsweringSettings, Settings
from voice_agent.knowledge.build import BuildReport, build_index
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.index import Knowledge, Retrieval, load_embedder
from voice_agent.knowledge.store import PassageStore

_COMMAND_DEADLINE_MS = 30_000  # a person at a prompt can wait; a caller cannot


def build(settings: Settings, as_json: bool) -> int:
    """Build and promote the index; 0 when done, 1 when nothing could be built.

    Refused documents are listed with their reasons, and do not make the build fail.
    """
    quiet = Console(stderr=True)
    try:
        embedder = load_embedder(settings.knowledge, settings.models.folder)
        url = settings.knowledge.server_url
        server = PassageStore.at_server(url) if url else None
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=quiet,
            transient=True,
        ) as bars:
            tasks: dict[str, TaskID] = {}

            def show(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bars.add_task(step, total=total)
                bars.update(tasks[step], completed=done)

            report = build_index(settings.knowledge, embedder, show, server)
    except KnowledgeError as error:
        return _fail(error, as_json)
    if as_json:
        print(json.dumps(_report_fields(report), indent=2, ensure_ascii=False))
    else:
        _print_report(report)
    return 0


def _report_fields(report: BuildReport) -> dict[str, Any]:
    return {
        "version": report.version,
        "documents": report.documents,
        "passages": report.passages,
        "refused": [{"document": r.document, "reason": r.reason} for r in report.refused],
        "reused": report.reused,
        "embed_s": report.embed_s,
        "seconds": report.seconds,
    }


def _print_report(report: BuildReport) -> None:
    console = Console(highlight=False)
    for refusal in report.refused:
        console.print(f"[yellow]refused[/] {escape(refusal.document)}: {escape(refusal.reason)}")
    how = "nothing changed" if report.reused else f"embedded in {report.embed_s:.1f} s"
    console.print(
        f"{report.documents} documents, {report.passages} passages, {len(report.refused)} refused; "
        f"{how}; version {report.version} answers from now on ({report.seconds:.1f} s)"
    )


def ask(settings: Settings, question: str, as_json: bool) -> int:
    """Print the passages a question finds, and the model's answer if its server runs.

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
        return _fail(error, as_json)
    answer = asyncio.run(_answer(settings.answering, question, found)) if found.passages else None
    if as_json:
        fields: dict[str, Any] = {"question": question, "answer": answer, **asdict(found)}
        print(json.dumps(fields, indent=2, ensure_ascii=False))
    else:
        _print_found(found, answer)
    return 0 if found.passages else 1


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


def _fail(error: KnowledgeError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": str(error)}}))
    else:
        Console(stderr=True, highlight=False).print(f"[red]{escape(str(error))}[/]")
    return 1
