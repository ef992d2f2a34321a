"""`voice-agent bench`: how long callers wait, measured, compared and shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

FOLDER = Path("var/bench")
BUDGETS = Path("configs/bench.yaml")


class _RunUnlessSaid(TyperGroup):
    """`bench` and `bench --json` mean `bench run`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunUnlessSaid,
    help="Measure how long callers wait, as they hear it, and compare runs.\n\n"
    "Without a command: `run`. Example: voice-agent bench --json > figures.json",
)


class Line(StrEnum):
    """How the harness rings."""

    SIP = "sip"
    WEBRTC = "webrtc"


BudgetsOption = Annotated[Path, typer.Option("--budgets", help="What a run must reach.")]


@app.command("run")
def run_command(
    quick: Annotated[
        bool,
        typer.Option("--quick", envvar="QUICK", help="An indicative run in under four minutes."),
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=2, help="Measure less, in so much time; 28 is all of it."),
    ] = None,
    speech: Annotated[
        list[Path] | None,
        typer.Option(
            "--speech", help="Folder or speech.json with recorded people; may be repeated."
        ),
    ] = None,
    pauses: Annotated[
        list[Path] | None,
        typer.Option(
            "--pauses", help="The same, of people whose pauses count and whose waits do not."
        ),
    ] = None,
    documents: Annotated[
        list[Path] | None,
        typer.Option(
            "--documents", help="Folder of documents they ask about, added to the configured ones."
        ),
    ] = None,
    sound: Annotated[
        list[Path] | None,
        typer.Option("--sound", help="WAV or FLAC file made over the agent; may be repeated."),
    ] = None,
    calls: Annotated[
        int | None, typer.Option("--calls", min=1, help="Calls that only ask questions.")
    ] = None,
    line: Annotated[Line, typer.Option("--line", help="How to ring.")] = Line.SIP,
    loss: Annotated[
        float, typer.Option("--loss", min=0, max=100, help="Packets lost each way, percent.")
    ] = 0.0,
    reorder: Annotated[
        float, typer.Option("--reorder", min=0, max=100, help="Packets out of order, percent.")
    ] = 0.0,
    jitter_ms: Annotated[
        float, typer.Option("--jitter-ms", min=0, help="Longest delay of a single packet.")
    ] = 0.0,
    noise: Annotated[
        Path | None, typer.Option("--noise", help="WAV or FLAC file of where the callers are.")
    ] = None,
    snr_db: Annotated[
        float, typer.Option("--snr-db", help="How far speech is above --noise.")
    ] = 20.0,
    stock: Annotated[
        bool,
        typer.Option("--stock/--no-stock", help="Also measure a stock pipecat pipeline."),
    ] = True,
    out: Annotated[
        Path, typer.Option("--out", help="Write the run here; the page goes beside it.")
    ] = FOLDER / "latency.json",
    budgets: BudgetsOption = BUDGETS,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Ring the product like callers do; print figures, write every turn and a page.

    Exit code 0 when every turn was answered, whatever the figures; 1 when one was not, or a part
    failed.

    Example: voice-agent bench run --speech recordings/ --out var/bench/today.json
    """
    for path in [
        *(speech or ()),
        *(pauses or ()),
        *(documents or ()),
        *(sound or ()),
        *([noise] if noise else ()),
    ]:
        if not path.exists():
            raise typer.BadParameter(f"there is no {path}")
    settings = read_settings(config)
    from evals.latency.bench import Plan, run

    network = [
        f"--{name}={value:g}"
        for name, value in (("loss", loss), ("reorder", reorder), ("jitter-ms", jitter_ms))
        if value
    ]
    if noise is not None:
        network += [f"--noise={noise}", f"--snr-db={snr_db:g}"]
    plan = Plan(
        quick=quick,
        minutes=minutes,
        speech=tuple(speech or ()),
        pauses=tuple(pauses or ()),
        documents=tuple(documents or ()),
        sounds=tuple(sound or ()),
        calls=calls,
        line=line.value,
        network=tuple(network),
        stock=stock,
        out=out,
        budgets=budgets,
    )
    raise typer.Exit(run(settings, plan, json))


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(help="The run before.")],
    b: Annotated[Path, typer.Argument(help="The run after.")],
    budgets: BudgetsOption = BUDGETS,
    json: JsonOption = False,
) -> None:
    """Say how B differs from A and whether that is chance; exit code 1 if B breaks a budget.

    Example: voice-agent bench compare before.json after.json
    """
    from evals.latency.compare import run

    raise typer.Exit(run(a, b, budgets, json))


@app.command("page")
def page_command(
    file: Annotated[Path, typer.Argument(help="A run.")] = FOLDER / "latency.json",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where; default: beside the run.")
    ] = None,
    budgets: BudgetsOption = BUDGETS,
) -> None:
    """Draw a run's page again: one HTML file that needs nothing else.

    Example: voice-agent bench page var/bench/latency.json
    """
    from evals.latency.page import write_page

    typer.echo(write_page(file, out or file.with_suffix(".html"), budgets))


@app.command("engines")
def engines_command(
    engines: Annotated[
        list[str] | None,
        typer.Option("--with", help="Only this one: wheel, native or vllm; may be repeated."),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also try llama.cpp's threads and batch.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Measure every language-model server there is on this machine; say which one suits it.

    Example: voice-agent bench engines
    """
    settings = read_settings(config)
    from evals.latency.engines import run

    raise typer.Exit(run(settings, engines=engines, json_output=json, sweep=sweep))


@app.command("prepare")
def prepare_command(
    folder: Annotated[Path, typer.Argument(help="Folder of WAV or FLAC files.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where; default: speech.json in the folder.")
    ] = None,
) -> None:
    """Find where recordings speak, pause and end, for `run --speech`; a person may correct it.

    Example: voice-agent bench prepare recordings/
    """
    from evals.latency.speech import write_prepared

    written = out or folder / "speech.json"
    recordings, utterances = write_prepared(folder, written)
    typer.echo(f"{written}: {utterances} utterances in {recordings} recordings")
