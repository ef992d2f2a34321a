"""The commands beside the page: users, roles, the audit log, one caller's data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.voice_agent.console.conftest import PASSWORD, SettingsMaker
from tests.voice_agent.console.recorded import a_call, a_turn, record
from voice_agent.cli import app
from voice_agent.config import load
from voice_agent.console.app import accounts
from voice_agent.console.passwords import password_fits

runner = CliRunner()


@pytest.fixture
def config(make_settings: SettingsMaker, tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(make_settings().model_dump(mode="json", exclude_unset=True)))
    return path


def run(config: Path, *words: str, **more: str | None) -> tuple[int, str]:
    result = runner.invoke(app, [*words, "--config", str(config)], **more)
    return result.exit_code, result.output + str(result.exception or "")


def test_the_first_administrator_is_made_with_a_password_from_the_environment(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONSOLE_PASSWORD", PASSWORD)
    code, said = run(config, "console", "add-user", "kim", "--role", "administrator")
    assert (code, PASSWORD in said) == (0, False)
    user = accounts(load(config)).user("kim")
    assert user is not None
    assert password_fits(user.password, PASSWORD)
    assert run(config, "console", "add-user", "KIM", "--role", "agent")[0] == 1


def test_a_password_can_be_typed_twice_and_not_otherwise(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICE_AGENT_CONSOLE_PASSWORD", raising=False)
    add = ("console", "add-user", "kim", "--role", "agent")
    assert run(config, *add, input=f"{PASSWORD}\nsomething else\n")[0] == 1
    assert accounts(load(config)).user("kim") is None
    assert run(config, *add, input=f"{PASSWORD}\n{PASSWORD}\n")[0] == 0


@pytest.mark.parametrize(
    ("name", "role", "password", "code"),
    [("kim", "king", PASSWORD, 2), ("kim", "agent", "short", 1), ("k/m", "agent", PASSWORD, 1)],
)
def test_what_cannot_be_a_user_is_refused_in_one_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, role: str, password: str, code: int
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONSOLE_PASSWORD", password)
    assert run(config, "console", "add-user", name, "--role", role)[0] == code


def test_there_is_nobody_by_default(config: Path) -> None:
    assert json.loads(run(config, "console", "users", "--json")[1]) == []


def test_the_role_table_has_a_row_for_every_endpoint(config: Path) -> None:
    rows = json.loads(run(config, "console", "roles", "--json")[1])
    paths = {(row["method"], row["path"]): row["roles"] for row in rows}
    assert paths["PUT", "/api/answering"]["supervisor"] is True
    assert paths["PUT", "/api/answering"]["agent"] is False


def test_what_commands_do_is_in_the_audit_log_which_can_be_verified(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONSOLE_PASSWORD", PASSWORD)
    for words in (
        ("console", "add-user", "kim", "--role", "agent"),
        ("console", "totp", "kim"),
        ("console", "sign-out", "kim"),
        ("console", "password", "kim"),
        ("console", "remove-user", "kim"),
    ):
        assert run(config, *words)[0] == 0
    assert run(config, "audit", "verify")[0] == 0
    acts = [each["action"] for each in json.loads(run(config, "audit", "show", "--json")[1])]
    assert acts == ["user_added", "totp_set", "sessions_ended", "password_set", "user_removed"]
    path = load(config).console.folder / "audit.jsonl"
    path.write_text(path.read_text().replace("kim", "kit"))
    code, said = run(config, "audit", "verify")
    assert code == 1
    assert "line 1" in said


def test_records_are_pruned_by_policy_exported_and_erased(config: Path, tmp_path: Path) -> None:
    assert run(config, "records", "prune")[0] == 2
    tree = yaml.safe_load(config.read_text())
    tree["records"]["keep_days"] = 10_000
    config.write_text(yaml.safe_dump(tree))
    record(load(config), a_call("c1"), a_turn("c1", 1))
    assert json.loads(run(config, "records", "prune", "--dry-run", "--json")[1])["calls"] == 0
    to, number = tmp_path / "caller.zip", "+15551234567"
    assert run(config, "records", "export", "--number", number, "--to", str(to))[0] == 0
    assert to.stat().st_mode & 0o077 == 0
    erase = ("records", "erase", "--number", number, "--reason", "asked", "--json")
    assert json.loads(run(config, *erase)[1])["turns"] == 1
    assert run(config, "records", "export", "--number", number, "--to", str(to))[0] == 1
    assert "5551234567" not in (load(config).console.folder / "audit.jsonl").read_text()
