"""Rings with callers in a process of their own and lays the agent's record beside what they saw."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.agent_record import KnownTurn, ask_record, laid_beside
from evals.call_report import SoundMade
from evals.demo_call import holds
from evals.latency.material import Said
from evals.latency.waterfall import noticing_ms, reconcile_call
from evals.rig import Rig
from voice_agent.config import Settings, secret

LONGEST_S = 300.0
WRONG_USAGE = 2
_FROM_RECORD = ("waterfall_ms", "voice_to_voice_ms", "transcribed_after_ms")


class RingError(Exception):
    """The callers' process gave no report; the message is one line."""

    code = "callers_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class LineCost:
    """What the line adds to each wait, in ms, and its share on the way to the agent."""

    both_ways_ms: float
    to_agent_ms: float


@dataclass(frozen=True, slots=True)
class Script:
    """What one caller does. ``said`` are the recordings of its steps, by name of their file."""

    steps: list[dict[str, Any]]
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How callers ring: the kind of line, and further words for ``evals.latency.callers``, such as
    what the network loses."""

    line: str = "sip"
    words: tuple[str, ...] = ()

    def uri(self, rig: Rig) -> str:
        """What is rung at a running product."""
        web = rig.settings.gateway.web
        return rig.uri if self.line == "sip" else f"http://{web.host}:{web.port}"


def ring(
    rig: Rig, name: str, scripts: Sequence[Script], line: LineCost | None, way: Way
) -> list[dict[str, Any]]:
    """One caller a script, all at once; their reports when the last one has hung up.

    Args:
        name: of the files in the rig's folder that hold scenarios, recordings and reports.
        line: its share of each wait, for the waterfalls.

    Raises:
        RingError: a caller left no report.
    """
    _play(rig, name, scripts, way)
    reports = []
    for number, script in enumerate(scripts):
        report = _read(rig.folder / f"{name}-{number}.json")
        add_record(report, rig.settings, line)
        annotate(report, {said.file.stem: said for said in script.said}, line)
        reports.append(report)
    return reports


def _play(rig: Rig, name: str, scripts: Sequence[Script], way: Way) -> None:
    command = [sys.executable, "-m", "evals.latency.callers", way.uri(rig), "--line", way.line]
    command += ["--out", str(rig.folder), "--name", name, "--record", *way.words]
    for number, script in enumerate(scripts):
        (rig.folder / f"{name}-{number}.json").unlink(missing_ok=True)
        file = rig.folder / f"{name}-{number}.scenario.json"
        file.write_text(json.dumps(script.steps), encoding="utf-8")
        command += ["--scenario", str(file)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, told = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired as error:
        raise RingError(f"{name}: the callers did not hang up") from error
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=10)
    if process.returncode == WRONG_USAGE:
        raise RingError(told.strip().splitlines()[-1])


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RingError(f"a caller left no report in {path.name}") from error
    return report


def add_record(report: dict[str, Any], settings: Settings, line: LineCost | None) -> None:
    """Lay what the agent recorded beside each turn: ``agent`` with its times, and ``agent_turns``,
    into how many the agent took what was said apart; and beside each sound what it made of it. The
    report says when the record cannot be had."""
    if not report["turns"]:
        return
    if not report.get("call_id"):
        report["no_record"] = "the line does not say which call it is"
        return
    media = settings.media
    url = f"http://{media.host}:{media.port}/calls/{report['call_id']}"
    turns = report["turns"]
    record, why = asyncio.run(ask_record(url, secret(media.token_env), len(turns)))
    if record is None:
        report["no_record"] = why
        return
    sounds = [SoundMade.from_json(sound) for sound in report.get("sounds", ())]
    of_turns, of_sounds = laid_beside(
        record,
        [report["answered_at"] + turn["began_s"] for turn in turns],
        [report["answered_at"] + sound.began_s for sound in sounds],
    )
    for sound, of_it in zip(sounds, of_sounds, strict=True):
        sound.heard, sound.said_all = of_it.heard, of_it.said_all
    report["sounds"] = [sound.as_json() for sound in sounds]
    for turn, known in zip(turns, of_turns, strict=True):
        if known is not None:
            turn.update(_of_record(known))
            ended_at = known.answered.get("speech_ended_at")
            if ended_at and line is not None:
                turn["agent"]["noticing_ms"] = noticing_ms(
                    turn, report["answered_at"], ended_at, line.to_agent_ms
                )


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
        "filler": str(answered.get("filler") or ""),
        "agent": agent,
        "agent_turns": known.turns,
    }


def annotate(report: dict[str, Any], said: Mapping[str, Said], line: LineCost | None) -> None:
    """Name what was said, judge each answer that was heard out, and work out the waterfalls."""
    turns = report["turns"]
    waterfalls = reconcile_call(turns, line.both_ways_ms if line else None)
    for sound in report.get("sounds", ()):
        made = said.get(Path(sound["sound"]).stem)
        sound["sound"] = made.words if made else Path(sound["sound"]).stem
    for number, (turn, waterfall) in enumerate(zip(turns, waterfalls, strict=True)):
        one = said.get(Path(turn["said"]).stem)
        turn["file"] = Path(turn["said"]).name
        turn["said"] = one.words if one else turn["said"]
        cut_short = number + 1 < len(turns) and turns[number + 1]["interrupts"]
        judged = one is not None and one.must_say and turn.get("answer") and not cut_short
        turn["right"] = (
            all(holds(turn["answer"], fact) for fact in one.must_say) if one and judged else None
        )
        turn["waterfall"] = waterfall.as_json() if waterfall else None
