"""`voice-agent records`: what is kept of callers, for how long, and one caller's rights to it."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands.console import note
from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

if TYPE_CHECKING:
    from voice_agent.records.privacy import Report

app = typer.Typer(no_args_is_help=True, help="What is kept of callers, and for how long.")

NumberOption = Annotated[
    str, typer.Option("--number", help="The caller's number, as 15551234567 or a SIP address.")
]


@app.command("prune")
def prune_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Delete what is older than `records.keep_days` allows; the console does so every hour.

    Example: voice-agent records prune --dry-run
    """
    from voice_agent.console.privacy_api import places_of
    from voice_agent.records.privacy import prune

    settings = read_settings(config)
    kept = settings.records
    if kept.keep_days is None and kept.keep_recordings_days is None:
        typer.echo("no policy: set records.keep_days or records.keep_recordings_days", err=True)
        raise typer.Exit(2)
    if not dry_run:
        note(settings, "pruned", "", keep_days=str(kept.keep_days))
    report = prune(
        places_of(settings),
        now=time.time(),
        keep_days=kept.keep_days,
        keep_recordings_days=kept.keep_recordings_days,
        dry_run=dry_run,
    )
    _say(report, json=json, what="would be deleted" if dry_run else "deleted")


@app.command("export")
def export_command(
    number: NumberOption,
    to: Annotated[Path, typer.Option("--to", help="ZIP file to write.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write everything recorded of one caller into a ZIP.

    Example: voice-agent records export --number 15551234567 --to caller.zip
    """
    from voice_agent.console.privacy_api import places_of
    from voice_agent.records.privacy import export, number_in

    settings = read_settings(config)
    note(settings, "exported", number_in(number))
    packed = export(places_of(settings), number)
    if packed is None:
        typer.echo("nothing is recorded of that caller", err=True)
        raise typer.Exit(1)
    to.touch(0o600)
    to.write_bytes(packed)
    typer.echo(f"{to}: {len(packed)} bytes")


@app.command("erase")
def erase_command(
    number: NumberOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Delete everything recorded of one caller; exit code 1 if something could not be.

    Example: voice-agent records erase --number 15551234567 --reason "asked for by letter"
    """
    from voice_agent.console.privacy_api import fingerprint, places_of
    from voice_agent.records.privacy import erase

    settings = read_settings(config)
    note(settings, "erased", fingerprint(number), reason=reason)
    report = erase(places_of(settings), number)
    _say(report, json=json, what="deleted")
    raise typer.Exit(1 if report.failed else 0)


def _say(report: Report, *, json: bool, what: str) -> None:
    if json:
        typer.echo(json_module.dumps(report.as_dict(), indent=2))
        return
    typer.echo(
        f"{what}: {report.calls} calls, {report.turns} turns, {report.handoffs} handoffs, "
        f"{report.recordings} recordings ({report.recording_bytes / 1e6:.1f} MB)"
    )
    for name, count in report.other.items():
        typer.echo(f"  {name.replace('_', ' ')}: {count}")
    for failed in report.failed:
        typer.echo(failed, err=True)
