"""`voice-agent actions`: what can be done on the company's systems, and what could not be told."""

from __future__ import annotations

import asyncio
import json as json_module
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="What the agent may do on the company's systems.")


@app.command("check")
def check_command(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Hold the declared actions against what their services offer; exit code 1 if they differ.

    Example: voice-agent actions check
    """
    from voice_agent.answering.actions.declaration import read_declarations
    from voice_agent.answering.actions.systems import open_sources, problems

    settings = read_settings(config).actions
    declared = read_declarations(settings.declarations)

    async def look() -> list[str]:
        sources = open_sources(declared)
        try:
            return await problems(declared, sources)
        finally:
            for source in sources.values():
                await source.close()

    found = asyncio.run(look())
    if json:
        rows = {
            name: {"effect": action.effect, "identity": action.identity, "tool": action.tool}
            for name, action in declared.actions.items()
        }
        typer.echo(json_module.dumps({"actions": rows, "problems": found}, indent=2))
    else:
        for name, action in declared.actions.items():
            who = "verified callers" if action.identity else "any caller"
            limits = ", ".join(f"{each.parameter} ≤ {each.at_most:g}" for each in action.limits)
            typer.echo(f"{name}: {action.effect}, {who}{', ' + limits if limits else ''}")
        for problem in found:
            typer.echo(problem, err=True)
    raise typer.Exit(1 if found else 0)


@app.command("outbox")
def outbox_command(
    again: Annotated[
        str | None, typer.Option("--again", help="Send this dead letter again, by its id.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """List the outcomes of calls that wait to be sent, and those that could not be.

    Example: voice-agent actions outbox --json
    """
    from voice_agent.records.outbox import Outbox

    outbox = Outbox(read_settings(config).actions.outbox)
    if again is not None:
        if not outbox.send_again(again):
            typer.echo(f"there is no dead letter {again}", err=True)
            raise typer.Exit(1)
        typer.echo(f"{again} will be sent again")
        return
    rows = [
        {"event_id": e.event_id, "state": e.state, "tries": e.tries, "reason": e.reason}
        for state in ("waiting", "dead")
        for e in outbox.events(state)
    ]
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo(f"{row['event_id']}  {row['state']}  {row['tries']} tries  {row['reason']}")
    if not rows:
        typer.echo("nothing waits, and there are no dead letters")
