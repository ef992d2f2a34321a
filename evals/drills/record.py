"""What drills took, kept one JSON object a line; and the drill that comes every day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog

from voice_agent.config import DrillSettings

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 20.0


class Figures(Protocol):
    """What a drill measured."""

    @property
    def reached(self) -> bool:
        """Every figure is."""

    def as_dict(self) -> dict[str, Any]:
        """One key a figure."""


def keep(path: Path, drill: str, figures: Figures) -> None:
    """Add a line that survives a crash of whoever writes the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"drill": drill, "at": time.time(), "reached": figures.reached, **figures.as_dict()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def kept(path: Path) -> list[dict[str, Any]]:
    """Every drill so far, oldest first; half a line is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            log.warning("drill_record_broken", path=str(path))
    return found


def next_drill(now: datetime, at: str) -> datetime:
    """When the next drill is due, for a time of day ``HH:MM``."""
    hour, minute = (int(part) for part in at.split(":"))
    due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return due if due > now else due + timedelta(days=1)


def watch(
    settings: DrillSettings,
    config: Path,
    *,
    now: Callable[[], datetime] = datetime.now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Drill every day at the set time, for ever. A clock that jumps moves the next drill."""
    if not settings.kill_switch_at:
        log.info("no_drill_set")
        return
    due = next_drill(now(), settings.kill_switch_at)
    while True:
        if now() < due:
            sleep(LOOK_EVERY_S)
            due = min(due, next_drill(now(), settings.kill_switch_at))
            continue
        due = next_drill(now(), settings.kill_switch_at)
        command = [sys.executable, "-m", "voice_agent", "drill", "kill-switch", "--json"]
        done = subprocess.run([*command, "--config", str(config)], check=False)
        log.info("drilled", drill="kill-switch", reached=done.returncode == 0)
