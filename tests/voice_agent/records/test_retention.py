"""The report of what was deleted, from the audit log, and the command that gives it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from voice_agent.cli import app
from voice_agent.config import Settings
from voice_agent.console.app import audit_log
from voice_agent.console.audit import Entry
from voice_agent.records.retention import deletions, policy_of


def test_the_policy_is_told_in_words() -> None:
    assert policy_of(None, None) == "kept for ever"
    assert policy_of(90.0, None) == "calls 90 days"
    assert policy_of(365.0, 30.5) == "calls 365 days, recordings 30.5 days"


def test_only_what_was_deleted_since_then_is_told() -> None:
    acts = [
        Entry(1, 10.0, "policy", "", "pruned", "", {"calls": 9, "policy": "calls 1 days"}),
        Entry(2, 20.0, "ada", "administrator", "erased", "abc", {"reason": "asked"}),
        Entry(3, 21.0, "ada", "administrator", "erasure_done", "abc", {"calls": 2, "failed": [1]}),
        Entry(4, 30.0, "policy", "", "pruned", "", {"calls": 1, "recordings": 3, "policy": "p"}),
        Entry(5, 40.0, "sam", "supervisor", "listen", "c1"),
    ]
    erased, pruned = deletions(acts, 15.0)
    assert (erased.by, erased.calls, erased.failed) == ("ada", 2, 1)
    assert erased.policy == "a caller's wish (abc)"
    assert (pruned.policy, pruned.calls, pruned.recordings, pruned.failed) == ("p", 1, 3, 0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    tree = {
        "records": {"path": str(tmp_path / "records.sqlite"), "keep_days": 30},
        "console": {"folder": str(tmp_path / "console")},
        "gateway": {"recording": {"folder": str(tmp_path / "recordings")}},
    }
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_the_command_tells_each_deletion_with_its_policy(config: Path) -> None:
    pruned = CliRunner().invoke(app, ["records", "prune", "--config", str(config)])
    assert pruned.exit_code == 0, pruned.output
    shown = CliRunner().invoke(app, ["records", "report", "--config", str(config)])
    assert shown.exit_code == 0, shown.output
    assert "policy: calls 30 days" in shown.output
    assert "1 deletions in 90 days" in shown.output
    told = CliRunner().invoke(app, ["records", "report", "--json", "--config", str(config)])
    (deleted,) = json.loads(told.output)["deleted"]
    assert deleted["policy"] == "calls 30 days"
    assert abs(deleted["at"] - time.time()) < 600


def test_a_log_that_is_not_whole_is_said_to_be_so(config: Path, tmp_path: Path) -> None:
    settings = Settings.model_validate(yaml.safe_load(config.read_text()))
    for _ in range(2):
        audit_log(settings).add("policy", "", "pruned", "", calls=3)
    (path,) = (tmp_path / "console").glob("audit*.jsonl")
    first, rest = path.read_text().split("\n", 1)
    changed = json.loads(first) | {"detail": {"calls": 0}}
    path.write_text(f"{json.dumps(changed)}\n{rest}")
    shown = CliRunner().invoke(app, ["records", "report", "--config", str(config)])
    assert shown.exit_code == 1
