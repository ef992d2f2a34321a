"""Which versions answered, since when, by whose decision and why; and which are to be kept.

<index>/promotions.jsonl   one decision a line, only ever added to
<index>/pins.json          versions that are never pruned, with the reason
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from voice_agent.knowledge.errors import IndexUnusable

Action = Literal["promote", "rollback"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision. `at` is a Unix time in seconds, `previous` what answered before it.

    `forced`: against the gate's verdict, which `why` then overrules.
    """

    at: float
    action: Action
    version: str
    previous: str
    who: str
    why: str
    forced: bool = False


class Journal:
    """The decisions below one index folder."""

    def __init__(self, index: Path) -> None:
        self._path = index / "promotions.jsonl"
        self._pins = index / "pins.json"

    def entries(self) -> list[Entry]:
        """Every decision, oldest first; a line cut short by a full disk is left out."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(Entry(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, entry: Entry) -> None:
        """Note a decision.

        Raises:
            IndexUnusable: the disk refuses.
        """
        line = json.dumps(asdict(entry), ensure_ascii=False)
        try:
            with self._path.open("a+b") as file:
                whole = file.tell() == 0 or _ends_with_newline(self._path)
                file.write((b"" if whole else b"\n") + line.encode("utf-8", "replace") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise IndexUnusable(f"{self._path}: cannot be written: {error.strerror}") from error

    def pins(self) -> dict[str, str]:
        """Pinned versions with the reason."""
        try:
            pins = json.loads(self._pins.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in pins.items()} if isinstance(pins, dict) else {}

    def pin(self, version: str, why: str | None) -> None:
        """Keep a version from being pruned; without a reason, let it go again.

        Raises:
            IndexUnusable: the disk refuses.
        """
        pins = self.pins()
        pins.pop(version, None)
        if why is not None:
            pins[version] = why
        beside = self._pins.with_name(".pins.json")
        try:
            beside.write_text(json.dumps(pins, indent=1, ensure_ascii=False), encoding="utf-8")
            beside.replace(self._pins)
        except OSError as error:
            raise IndexUnusable(f"{self._pins}: cannot be written: {error.strerror}") from error


def in_service(entries: Sequence[Entry]) -> list[str]:
    """The versions one can roll back through, the current one last. Pure.

    A rollback takes away what it went back over; promoting that again puts it on top.
    """
    stack: list[str] = []
    for entry in entries:
        if entry.action == "rollback" and entry.version in stack:
            del stack[stack.index(entry.version) + 1 :]
        elif not stack or stack[-1] != entry.version:
            if entry.version in stack:
                stack.remove(entry.version)
            stack.append(entry.version)
    return stack


def withdrawn(entries: Sequence[Entry]) -> dict[str, str]:
    """Versions that were rolled back and not promoted since, with who did it and why. Pure."""
    found: dict[str, str] = {}
    for entry in entries:
        found.pop(entry.version, None)
        if entry.action == "rollback" and entry.previous:
            found[entry.previous] = f"rolled back by {entry.who}: {entry.why}"
    return found


def operator() -> str:
    """Who gives this command, as far as the system knows."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
