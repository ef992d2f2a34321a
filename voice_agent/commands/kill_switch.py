"""`voice-agent kill-switch`: agents off the phones, by a file alone, whatever else hangs."""

from __future__ import annotations

import json as json_module
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voice_agent.commands.operator import operator
from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption

if TYPE_CHECKING:
    from telephony.switch_file import SwitchState

app = typer.Typer(
    no_args_is_help=True,
    help="Take agents off the phones: people answer new calls, live calls are told and queued.",
)


class ScopeName(StrEnum):
    """Whose calls a switch is for."""

    ALL = "all"
    QUEUE = "queue"
    ROUTE = "route"


ScopeOption = Annotated[
    ScopeName, typer.Option("--scope", help="Every call, those of one queue, or of one route.")
]
NameOption = Annotated[str, typer.Option("--name", help="The queue's or the route's name.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the change.")]
ByOption = Annotated[str, typer.Option("--by", help="Who; this machine's user when left out.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", help="The switch's file, for when the settings cannot be read."),
]


@app.command("on")
def on_command(
    reason: ReasonOption,
    scope: ScopeOption = ScopeName.ALL,
    name: NameOption = "",
    by: ByOption = "",
    file: FileOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Agents answer nobody in the scope from now on.

    Example: voice-agent kill-switch on --scope all --reason "wrong prices since noon"
    """
    _throw(True, scope, name, reason, by, _path(file, config), json, config)


@app.command("off")
def off_command(
    reason: ReasonOption,
    scope: ScopeOption = ScopeName.ALL,
    name: NameOption = "",
    by: ByOption = "",
    file: FileOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Agents may answer in the scope again.

    Example: voice-agent kill-switch off --scope all --reason "prices are right again"
    """
    _throw(False, scope, name, reason, by, _path(file, config), json, config)


@app.command("status")
def status_command(
    file: FileOption = None, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False
) -> None:
    """Every switch, who threw it when and why; exit code 1 when the file cannot be read.

    Example: voice-agent kill-switch status --json
    """
    from telephony.switch_file import SwitchFile

    _show(SwitchFile(_path(file, config)).read(), json)


def _path(file: Path | None, config: Path) -> Path:
    """Where the switch is. Of the settings only this key is read: they need not be right."""
    if file is not None:
        return file
    import yaml

    from telephony.switch_file import DEFAULT_PATH

    try:
        tree = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        return Path(tree.get("gateway", {}).get("kill_switch", DEFAULT_PATH))
    except (OSError, AttributeError, TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise typer.BadParameter(
            f"{config} cannot be read: give the switch's file with --file", param_hint="--config"
        ) from error


def _throw(
    on: bool,
    scope: ScopeName,
    name: str,
    reason: str,
    by: str,
    path: Path,
    json: bool,
    config: Path,
) -> None:
    from telephony.switch_file import SwitchFile

    state = SwitchFile(path).throw(
        on=on, scope=scope.value, name=name, reason=reason, by=by or operator()
    )
    _show(state, json)
    if warning := _unknown(config, scope, name):
        typer.echo(warning, err=True)
    _note(on, config, path, scope.value, name, reason)


def _unknown(config: Path, scope: ScopeName, name: str) -> str:
    """What to look at again; empty where the settings know the name, or cannot be read."""
    import yaml

    from telephony.switch_file import unknown_name

    try:
        tree = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        gateway = tree.get("gateway") or {}
        routes, human = gateway.get("routes") or {}, gateway.get("human") or {}
        queues = {str(each) for each in [*(human.get("queues") or {}), *routes.values()]}
        return unknown_name(scope.value, name, queues, {str(each) for each in routes})
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        return ""


def _note(on: bool, config: Path, path: Path, scope: str, name: str, reason: str) -> None:
    """In the audit log as well, where there is one; the switch needs nothing but its file, and
    holds already."""
    try:
        if _path(None, config).resolve() != path.resolve():
            return  # a drill's, or one whose settings cannot be told
    except typer.BadParameter:
        return
    from voice_agent.urgent import go_as_usual

    go_as_usual()  # what follows takes a second of reading, and calls are going on
    try:
        from voice_agent.commands.console import note
        from voice_agent.config import load

        action = "kill_switch_on" if on else "kill_switch_off"
        note(load(config), action, scope, name=name or None, reason=reason)
    except Exception as error:  # whatever it is: the switch holds, and its file says by whom
        typer.echo(f"not in the audit log: {error}", err=True)


def _show(state: SwitchState, json: bool) -> None:
    from telephony.switch_file import as_rows

    if json:
        rows = {"switches": as_rows(state.switches), "changes": as_rows(state.changes)}
        typer.echo(json_module.dumps(rows, indent=2))
        return
    if not state.switches:
        typer.echo("Agents answer everywhere.")
    for switch in state.switches:
        where = " ".join(part for part in (switch.scope, switch.name) if part)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(switch.since))
        word = "ON, people answer" if switch.on else "off, agents answer"
        typer.echo(f"{where}: {word} since {since} by {switch.by}: {switch.reason}")
