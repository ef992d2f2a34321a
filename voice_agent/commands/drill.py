"""`voice-agent drill`: what must work on a bad day, tried on a good one, and how long it took."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Drills, with figures; exit code 1: one is missed.")

CallsOption = Annotated[int, typer.Option("--calls", min=1, max=100, help="Live calls.")]
TakeoversOption = Annotated[
    int, typer.Option("--takeovers", min=0, max=200, help="Takeovers to measure; 0: none.")
]


@app.command("kill-switch")
def kill_switch_command(
    calls: CallsOption = 20,
    takeovers: TakeoversOption = 20,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Ring a gateway of its own on loopback, hang every agent, throw the switch, and measure.

    Live calls are not touched. Every drill's figures are kept in `drills.record`.

    Example: voice-agent drill kill-switch --json
    """
    from evals.drills.kill_switch import run
    from evals.drills.record import keep

    settings = read_settings(config)
    figures = run(settings.gateway, calls=calls, takeovers=takeovers)
    keep(Path(settings.drills.record), "kill-switch", figures)
    if json:
        typer.echo(json_module.dumps(figures.as_dict(), indent=2))
    else:
        for line in figures.lines():
            typer.echo(line)
    raise typer.Exit(0 if figures.reached else 1)


@app.command("handoff")
def handoff_command(
    outcomes: Annotated[
        int, typer.Option("--outcomes", min=1, max=5000, help="Scripted handoffs.")
    ] = 500,
    rings: Annotated[
        int, typer.Option("--rings", min=0, max=100, help="Callers on a real line; 0: none.")
    ] = 12,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Let people be busy, decline, hang up or not answer, and see where each caller ends.

    Also measures how soon a person's telephone rings: the whole product on free ports, for which
    its models must be there. Live calls are not touched.

    Example: voice-agent drill handoff --json
    """
    from evals.drills.handoff import run
    from evals.drills.record import keep

    settings = read_settings(config)
    figures = run(
        settings,
        outcomes=outcomes,
        rings=rings,
        report=lambda line: typer.echo(line, err=True),
    )
    keep(Path(settings.drills.record), "handoff", figures)
    if json:
        typer.echo(json_module.dumps(figures.as_dict(), indent=2))
    else:
        for line in figures.lines():
            typer.echo(line)
    raise typer.Exit(0 if figures.reached else 1)


@app.command("watch")
def watch_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Drill the kill switch every day at `drills.kill_switch_at`, until stopped.

    `voice-agent serve` runs this by itself where that time is set.

    Example: voice-agent drill watch
    """
    from evals.drills.record import watch

    watch(read_settings(config).drills, config)
