"""The `voice-agent` command. Every import that takes time happens inside its command."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands import (
    actions,
    answering,
    audit,
    bench,
    console,
    drill,
    evaluate,
    handoff,
    kill_switch,
    knowledge,
    models,
    records,
)
from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings
from voice_agent.errors import code_of

if TYPE_CHECKING:
    from voice_agent.serve import Addresses

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A self-hosted voice agent that answers a contact centre's phone.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration. "
    "Start with: voice-agent models pull, then voice-agent serve.",
)
app.add_typer(models.app, name="models")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(actions.app, name="actions")
app.add_typer(bench.app, name="bench")
app.add_typer(answering.app, name="answering")
app.add_typer(evaluate.app, name="eval")
app.add_typer(console.app, name="console")
app.add_typer(audit.app, name="audit")
app.add_typer(records.app, name="records")
app.add_typer(kill_switch.app, name="kill-switch")
app.add_typer(drill.app, name="drill")
app.add_typer(handoff.app, name="handoff")


@app.command()
def serve(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Run every process, restarted when one dies, until Ctrl-C or SIGTERM.

    Example: voice-agent serve --config configs/local.yaml
    """
    settings = read_settings(config)
    from voice_agent.check import warnings
    from voice_agent.serve import as_dict, first_steps, run

    def ready(where: Addresses) -> None:
        if json:
            typer.echo(json_module.dumps(as_dict(where)))
            return
        for label, address in (
            ("Page", where.page),
            ("Dial", where.sip),
            ("Console", where.console),
        ):
            if address:
                typer.echo(f"{label + ':':9}{address}")
        for line in [*first_steps(settings, config), *warnings(settings)]:
            typer.echo(line)
        typer.echo("Logs are in var/log. Stop with Ctrl-C.")

    def report(line: str) -> None:
        typer.echo(line, err=True)

    raise typer.Exit(run(settings, config, report=report, ready=ready))


@app.command()
def gateway(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the telephony gateway alone: SIP, WebRTC and the page.

    Example: voice-agent gateway --config configs/local.yaml
    """
    settings = read_settings(config)
    from telephony.gateway import run
    from voice_agent.records.logs import configure

    configure(settings.logging)
    raise typer.Exit(run(settings.gateway))


@app.command()
def agent(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the agent alone: it waits for the gateway's media streams.

    Example: voice-agent agent --config configs/local.yaml
    """
    settings = read_settings(config)
    from voice_agent.agent import run
    from voice_agent.records.logs import configure

    configure(settings.logging)
    raise typer.Exit(run(settings))


@app.command()
def call(
    uri: Annotated[str, typer.Argument(help="SIP address to ring, e.g. sip:agent@127.0.0.1")],
    say: Annotated[
        list[Path] | None,
        typer.Option("--say", help="WAV file to say, one a turn; may be repeated."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="Words to say in Piper's voice, after the files; likewise."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write what happened, turn by turn, here.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="Write a stereo WAV of the call here.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Ring the agent as a test caller: say words or recordings, hear answers, measure.

    Example: voice-agent call sip:agent@127.0.0.1 --say a.wav --say b.wav --json out.json
    """
    if not say and not text:
        raise typer.BadParameter("say something: --text or --say")
    for path in say or ():
        if not path.is_file():
            raise typer.BadParameter(f"there is no file {path}", param_hint="--say")
    settings = read_settings(config)
    from evals.caller import call_command

    raise typer.Exit(call_command(uri, say or (), text or (), json, record, settings))


@app.command()
def demo(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Start everything, let a simulated caller ring, show the conversation, stop everything.

    Example: voice-agent demo
    """
    settings = read_settings(config)
    from evals.demo import run

    raise typer.Exit(run(settings, config))


@app.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of the settings file.")
    ] = False,
    running: Annotated[
        bool, typer.Option("--running", help="Ask the running processes instead of the ports.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say in one line each what would stop this configuration; exit code 2 if anything would.

    Example: voice-agent check --config configs/gpu.yaml
    """
    if schema:
        from voice_agent.config import Settings

        typer.echo(json_module.dumps(Settings.model_json_schema(), indent=2))
        return
    from voice_agent.check import Finding, findings, running_findings, serving, warnings
    from voice_agent.config import ConfigError, load_sound_part

    try:
        settings, faults = load_sound_part(config)
    except ConfigError as error:
        settings, faults = None, [str(error)]
    found = [Finding(ConfigError.code, line) for line in faults]
    own_ports = False
    if settings is not None:
        own_ports = not running and serving(settings)
        found += (
            running_findings(settings) if running else findings(settings, check_ports=not own_ports)
        )
    if json:
        rows = [{"code": finding.code, "message": finding.message} for finding in found]
        typer.echo(json_module.dumps(rows, indent=2))
    else:
        for finding in found:
            typer.echo(finding.message, err=True)
        for line in warnings(settings) if settings else []:
            typer.echo(f"Warning: {line}", err=True)
        if own_ports:
            typer.echo(
                "The agent is running: its ports are not looked at (`check --running` asks)."
            )
        if not found:
            typer.echo(f"{config}: everything answers" if running else f"{config}: ready to serve")
    raise typer.Exit(2 if found else 0)


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the version.

    Example: voice-agent version
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        number = installed("voice-agent")
    except PackageNotFoundError:
        number = "not installed"
    typer.echo(json_module.dumps({"version": number}) if json else f"voice-agent {number}")


def main() -> None:
    """Run the command line; our own errors are one line on standard error, never a traceback."""
    try:
        app()
    except Exception as error:
        if not code_of(error):
            raise  # a bug: the traceback is wanted
        print(f"voice-agent: {error}", file=sys.stderr)
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    given = getattr(error, "exit_code", None)
    if isinstance(given, int):
        return given
    return 2 if code_of(error) == "config_invalid" else 1
