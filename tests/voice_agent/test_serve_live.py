"""`voice-agent serve` as a person runs it: every real process with the real small models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.voice_agent.served import settings_tree
from tests.voice_agent.test_serve import is_gone, until
from voice_agent.check import running_findings, unreachable
from voice_agent.config import load
from voice_agent.phone_prompts import missing

pytestmark = [pytest.mark.models, pytest.mark.loopback, pytest.mark.timeout(240)]


def children_of(pid: int) -> list[int]:
    """Every process below this one."""
    below = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            below += [child, *children_of(child)]
    return below


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings on free ports, writing only below the test's folder."""
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(settings_tree(tmp_path)))
    return path


def test_serve_brings_everything_up_revives_what_dies_and_stops_it_all(
    config: Path, tmp_path: Path
) -> None:
    settings = load(config)
    serve = subprocess.Popen(
        [sys.executable, "-m", "voice_agent", "serve", "--json", "--config", str(config)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serve.stdout
        where = json.loads(serve.stdout.readline())
        assert where["sip"] == f"sip:agent@127.0.0.1:{settings.gateway.sip.port}"
        assert unreachable(where["page"]) == ""
        assert running_findings(settings) == []
        assert missing(tmp_path / "prompts") == []

        below = children_of(serve.pid)
        (agent,) = [
            pid for pid in below if b"\0agent\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(agent, signal.SIGKILL)
        until(lambda: is_gone(agent))
        until(lambda: running_findings(settings) == [], patience_s=120)

        below = children_of(serve.pid)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait() == 0
        assert all(is_gone(pid) for pid in below)
    finally:
        serve.kill()
        serve.wait()
        if serve.stdout:
            serve.stdout.close()
