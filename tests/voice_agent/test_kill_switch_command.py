"""`voice-agent kill-switch`: by the file alone, with a reason, whatever the settings are like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from telephony.switch_file import DEFAULT_PATH, SwitchFile
from voice_agent.cli import app
from voice_agent.config import Settings
from voice_agent.urgent import go_first


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["kill-switch", *arguments], env={"NO_COLOR": "1"})


def test_on_off_and_status_go_by_the_file_of_the_settings(tmp_path: Path) -> None:
    config, switch = tmp_path / "settings.yaml", tmp_path / "switch.json"
    config.write_text(f"gateway: {{kill_switch: {switch}, unknown: the rest need not be right}}")
    where = ("--config", str(config))
    assert run("on", "--scope", "all", "--reason", "wrong prices", *where).exit_code == 0
    assert SwitchFile(switch).read().holding("any", "main") is not None
    told = json.loads(run("status", "--json", *where).stdout)
    assert told["switches"][0]["reason"] == "wrong prices"
    assert run("off", "--reason", "prices are right", "--by", "ana", *where).exit_code == 0
    told = json.loads(run("status", "--json", *where).stdout)
    assert [(c["on"], c["by"] != "") for c in told["changes"]] == [(True, True), (False, True)]
    assert told["changes"][-1]["by"] == "ana"


def test_one_queue_is_switched_without_the_others(tmp_path: Path) -> None:
    where = ("--file", str(tmp_path / "switch.json"))
    assert (
        run("on", "--scope", "queue", "--name", "sales", "--reason", "why", *where).exit_code == 0
    )
    state = SwitchFile(tmp_path / "switch.json").read()
    assert state.holding("any", "sales") is not None
    assert state.holding("any", "main") is None
    assert "queue sales: ON" in run("status", *where).stdout


@pytest.mark.parametrize(("name", "warned"), [("main", False), ("shop", False), ("shpo", True)])
def test_a_queue_that_the_settings_do_not_have_is_switched_with_a_warning(
    tmp_path: Path, name: str, warned: bool
) -> None:
    config, switch = tmp_path / "settings.yaml", tmp_path / "switch.json"
    config.write_text(f"gateway: {{kill_switch: {switch}, routes: {{sales: shop}}}}")
    how = ("--scope", "queue", "--name", name, "--reason", "why", "--config", str(config))
    result = run("on", *how)
    assert result.exit_code == 0
    assert ("no queue shpo" in result.stderr) is warned
    assert SwitchFile(switch).read().holding("any", name) is not None


@pytest.mark.parametrize("settings", ["", "agent: {}"])
def test_settings_that_name_no_queue_at_all_have_the_usual_one_alone(
    tmp_path: Path, settings: str
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(settings)
    how = ("--scope", "queue", "--reason", "why", "--file", str(tmp_path / "switch.json"))
    where = ("--config", str(config))
    assert "no queue shpo; they have: main" in run("on", *how, "--name", "shpo", *where).stderr
    assert "no queue" not in run("on", *how, "--name", "main", *where).stderr


@pytest.mark.parametrize(
    "arguments",
    [("on",), ("on", "--reason", "why", "--scope", "moon"), ("on", "--reason", "why", "--config")],
)
def test_what_is_not_clear_is_not_done(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "switch.json"
    assert run(*arguments, "--file", str(path)).exit_code == 2
    assert not path.exists()


def test_settings_that_cannot_be_read_do_not_keep_anybody_from_the_switch(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("gateway: [unclosed")
    refused = run("on", "--reason", "why", "--config", str(config))
    assert refused.exit_code == 2
    assert "--file" in refused.output
    assert run("on", "--reason", "why", "--file", str(tmp_path / "s.json")).exit_code == 0


def test_the_command_and_the_gateway_look_at_the_same_file_by_default() -> None:
    assert Settings().gateway.kill_switch == DEFAULT_PATH


def test_only_the_switch_goes_before_other_processes() -> None:
    assert not go_first(["voice-agent", "serve"])
    assert not go_first(["voice-agent"])
