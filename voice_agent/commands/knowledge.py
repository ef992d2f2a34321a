"""`voice-agent knowledge`: build, look after and ask the company's knowledge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Build, look after and ask the company's knowledge.")

_POLITE = 10  # calls that are answered beside it come first

WhyOption = Annotated[str, typer.Option("--why", help="The reason, kept in the journal.")]
Version = Annotated[str, typer.Argument(help="A version; its first digits will do.")]


@app.command("build")
def build_command(
    promote: Annotated[
        bool, typer.Option(help="Let the new version answer, if the gate lets it.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Promote against the gate's verdict; needs --why.")
    ] = False,
    why: WhyOption = "",
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Fetch, parse, check and embed what has changed, and let the new version answer.

    A killed build is taken up where it was. What cannot be used is listed with the reason.

    Example: voice-agent knowledge build
    """
    _needs_reason(force, why)
    from voice_agent.knowledge.build import BuildOptions
    from voice_agent.knowledge.commands import build

    os.nice(_POLITE)
    options = BuildOptions(promote=promote, force=force, why=why or "build")
    raise typer.Exit(build(read_settings(config), json, options))


@app.command("retry")
def retry_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Documents or addresses; none: all that failed.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Fetch and parse again what failed or was refused, then build.

    Example: voice-agent knowledge retry returns.pdf
    """
    from voice_agent.knowledge.commands import retry

    os.nice(_POLITE)
    raise typer.Exit(retry(read_settings(config), names or [], json))


@app.command("status")
def status_command(json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say what answers, what became of every document, and what is wrong; 1 if nothing answers.

    Example: voice-agent knowledge status
    """
    from voice_agent.knowledge.commands_versions import status

    raise typer.Exit(status(read_settings(config), json))


@app.command("versions")
def versions_command(json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the versions that are kept, newest first.

    Example: voice-agent knowledge versions
    """
    from voice_agent.knowledge.commands_versions import versions

    raise typer.Exit(versions(read_settings(config), json))


@app.command("diff")
def diff_command(
    before: Annotated[str, typer.Argument(help="A version; none: the one before.")] = "",
    after: Annotated[str, typer.Argument(help="A version; none: the current one.")] = "",
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say which documents and passages differ between two versions.

    Example: voice-agent knowledge diff 3f2a 91bc
    """
    from voice_agent.knowledge.commands_versions import diff

    raise typer.Exit(diff(read_settings(config), before, after, json))


@app.command("promote")
def promote_command(
    version: Version,
    force: Annotated[
        bool, typer.Option("--force", help="Promote against the gate's verdict; needs --why.")
    ] = False,
    why: WhyOption = "",
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a kept version answer from the next turn on, if the gate lets it; 1 if it does not.

    Example: voice-agent knowledge promote 3f2a --why "new prices"
    """
    _needs_reason(force, why)
    from voice_agent.knowledge.commands_versions import promote

    raise typer.Exit(promote(read_settings(config), version, why or "by hand", force, json))


@app.command("rollback")
def rollback_command(
    why: WhyOption = "by hand", json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Let the version before the current one answer again. Takes a moment, waits for no build.

    Example: voice-agent knowledge rollback --why "wrong prices"
    """
    from voice_agent.knowledge.commands_versions import rollback

    raise typer.Exit(rollback(read_settings(config), why, json))


@app.command("pin")
def pin_command(
    version: Version,
    why: WhyOption = "by hand",
    release: Annotated[bool, typer.Option("--release", help="Let it be deleted again.")] = False,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep a version from being deleted, however old it gets.

    Example: voice-agent knowledge pin 3f2a --why "complaint of 3 May"
    """
    from voice_agent.knowledge.commands_versions import pin

    raise typer.Exit(pin(read_settings(config), version, None if release else why, json))


@app.command("search")
def search_command(
    question: Annotated[str, typer.Argument(help="A question as a caller would put it.")],
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the passages a question finds, with scores and sources; 1 if none.

    Example: voice-agent knowledge search "how long do I have to send something back?"
    """
    from voice_agent.knowledge.commands import search

    raise typer.Exit(search(read_settings(config), question, as_json=json))


@app.command("evaluate")
def evaluate_command(
    spoken_faq: Annotated[
        Path | None, typer.Option(help="Folder of spoken questions about FAQ entries.")
    ] = None,
    bank: Annotated[
        Path | None, typer.Option(help="Folder of a bank's documents and tasks.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Stored questions, asked of the version that answers.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Measure how much of what callers need is found; without a folder, the stored questions.

    Example: voice-agent knowledge evaluate --questions configs/knowledge_questions.yaml
    """
    from voice_agent.knowledge.commands_evaluate import evaluate

    settings = read_settings(config)
    if spoken_faq is None and bank is None and questions is None:
        questions = settings.knowledge.questions
    raise typer.Exit(evaluate(settings, spoken_faq, bank, questions, json))


@app.command("ask")
def ask_command(
    question: Annotated[str, typer.Argument(help="A question as a caller would put it.")],
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the passages, and the answer that the language model makes from them if it runs.

    Example: voice-agent knowledge ask "how long do I have to send something back?"
    """
    from voice_agent.knowledge.commands import ask

    raise typer.Exit(ask(read_settings(config), question, as_json=json))


@app.command("replay")
def replay_command(
    turn_id: Annotated[str, typer.Argument(help="A turn of the records.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every recorded turn.")] = False,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Find a turn's passages again on the version that answered it; 1 if they are others.

    Example: voice-agent knowledge replay 5d1c77
    """
    if bool(turn_id) == every:
        raise typer.BadParameter("name a turn, or give --all", param_hint="TURN_ID")
    from voice_agent.knowledge.commands_looking_back import replay_turns

    raise typer.Exit(replay_turns(read_settings(config), turn_id, json))


@app.command("report")
def report_command(
    days: Annotated[int, typer.Option(min=1, help="Turns of so many days.")] = 28,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("var/knowledge-report.html"),
    metrics: Annotated[
        Path | None, typer.Option(help="Also write Prometheus metrics here (textfile collector).")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Draw which passages are found and which never, what found nothing, and what is stale.

    Example: voice-agent knowledge report --out report.html
    """
    from voice_agent.knowledge.commands_looking_back import report

    raise typer.Exit(report(read_settings(config), days, out, metrics, json))


@app.command("copy")
def copy_command(
    to: Annotated[str, typer.Option("--to", help="Address of the Qdrant server.")],
    every: Annotated[bool, typer.Option("--all", help="Every version that is kept.")] = False,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy the index to a Qdrant server, which answers once `knowledge.server_url` names it.

    Example: voice-agent knowledge copy --to http://127.0.0.1:6333
    """
    from voice_agent.knowledge.commands_versions import copy

    raise typer.Exit(copy(read_settings(config), to, every, json))


@app.command("watch")
def watch_command(
    every: Annotated[
        float, typer.Option(min=0, help="Seconds between looks; 0: `knowledge.watch_s`, or 10.")
    ] = 0.0,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Look for changed documents again and again, and let them answer, until stopped.

    Example: voice-agent knowledge watch --every 10
    """
    from voice_agent.knowledge.commands_looking_back import watch_documents

    raise typer.Exit(watch_documents(read_settings(config), every, json))


def _needs_reason(force: bool, why: str) -> None:
    if force and not why.strip():
        raise typer.BadParameter("--force needs a reason: --why", param_hint="--why")
