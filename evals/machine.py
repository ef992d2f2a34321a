"""What a figure was measured on: the machine, the models, the configuration, the code."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from voice_agent.config import Settings
from voice_agent.records.turns import configuration_hash


def describe(settings: Settings) -> dict[str, str]:
    """One short line each; no personal data, no host name."""
    speech, model = settings.speech, settings.answering.model
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "transcriber": f"{speech.transcriber.model} {speech.transcriber.compute_type}",
        "language model": f"{model.model} on {model.engine}",
        "voice": speech.synthesiser.voice,
        "embedder": settings.knowledge.embedder,
        "configuration": configuration_hash(settings),
        "revision": _revision(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
