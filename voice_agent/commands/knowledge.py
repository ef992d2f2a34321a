"""`voice-agent knowledge`: build the index, and ask it."""

from __future__ import annotations

from typing import Annotated

import typer

from voice_agent.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Build and query the company's knowledge.")


@app.command("build")
def build_command(json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read the documents, cut them into passages and build the index; nothing to do if unchanged.

    Example: voice-agent knowledge build
    """
    from voice_agent.knowledge.commands import build

    raise typer.Exit(build(read_settings(config), as_json=json))


@app.command("ask")
def ask_command(
    question: Annotated[str, typer.Argument(help="A question as a caller would put it.")],
    json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the passages an answer would be made from, with scores and sources.

    Example: voice-agent knowledge ask "how long do I have to send something back?"
    """
    from voice_agent.knowledge.commands import ask

    raise typer.Exit(ask(read_settings(config), question, as_json=json))
