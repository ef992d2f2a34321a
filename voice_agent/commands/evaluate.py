"""`voice-agent eval`: whether what the agent says and does can be trusted, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(
    no_args_is_help=True, help="Measure whether what the agent says and does can be trusted."
)

OutOption = Annotated[Path | None, typer.Option("--out", help="Also write the JSON here.")]
ReachesOption = Annotated[Path, typer.Option("--reaches", help="What the figures must reach.")]
DEFAULT_REACHES = Path("configs/trust.yaml")


@app.command("trust")
def trust_command(
    data: Annotated[Path, typer.Option("--data", help="Folder of public material.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this part; may be repeated.")
    ] = None,
    json: JsonOption = False,
    out: OutOption = None,
    reaches: ReachesOption = DEFAULT_REACHES,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Measure grounding, roads, attacks, personal data and actions; exit code 1 below a reach.

    Example: voice-agent eval trust --data data --json > trust.json
    """
    from evals.trust.run import run

    settings = read_settings(config)
    raise typer.Exit(run(settings, data, only or (), as_json=json, out=out, reaches=reaches))


@app.command("actions")
def actions_command(
    json: JsonOption = False,
    out: OutOption = None,
    reaches: ReachesOption = DEFAULT_REACHES,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let simulated callers interrupt action flows; exit code 1 if a write is done twice.

    Example: voice-agent eval actions --json
    """
    from evals.trust.run import run

    settings = read_settings(config)
    raise typer.Exit(run(settings, Path(), ("actions",), as_json=json, out=out, reaches=reaches))
