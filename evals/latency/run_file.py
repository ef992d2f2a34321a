"""A run on disk: ``latency.json``, written as it grows, read strictly."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from evals.latency.summary import summarise

FORMAT = 2
"""Files of another format are refused."""


class RunFileError(Exception):
    """A file that holds no run; the message is one line."""

    code = "run_file_unusable"
    retryable = False
    exit_code = 2


def read_run(path: Path) -> dict[str, Any]:
    """The run in a file, its summary worked out anew from its turns.

    Raises:
        RunFileError: not there, no JSON, or not written by this bench.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunFileError(f"{path}: is not JSON") from error
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise RunFileError(f"{path}: is no run of this bench (format {FORMAT})")
    try:
        run["summary"] = summarise(run)
        run["machine"] = {str(key): str(value) for key, value in run["machine"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise RunFileError(f"{path}: is a damaged run ({type(error).__name__})") from error
    return run


def write_run(path: Path, run: dict[str, Any]) -> None:
    """Write a run whole or not at all, so that a stop at any moment leaves a valid file.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    run["summary"] = summarise(run)
    written = {"format": FORMAT, "summary": run["summary"], **run}
    beside = path.with_suffix(".part")
    try:
        beside.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
