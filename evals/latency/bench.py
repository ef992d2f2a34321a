"""``make bench``: a simulated caller asks and interrupts over SIP; prints and writes figures.

Each call greets, asks questions from the sample knowledge one after another, and puts every
second one into the answer to the one before. ``QUICK=1`` in the environment asks fewer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table

from evals.demo import holds
from evals.latency.figures import Summary, as_json, summarise
from evals.machine import describe
from evals.rig import Rig, caller, rig, speak
from voice_agent.config import Settings
from voice_agent.serve import stop_signals_as_interrupts
from voice_agent.supervision import ServeError

FOLDER = Path("var/bench")
QUESTIONS = Path("configs/knowledge_questions.yaml")
PAIRS_A_CALL = 5
CALLS, QUICK_CALLS = 5, 1
INTERRUPT_AFTER_MS = 1300


def run(settings: Settings, config: Path, json_output: bool) -> int:
    """Run the bench; 0 when every turn was answered, 1 otherwise."""
    del config  # the running product gets one derived from these settings
    calls = QUICK_CALLS if os.environ.get("QUICK") else CALLS
    console = Console(stderr=json_output)
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))[: calls * PAIRS_A_CALL * 2]
    try:
        with (
            stop_signals_as_interrupts(),
            rig(settings, FOLDER, lambda text: console.print(f"[dim]{text}[/]")) as bench,
        ):
            report = _measure(bench, questions, calls, console)
    except ServeError as error:
        console.print(f"[red]bench: {error}[/]")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("bench: stopped")
        return 1
    out = FOLDER / "latency.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    summary = report["summary"]
    if json_output:
        print(json.dumps(summary, indent=2))
    console.print(f"[dim]every turn: {out}[/]")
    return 0 if summary["answered"] == summary["turns"] else 1


def _measure(
    bench: Rig, questions: list[dict[str, Any]], calls: int, console: Console
) -> dict[str, Any]:
    words = {f"q{number:02d}": question for number, question in enumerate(questions)}
    files = speak(bench, {name: question["question"] for name, question in words.items()})
    names = list(words)
    reports = []
    for number in track(range(calls), "calls", console=console, transient=True):
        first = number * PAIRS_A_CALL * 2
        name = f"call{number}"
        steps = _steps([files[name] for name in names[first : first + PAIRS_A_CALL * 2]])
        with caller(bench, name, steps) as process:
            process.communicate()
        report = json.loads((bench.folder / f"{name}.json").read_text(encoding="utf-8"))
        for turn in report["turns"]:
            question = words[Path(turn["said"]).stem]
            interrupted = turn["reply_ms"] is not None and not turn["interrupts"]
            facts = question["must_say"]
            turn["said"] = question["question"]
            turn["right"] = (
                None
                if interrupted or turn["answer"] is None
                else all(holds(turn["answer"], fact) for fact in facts)
            )
        reports.append(report)
    summary = summarise(reports)
    machine = describe(bench.settings)
    _show(summary, machine, console)
    return {"summary": as_json(summary), "machine": machine, "calls": reports}


def _steps(files: list[Path]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        if number % 2:
            steps.append({"interrupt": str(file.resolve()), "after_ms": INTERRUPT_AFTER_MS})
        else:
            steps.append({"say": str(file.resolve())})
    return [*steps, {"wait_s": 4}, {"hang_up": True}]


def _show(summary: Summary, machine: dict[str, str], console: Console) -> None:
    table = Table(title="Measured at the caller's end of the wire (SIP, G.711)")
    table.add_column("figure")
    table.add_column("median", justify="right")
    table.add_column("p95", justify="right")
    rows = (
        (f"voice to voice, ms ({summary.answered} turns)", summary.p50_ms, summary.p95_ms),
        (
            f"agent silent after an interruption, ms ({summary.barge_ins})",
            summary.barge_in_p50_ms,
            summary.barge_in_p95_ms,
        ),
        ("greeting after answer, ms", summary.greeting_p50_ms, None),
    )
    for name, median, p95 in rows:
        table.add_row(name, _cell(median), _cell(p95))
    for stage, median in summary.stages_p50_ms.items():
        table.add_row(f"  stage {stage.replace('_', ' ')}, ms", _cell(median), "")
    console.print(table)
    console.print("[dim]" + ", ".join(f"{k}: {v}" for k, v in machine.items()) + "[/]")
    console.print(f"answers that hold what the knowledge says: {summary.answers_right}")


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
