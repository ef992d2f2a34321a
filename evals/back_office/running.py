"""The sample back office as a process of its own, and settings of an agent that uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from evals.wire_line import free_port

LOOPBACK = "127.0.0.1"
PATIENCE_S = 15.0


@contextmanager
def back_office(secret_env: str) -> Iterator[str]:
    """The address of a running back office; outcomes are signed with the secret in the
    environment, which gets one if it has none."""
    os.environ.setdefault(secret_env, os.urandom(16).hex())
    port = free_port(LOOPBACK)
    environment = {**os.environ, "VOICE_AGENT_WEBHOOK_SECRET": os.environ[secret_env]}
    process = subprocess.Popen(
        [sys.executable, "-m", "evals.back_office", "--port", str(port)], env=environment
    )
    try:
        url = f"http://{LOOPBACK}:{port}"
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def use_back_office(tree: dict[str, Any], url: str, folder: Path) -> None:
    """Change a settings tree so that its agent does actions at ``url``."""
    declared = yaml.safe_load(Path(tree["actions"]["declarations"]).read_text(encoding="utf-8"))
    declared["sources"]["back_office"]["url"] = url
    folder.mkdir(parents=True, exist_ok=True)
    declarations = folder / "actions.yaml"
    declarations.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    for name in ("actions.sqlite", "outbox.sqlite"):
        for path in folder.glob(f"{name}*"):
            path.unlink()
    tree["actions"].update(
        enabled=True,
        declarations=str(declarations),
        journal=str(folder / "actions.sqlite"),
        outbox=str(folder / "outbox.sqlite"),
        webhook_url=f"{url}/crm/events",
    )


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)
    raise OSError("the back office did not start")
