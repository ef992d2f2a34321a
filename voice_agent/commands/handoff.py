"""`voice-agent handoff`: who is to be called back, and who has left a message."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Callers who wait for people: call-backs, messages.")


@app.command("call-backs")
def call_backs_command(
    every: Annotated[bool, typer.Option("--all", help="Also those done and given up.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """List promised call-backs, the oldest first.

    Example: voice-agent handoff call-backs --all --json
    """
    from telephony.call_backs import CallBacks

    settings = read_settings(config).gateway.human.call_backs
    kept = CallBacks.look(settings) if settings.path.exists() else []
    shown = [each for each in kept if every or each.state in ("waiting", "ringing")]
    if json:
        rows = [{**asdict(each), "announcement": len(each.announcement)} for each in shown]
        typer.echo(json_module.dumps(rows, indent=2))
        return
    for each in shown:
        reason = f" ({each.reason})" if each.reason else ""
        typer.echo(
            f"{_time(each.asked_at)}  {each.number}  {each.queue or 'human line'}  "
            f"{each.state}{reason}  {each.tries} tries  {each.cause}"
        )
    if not shown:
        typer.echo("nobody waits to be called back")


@app.command("messages")
def messages_command(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List the messages callers have left, with their words, the oldest first.

    Example: voice-agent handoff messages
    """
    from voice_agent.handoff.voicemail import messages

    folder = read_settings(config).handoff.voicemail
    found = messages(folder) if folder.is_dir() else []
    if json:
        rows = [{**asdict(each), "file": f"{each.message_id}.wav"} for each in found]
        typer.echo(json_module.dumps(rows, indent=2))
        return
    for each in found:
        typer.echo(f"{_time(each.at)}  {each.caller}  {each.seconds:.0f} s  {each.message_id}.wav")
        typer.echo(f"  {each.words or '(not transcribed)'}")
    if not found:
        typer.echo("no messages")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
