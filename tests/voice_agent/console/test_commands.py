"""The commands beside the page: users, roles, the audit log, one caller's data."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.voice_agent.console.conftest import PASSWORD, SettingsMaker
from tests.voice_agent.console.recorded import a_call, a_turn, record
from voice_agent.cli import app
from voice_agent.commands.console import PASSWORD_ENV
from voice_agent.config import load
from voice_agent.console.app import accounts, audit_log
from voice_agent.console.audit import AuditLog, AuditUnwritable
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


def test_without_a_terminal_the_variable_is_named_in_one_line(config: Path) -> None:
    unset = {key: value for key, value in os.environ.items() if key != PASSWORD_ENV}
    for command in (("add-user", "kim", "--role", "agent"), ("password", "kim")):
        done = subprocess.run(
            [sys.executable, "-m", "voice_agent", "console", *command, "--config", str(config)],
            input=f"{PASSWORD}\n{PASSWORD}\n",
            capture_output=True,
            text=True,
            env=unset,
            start_new_session=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "voice-agent: there is no terminal to ask for the password: "
            "put it into VOICE_AGENT_CONSOLE_PASSWORD\n"
        )
    assert accounts(load(config)).user("kim") is None


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "123456789012",
        "qwertyuiopas",
        "1q2w3e4r5t6y",
        "P@ssw0rd1234",
        "abcabcabcabc",
    ],
)
def test_a_password_that_many_have_is_refused_with_the_reason(
    config: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv(PASSWORD_ENV, password)
    code, said = run(config, "console", "add-user", "kim", "--role", "agent")
    assert code == 1
    assert re.search(r"too easy to guess\. (This is|Repeats like) .+\. Add another word", said)
    assert accounts(load(config)).user("kim") is None


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


def acts_of(config: Path) -> list[str]:
    return [each["action"] for each in json.loads(run(config, "audit", "show", "--json")[1])]


def test_what_cannot_be_noted_is_not_done_by_a_command_either(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONSOLE_PASSWORD", PASSWORD)
    assert run(config, "console", "add-user", "kim", "--role", "agent")[0] == 0

    def fail(*_: object, **__: object) -> None:
        raise AuditUnwritable("the disk is full")

    monkeypatch.setattr(AuditLog, "add", fail)
    for words in (
        ("console", "add-user", "eve", "--role", "administrator"),
        ("console", "totp", "kim"),
        ("console", "remove-user", "kim"),
    ):
        code, said = run(config, *words)
        assert (code, "the disk is full" in said) == (1, True)
    kept = accounts(load(config)).users()
    assert [(user.name, user.totp) for user, _ in kept] == [("kim", "")]


def test_an_act_that_was_refused_does_not_stand_as_done(config: Path) -> None:
    assert run(config, "console", "remove-user", "nobody")[0] == 1
    assert acts_of(config) == ["user_removed", "user_removed_refused"]


def test_another_second_factor_ends_the_sessions_of_the_one_before(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONSOLE_PASSWORD", PASSWORD)
    assert run(config, "console", "add-user", "kim", "--role", "agent")[0] == 0
    people = accounts(load(config))
    user = people.user("kim")
    assert user is not None
    token, _ = people.begin_session(user, "127.0.0.1")
    assert run(config, "console", "totp", "kim")[0] == 0
    assert people.session(token) is None


def test_who_gives_a_command_is_told_by_the_system_and_not_by_the_shell(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody-else")
    monkeypatch.setenv("SUDO_USER", "ana")
    assert run(config, "console", "sign-out", "kim")[0] == 0
    (entry,) = audit_log(load(config)).entries()
    account = pwd.getpwuid(os.getuid()).pw_name
    assert entry.user == f"{account} (sudo by ana) (command line)"


def test_the_switch_is_in_the_audit_log_where_there_is_one(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = ("kill-switch", "on", "--reason", "wrong prices")
    off = ("kill-switch", "off", "--reason", "prices are right again")
    assert run(config, *on)[0] == 0
    assert run(config, *off)[0] == 0
    for other in (on, off):
        assert run(config, *other, "--file", str(tmp_path / "a drill's"))[0] == 0
    assert acts_of(config) == ["kill_switch_on", "kill_switch_off"]

    def fail(*_: object, **__: object) -> None:
        raise AuditUnwritable("the disk is full")

    monkeypatch.setattr(AuditLog, "add", fail)
    assert run(config, *on)[0] == 0
    assert run(config, *off)[0] == 0


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
