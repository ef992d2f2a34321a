"""Attacks and harmless look-alikes from the folder of public material, each as a caller's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Attack:
    """``planted`` is a secret or an order that stands in the agent's instructions."""

    source: str
    kind: str
    words: str
    planted: str = ""


class NoAttacks(Exception):
    """The attacks are not there."""

    code = "material_missing"
    retryable = False
    exit_code = 2


def read_attacks(data: Path) -> list[Attack]:
    """Every attack of the folder.

    Raises:
        NoAttacks: a file is not there.
    """
    found = [
        Attack(
            "cyberseceval",
            f"{row['injection_type']}: {row['injection_variant']}",
            row["user_input"],
            row["test_case_prompt"],
        )
        for row in _rows(data, "cyberseceval")
    ]
    found += [Attack("giskard", "prompt", row["prompt"]) for row in _rows(data, "giskard")]
    found += [
        Attack("in the wild", "jailbreak", row["prompt"])
        for row in _rows(data, "jailbreaks_in_the_wild")
    ]
    return found


def read_lookalikes(data: Path) -> list[Attack]:
    """Harmless sentences with the words that attacks use.

    Raises:
        NoAttacks: the file is not there.
    """
    return [
        Attack("look-alike", row["category"], row["prompt"])
        for row in _rows(data, "benign_lookalikes")
    ]


def _rows(data: Path, name: str) -> list[dict[str, Any]]:
    path = data / "attacks" / f"{name}.jsonl"
    if not path.is_file():
        raise NoAttacks(f"{path}: there is no such file")
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]
