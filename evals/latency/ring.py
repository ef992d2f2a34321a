"""Rings with callers in a process of their own and lays the agent's record beside what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.agent_record import KnownTurn, ask_record, matched
from evals.demo import holds
from evals.latency.material import Said
from evals.latency.waterfall import reconcile
from evals.rig import Rig, caller
from voice_agent.config import Settings, secret

STAGGER_S = 1.5
"""Callers at once begin to speak so long after one another."""
_FROM_RECORD = ("waterfall_ms", "voice_to_voice_ms", "transcribed_after_ms")


class RingError(Exception):
    """The callers' process gave no report; the message is one line."""

    code = "callers_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Script:
    """What one caller does. ``said`` are the recordings of its steps, by name of their file."""

    steps: list[dict[str, Any]]
    said: tuple[Said, ...]


def ring(rig: Rig, name: str, scripts: Sequence[Script], line_ms: float | None) -> list[Any]:
    """One caller a script, all at once; their reports when the last one has hung up.

    Args:
        name: of the files in the rig's folder that hold scenarios, recordings and reports.
        line_ms: the line's share of each wait, for the waterfalls.

    Raises:
        RingError: a caller left no report.
    """
    names = [f"{name}-{number}" for number in range(len(scripts))]
    _play(rig, names, scripts)
    reports = []
    for file, script in zip(names, scripts, strict=True):
        report = _read(rig.folder / f"{file}.json")
        add_record(report, rig.settings)
        annotate(report, {said.file.stem: said for said in script.said}, line_ms)
        reports.append(report)
    return reports


def _play(rig: Rig, names: Sequence[str], scripts: Sequence[Script]) -> None:
    with contextlib.ExitStack() as stack:
        processes = []
        for number, (name, script) in enumerate(zip(names, scripts, strict=True)):
            (rig.folder / f"{name}.json").unlink(missing_ok=True)
            steps = [{"wait_s": number * STAGGER_S}, *script.steps] if number else script.steps
            processes.append(stack.enter_context(caller(rig, name, steps)))
        for process in processes:
            process.communicate()


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RingError(f"a caller left no report in {path.name}") from error
    return report


def add_record(report: dict[str, Any], settings: Settings) -> None:
    """Lay what the agent recorded beside each turn: ``agent`` with its times, and ``agent_turns``,
    into how many the agent took what was said apart. The report says when it cannot be had."""
    if not report.get("call_id") or not report["turns"]:
        return
    media = settings.media
    url = f"http://{media.host}:{media.port}/calls/{report['call_id']}"
    turns = report["turns"]
    record, why = asyncio.run(ask_record(url, secret(media.token_env), len(turns)))
    if record is None:
        report["no_record"] = why
        return
    began = [report["answered_at"] + turn["began_s"] for turn in turns]
    for turn, known in zip(turns, matched(record, began), strict=True):
        if known is not None:
            turn.update(_of_record(known))


def _of_record(known: KnownTurn) -> dict[str, Any]:
    answered = known.answered
    agent = {key: answered.get(key) for key in _FROM_RECORD}
    prepared = answered.get("prepared_passages")
    agent["prepared_right"] = None if prepared is None else bool(prepared)
    return {
        "heard": known.heard,
        "answer": known.answer,
        "sources": known.sources,
        "stages_ms": known.stages_ms,
        "agent": agent,
        "agent_turns": known.turns,
    }


def annotate(report: dict[str, Any], said: Mapping[str, Said], line_ms: float | None) -> None:
    """Name what was said, judge each answer that was heard out, and work out the waterfalls."""
    turns = report["turns"]
    for number, turn in enumerate(turns):
        one = said.get(Path(turn["said"]).stem)
        turn["file"] = Path(turn["said"]).name
        turn["said"] = one.words if one else turn["said"]
        cut_short = number + 1 < len(turns) and turns[number + 1]["interrupts"]
        judged = one is not None and one.must_say and turn.get("answer") and not cut_short
        turn["right"] = (
            all(holds(turn["answer"], fact) for fact in one.must_say) if one and judged else None
        )
        waterfall = reconcile(turn, line_ms)
        turn["waterfall"] = waterfall.as_json() if waterfall else None
