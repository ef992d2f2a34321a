"""Options and reading of settings that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voice_agent.config import Settings

DEFAULT_CONFIG = Path("configs/local.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        envvar="VOICE_AGENT_CONFIG",
        help="Settings file; every key: `voice-agent check --schema`.",
        show_default=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


def read_settings(config: Path) -> Settings:
    """The settings tree.

    Raises:
        ConfigError: one line; the command line turns it into exit code 2.
    """
    from voice_agent.config import load

    return load(config)
