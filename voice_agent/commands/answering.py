"""`voice-agent answering`: which road requests take, and how sure the router may be."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

if TYPE_CHECKING:
    from voice_agent.answering.road_chooser import RoadChooser
    from voice_agent.config import Settings

app = typer.Typer(no_args_is_help=True, help="Look at and calibrate the choice of roads.")

DEFAULT_PLOT = Path("var/road_calibration.svg")


@app.command("calibrate")
def calibrate_command(
    data: Annotated[
        Path, typer.Option("--data", help="Requests with their roads: YAML or lines of JSON.")
    ],
    plot: Annotated[
        Path, typer.Option("--plot", help="Draw confidence against truth here (SVG).")
    ] = DEFAULT_PLOT,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the calibration here instead of where it is read."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Fit how sure the router may be to requests whose roads are known, and draw it.

    Agents take the calibration with their next start. Nothing else is trained: edit the examples
    and calibrate again.

    Example: voice-agent answering calibrate --data evals/trust/roads_calibration.yaml
    """
    from voice_agent.answering.calibrating import calibrate
    from voice_agent.answering.calibration import write_calibration
    from voice_agent.answering.calibration_plot import plot as draw
    from voice_agent.answering.routed_requests import read_requests

    settings = read_settings(config)
    requests = read_requests(data)
    chooser, embedder = _uncalibrated(settings)
    fitted = calibrate(chooser, requests, embedder)
    target = out or settings.answering.roads.calibration
    write_calibration(target, fitted.calibration)
    title = f"Roads of {len(requests)} requests: confidence and truth"
    plot.parent.mkdir(parents=True, exist_ok=True)
    picture = draw(fitted.before, fitted.after, settings.answering.roads.unaided, title)
    plot.write_text(picture, encoding="utf-8")
    if json:
        typer.echo(
            json_module.dumps(
                {
                    "requests": len(requests),
                    "right": round(fitted.right, 4),
                    "error_before": round(fitted.error_before, 4),
                    "error_after": round(fitted.error_after, 4),
                    "calibration": str(target),
                    "plot": str(plot),
                },
                indent=2,
            )
        )
        return
    typer.echo("confidence  choices  right")
    for row in fitted.after:
        typer.echo(f"{row.confidence:10.2f}  {row.choices:7d}  {row.right:5.2f}")
    typer.echo(
        f"{len(requests)} requests, {fitted.right:.1%} on the right road; confidence is off by "
        f"{fitted.error_after:.3f} (uncalibrated: {fitted.error_before:.3f}); each fifth was "
        "judged by a calibration fitted to the others"
    )
    typer.echo(f"calibration: {target}\nplot: {plot}")


@app.command("road")
def road_command(
    request: Annotated[str, typer.Argument(help="What a caller says.")],
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say which road a request takes, and how likely each is.

    Example: voice-agent answering road "Can you check where my order is?"
    """
    from voice_agent.answering.road_chooser import Asked, RoadChooser
    from voice_agent.knowledge.index import load_embedder

    settings = read_settings(config)
    embedder = load_embedder(settings.knowledge, settings.models.folder)
    chooser = RoadChooser.open(settings.answering.roads, embedder, settings.knowledge.index)
    asked = Asked(request)
    choice = chooser.ruled(asked) or chooser.compared(asked)
    likely = sorted(chooser.likelihoods(request).items(), key=lambda row: -row[1])
    if json:
        typer.echo(
            json_module.dumps(
                {
                    "road": choice.road.value,
                    "confidence": round(choice.confidence, 4),
                    "runner_up": choice.runner_up.value if choice.runner_up else "",
                    "because": choice.because,
                    "name": choice.name,
                    "says": choice.says,
                    "likelihoods": {road.value: round(share, 4) for road, share in likely},
                },
                indent=2,
            )
        )
        return
    named = f" ({choice.name})" if choice.name else ""
    typer.echo(f"{choice.road.value}{named}, {choice.confidence:.2f} sure, by {choice.because}")
    if choice.says:
        typer.echo(f"says: {choice.says}")
    for road, share in likely:
        typer.echo(f"{share:6.2f}  {road.value}")


def _uncalibrated(settings: Settings) -> tuple[RoadChooser, str]:
    """The router's examples without a calibration, and the embedding model's identity."""
    from voice_agent.answering.calibration import Calibration
    from voice_agent.answering.road_chooser import RoadChooser
    from voice_agent.answering.road_examples import read_roads
    from voice_agent.knowledge.index import load_embedder

    embedder = load_embedder(settings.knowledge, settings.models.folder)
    roads = settings.answering.roads
    examples = read_roads(roads.examples)
    chooser = RoadChooser(roads, examples, Calibration(), embedder, settings.knowledge.index)
    return chooser, embedder.identity
