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
    from voice_agent.records.retention import policy_of

    settings = read_settings(config)
    kept = settings.records
    if kept.keep_days is None and kept.keep_recordings_days is None:
        typer.echo("no policy: set records.keep_days or records.keep_recordings_days", err=True)
        raise typer.Exit(2)
    policy = policy_of(kept.keep_days, kept.keep_recordings_days)
    if not dry_run:
        note(settings, "pruning", "", policy=policy)
    report = prune(
        places_of(settings),
        now=time.time(),
        keep_days=kept.keep_days,
        keep_recordings_days=kept.keep_recordings_days,
        dry_run=dry_run,
    )
    if not dry_run:
        note(settings, "pruned", "", policy=policy, **report.as_dict())
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
    from voice_agent.console.privacy_api import fingerprint, places_of
    from voice_agent.records.privacy import export

    settings = read_settings(config)
    note(settings, "exported", fingerprint(settings, number))
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
    note(settings, "erased", fingerprint(settings, number), reason=reason)
    report = erase(places_of(settings), number)
    note(settings, "erasure_done", fingerprint(settings, number), reason=reason, **report.as_dict())
    _say(report, json=json, what="deleted")
    raise typer.Exit(1 if report.failed else 0)


@app.command("report")
def report_command(
    days: Annotated[float, typer.Option("--days", min=0, help="How far to look back.")] = 90.0,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Say what was deleted, when, by whom and under which policy; exit code 1 if the audit log,
    which this is read from, is not whole.

    Example: voice-agent records report --days 365
    """
    from voice_agent.console.app import audit_log
    from voice_agent.records.retention import deletions, policy_of

    settings = read_settings(config)
    log = audit_log(settings)
    fault = log.verify().fault
    policy = policy_of(settings.records.keep_days, settings.records.keep_recordings_days)
    found = deletions(log.entries(), time.time() - days * 86_400)
    if json:
        told = [each.as_dict() for each in found]
        typer.echo(json_module.dumps({"policy": policy, "fault": fault, "deleted": told}, indent=2))
    else:
        typer.echo(f"policy: {policy}")
        for each in found:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.at))
            typer.echo(
                f"{when}  {each.by}: {each.calls} calls, {each.turns} turns, {each.recordings} "
                f"recordings ({each.recording_bytes / 1e6:.1f} MB); {each.policy}"
                + (f"; {each.failed} failed" if each.failed else "")
            )
        typer.echo(fault or f"{len(found)} deletions in {days:g} days", err=bool(fault))
    raise typer.Exit(1 if fault else 0)


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
    if report.live:
        typer.echo(
            f"may still be going on, erase again afterwards: {', '.join(report.live)}", err=True
        )
