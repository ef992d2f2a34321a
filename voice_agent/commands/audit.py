"""`voice-agent audit`: who did what in the console, and whether that log is whole."""

from __future__ import annotations

import json as json_module
import time
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Who did what in the console.")


@app.command("verify")
def verify_command(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Follow the audit log's chain from end to end; exit code 1 where it is broken.

    Example: voice-agent audit verify
    """
    from voice_agent.console.app import audit_log

    settings = read_settings(config)
    verdict = audit_log(settings).verify()
    if json:
        typer.echo(json_module.dumps(asdict(verdict)))
    elif verdict.fault:
        typer.echo("\n".join(verdict.faults), err=True)
    else:
        key = settings.console.audit_key_env
        signed = "signed" if verdict.signed else f"not signed: set {key}"
        if verdict.unsigned:
            signed += f" but for the first {verdict.unsigned}, from before the key was set"
        typer.echo(f"whole: {verdict.entries} entries, {signed}")
    raise typer.Exit(1 if verdict.fault else 0)


@app.command("show")
def show_command(
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the latest.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Print the latest acts, oldest first.

    Example: voice-agent audit show --last 20
    """
    from voice_agent.console.app import audit_log

    entries = list(islice(audit_log(read_settings(config)).newest(), last))[::-1]
    if json:
        typer.echo(json_module.dumps([asdict(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(entry.at))
        detail = " ".join(f"{key}={value}" for key, value in entry.detail.items())
        typer.echo(f"{at}  {entry.user} {entry.action} {entry.target}  {detail}".rstrip())
