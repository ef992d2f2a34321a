"""``voice-agent bench run``: the product rung like callers ring it, part by part.

A part that fails is reported and the rest goes on. ``latency.json`` is written after every call, so
that a stop at any moment leaves a valid file, marked incomplete.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from evals.latency import parts
from evals.latency.budgets import Held, held, read_budgets
from evals.latency.figures import written
from evals.latency.material import people, with_documents
from evals.latency.page import write_page
from evals.latency.recorded import Recorded
from evals.latency.ring import LineCost, Way
from evals.latency.run_file import write_run
from evals.machine import describe
from evals.rig import rig
from voice_agent.config import Settings
from voice_agent.errors import code_of
from voice_agent.serve import stop_signals_as_interrupts
from voice_agent.supervision import ServeError

CURVE_LEAST_S = 60.0
CURVE_UTTERANCES = 18
"""Of each folder; ``python -m evals.latency.turn_curve`` takes all of them, in its own time."""
RETRIEVAL_PASSAGES = 50_000
RETRIEVAL_MOST_S = 150.0
"""Writing and opening an index of that size, and two hundred searches, take a third of it."""


class CurveError(Exception):
    """The curve could not be drawn; the message is one line."""

    code = "curve_failed"
    retryable = True


class RetrievalError(Exception):
    """Searching could not be timed; the message is one line."""

    code = "retrieval_not_timed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    ``speech``: recorded people; ``pauses``: more of them, whose pauses count and whose waits do
    not, since they talk with somebody else; ``documents``: what they ask about, besides the
    configured ones; ``sounds``: made over the agent besides our own; ``calls``: calls of questions
    by the synthetic caller; ``network``: words for ``evals.latency.callers``.
    """

    quick: bool
    minutes: float | None
    speech: tuple[Path, ...]
    pauses: tuple[Path, ...]
    documents: tuple[Path, ...]
    sounds: tuple[Path, ...]
    calls: int | None
    line: str
    network: tuple[str, ...]
    stock: bool
    out: Path
    budgets: Path

    @property
    def size(self) -> parts.Size:
        size = parts.QUICK if self.quick else parts.FULL
        if self.minutes is not None:
            size = size.within(self.minutes * 60)
        if self.calls is None:
            return size
        count = self.calls * parts.QUESTIONS_A_CALL
        return replace(size, questions=count, questions_beside_people=count)


class _Run:
    """The run as it grows, on disk after every change."""

    def __init__(self, plan: Plan, settings: Settings, console: Console) -> None:
        self._out = plan.out
        self._console = console
        self.began = time.monotonic()
        self.data: dict[str, Any] = {
            "complete": False,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": plan.quick,
            "line": plan.line,
            "network": " ".join(plan.network),
            "machine": describe(settings),
            "transport": None,
            "retrieval": None,
            "parts": [],
            "calls": [],
            "curve": None,
        }

    def save(self) -> None:
        self.data["took_s"] = round(time.monotonic() - self.began, 1)
        write_run(self._out, self.data)

    def add(self, call: dict[str, Any]) -> None:
        self.data["calls"].append(call)
        self.save()

    def part(self, name: str, work: Callable[[], None]) -> None:
        """Do one part; what it raises is noted and the run goes on."""
        began = time.monotonic()
        known: dict[str, Any] = {"name": name, "state": "done", "why": ""}
        try:
            with self._console.status(f"{name} …"):
                work()
        except Exception as error:
            known["state"] = "short" if isinstance(error, parts.OutOfTime) else "failed"
            known["why"] = " ".join(str(error).split()) or type(error).__name__
            if not code_of(error):  # not of our error trees: somebody has to find it
                self._console.print_exception()
        except KeyboardInterrupt:
            known["state"], known["why"] = "stopped", "stopped by hand"
            raise
        finally:
            known["took_s"] = round(time.monotonic() - began, 1)
            self.data["parts"].append(known)
            self.save()
            why = f": {known['why']}" if known["why"] else ""
            self._console.print(
                f"{name}: {known['state']} in {known['took_s']:.0f} s{why}",
                style="dim" if known["state"] == "done" else "yellow",
                markup=False,
            )


def run(settings: Settings, plan: Plan, json_output: bool) -> int:
    """Run the bench; 0 when every part was done and every question answered, 1 otherwise.

    Raises:
        BudgetError: the budgets cannot be read.
        SpeechError: the recorded speech cannot be used.
    """
    console = Console(stderr=json_output)
    budgets = read_budgets(plan.budgets)
    spoken, pausing = people(plan.speech), people((*plan.pauses, *plan.speech))
    settings = with_documents(settings, plan.documents, plan.out.parent)
    bench_run = _Run(plan, settings, console)
    exit_code = 0
    try:
        with stop_signals_as_interrupts():
            _measure(bench_run, settings, plan, spoken, pausing, console)
        bench_run.data["complete"] = True
    except ServeError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("bench: stopped; what was measured is kept")
        exit_code = 1
    bench_run.save()
    summary = bench_run.data["summary"]
    page = write_page(plan.out, plan.out.with_suffix(".html"), plan.budgets)
    if json_output:
        print(json.dumps(summary, indent=2))
    _show(held(summary, budgets), bench_run.data, console)
    console.print(f"every turn: {plan.out}\nto look at: {page}", style="dim", highlight=False)
    failed = any(part["state"] == "failed" for part in bench_run.data["parts"])
    return exit_code or int(failed or summary["answered"] < summary["turns"])


def _measure(
    bench_run: _Run,
    settings: Settings,
    plan: Plan,
    spoken: list[Recorded],
    pausing: list[Recorded],
    console: Console,
) -> None:
    folder, size = plan.out.parent, plan.size
    with_curve = bool(spoken) and size.curve_s > 0
    deadline = bench_run.began + size.seconds - (size.curve_s if with_curve else 0)

    def tell(text: str) -> None:
        console.print(text, style="dim", markup=False)

    if plan.line == "sip":  # the probe rings over SIP only
        bench_run.part("transport", lambda: _probe(bench_run, settings, folder, size, tell))
    if not plan.quick:  # while nothing else runs, as a warm agent between two turns
        bench_run.part("retrieval", lambda: _time_retrieval(bench_run))
    starting = time.monotonic()
    with rig(settings, folder, tell) as product:
        started_s = time.monotonic() - starting
        bench = parts.Bench(
            rig=product,
            size=size,
            people=spoken,
            pausing=pausing,
            sounds=plan.sounds,
            way=Way(plan.line, plan.network),
            line=_line_cost(bench_run.data["transport"]),
            add=bench_run.add,
            deadline=deadline,
        )
        bench_run.part("voices", bench.prepare)
        bench_run.part("questions", lambda: parts.ask(bench))
        if spoken:
            bench_run.part("recorded", lambda: parts.ask_recorded(bench))
        against = partial(_against_stock, bench, settings, folder, tell, started_s)
        if plan.stock and not plan.quick:
            bench_run.part("stock", against)
        bench_run.part("interruptions", lambda: parts.interrupt(bench))
        bench_run.part("callers at once", lambda: parts.load(bench))
        bench_run.part("pauses", lambda: parts.pause(bench))
        bench_run.part("sounds", lambda: parts.make_sounds(bench))
        if plan.stock and plan.quick:
            bench_run.part("stock", against)
    if with_curve:
        left_s = bench_run.began + size.seconds - time.monotonic()
        bench_run.part("curve", lambda: _curve(bench_run, settings, plan, left_s))


def _line_cost(transport: dict[str, Any] | None) -> LineCost | None:
    if not transport or transport["median_ms"] is None or transport["to_agent_median_ms"] is None:
        return None
    return LineCost(transport["median_ms"], transport["to_agent_median_ms"])


def _probe(
    bench_run: _Run,
    settings: Settings,
    folder: Path,
    size: parts.Size,
    tell: Callable[[str], None],
) -> None:
    from evals.latency.transport import probe

    bench_run.data["transport"] = asdict(
        probe(settings, folder / "line", tell, calls=size.probe_calls)
    )


def _time_retrieval(bench_run: _Run) -> None:
    command = [sys.executable, "-m", "evals.latency.retrieval", "--json"]
    command += ["--sizes", str(RETRIEVAL_PASSAGES)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=RETRIEVAL_MOST_S
        )
    except subprocess.TimeoutExpired as error:
        raise parts.OutOfTime(f"it took more than {RETRIEVAL_MOST_S:.0f} s") from error
    try:  # exit code 1 means slow, and is measured all the same
        bench_run.data["retrieval"] = json.loads(done.stdout)["retrieval"][0]
    except (ValueError, LookupError, TypeError) as error:
        lines = done.stderr.strip().splitlines()
        raise RetrievalError(lines[-1] if lines else "it wrote nothing") from error


def _against_stock(
    bench: parts.Bench,
    settings: Settings,
    folder: Path,
    tell: Callable[[str], None],
    start_s: float,
) -> None:
    """``start_s``: how long ours took to start, as theirs will."""
    from evals.latency.stock_pipecat import stock

    if time.monotonic() + start_s + bench.size.stock_s > bench.deadline:
        raise parts.OutOfTime("no time was left to start the stock pipeline and ring it")
    with stock(settings, folder / "stock", tell) as other:
        parts.against(bench, other)


def _curve(bench_run: _Run, settings: Settings, plan: Plan, left_s: float) -> None:
    if left_s < CURVE_LEAST_S:
        raise parts.OutOfTime("no time was left")
    folder = plan.out.parent
    out, config = folder / "turn_curve.json", folder / "curve-settings.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "evals.latency.turn_curve", "--config", str(config)]
    command += ["--out", str(out), "--limit", str(CURVE_UTTERANCES)]
    for source in (*plan.speech, *plan.pauses):
        command += ["--speech", str(source)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=left_s,
        )
    except subprocess.TimeoutExpired as error:
        raise parts.OutOfTime("it did not end in time; the next run finds what it kept") from error
    if done.returncode or not out.exists():
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise CurveError(lines[-1] if lines else "it wrote nothing")
    bench_run.data["curve"] = json.loads(out.read_text(encoding="utf-8"))


def _show(rows: list[Held], data: dict[str, Any], console: Console) -> None:
    summary = data["summary"]
    table = Table(title="As the caller hears it, at the caller's side of the wire")
    for title in ("figure", "measured", "to reach", ""):
        table.add_column(title, justify="left" if title in ("figure", "") else "right")
    colours = {"met": "green", "missed": "red", "not measured": "yellow"}
    for row in rows:
        reach = "" if row.reach is None else written(row.reach, row.figure.unit)
        verdict = row.verdict or ""
        colour = colours.get(verdict, "dim")
        cells = (row.figure.title, written(row.value, row.figure.unit), reach)
        table.add_row(*cells, f"[{colour}]{verdict}[/]")
    console.print(table)
    console.print(
        f"{summary['answered']} of {summary['turns']} turns answered ({summary['speech']} speech, "
        f"{summary['fillers']} began with a filler), {summary['barge_ins']} interruptions, "
        f"{summary['pauses']} pauses, {summary['sounds']} sounds",
        style="dim",
        highlight=False,
    )
    console.print(
        ", ".join(f"{key}: {value}" for key, value in data["machine"].items()),
        style="dim",
        markup=False,
        highlight=False,
    )
