"""``make demo``: one call from ring to hang-up, heard live, measured, and checked.

A simulated caller rings over SIP, asks, interrupts, asks for a person and talks to them; the
person answers on a second SIP line. What the caller says and hears goes through G.711 and RTP.
The exit code is 0 only if every question was answered with what the knowledge says, the
interruption silenced the agent, and the bridge carried both voices.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile as sf
import soxr
from rich import box
from rich.console import Console
from rich.table import Table

from evals.likeness import carried
from evals.machine import describe
from evals.rig import Rig, caller, person, rig, speak
from voice_agent.config import Settings, secret
from voice_agent.serve import stop_signals_as_interrupts
from voice_agent.speech.spoken_text import as_spoken
from voice_agent.supervision import ServeError

FOLDER = Path("var/demo")
CARRIED = 0.5
"""Likeness above which a voice was carried by the bridge (see ``evals.likeness``)."""
INTERRUPT_AFTER_MS = 1200
HANDOVER_S = 16
PERSON_SAYS = "Good morning, this is the service desk. I have read your question and I can help."
STAGES = ("end_of_turn", "transcribe", "retrieve", "first_token", "first_sentence", "first_audio")


@dataclass(frozen=True, slots=True)
class Line:
    """Something the caller says; the answer must hold every one of ``must_say``."""

    name: str
    words: str
    must_say: tuple[str, ...] = ()
    interrupts: bool = False


SCRIPT = (
    Line("delivery", "How much does standard delivery cost?", ("$4.95",)),
    Line("returns", "How many days do I have to return something?", ("60 days",)),
    Line("dishwasher", "What does it cost to install a dishwasher?"),
    Line(
        "mattress", "Sorry, how much is it to recycle my old mattress?", ("$35",), interrupts=True
    ),
    Line("person", "Can I speak to a person, please?"),
    Line("to-person", "Hello, my sofa has arrived damaged and I would like a refund."),
)


def scenario(files: dict[str, Path]) -> list[dict[str, Any]]:
    """The caller's steps."""
    steps: list[dict[str, Any]] = []
    for line in SCRIPT:
        file = str(files[line.name].resolve())
        if line.interrupts:
            steps.append({"interrupt": file, "after_ms": INTERRUPT_AFTER_MS})
        else:
            steps.append({"say": file})
        if line.name == "person":
            steps.append({"wait_s": HANDOVER_S})
    return [*steps, {"wait_s": 2}, {"hang_up": True}]


def run(settings: Settings, config: Path) -> int:
    """Run the demo; 0 when all of it held, 1 otherwise."""
    del config  # the running product gets one derived from these settings
    console = Console()
    began = time.monotonic()
    try:
        with (
            stop_signals_as_interrupts(),
            rig(settings, FOLDER, lambda text: console.print(f"[dim]{text}[/]")) as bench,
        ):
            console.print(f"[dim]ready to take the call after {time.monotonic() - began:.1f} s[/]")
            files = speak(bench, {line.name: line.words for line in SCRIPT})
            answer = speak(bench, {"human": PERSON_SAYS}, pitch=0.9)
            report = _ring(bench, files, answer["human"], console)
    except ServeError as error:
        console.print(f"[red]demo: {error}[/]")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("demo: stopped")
        return 1
    (FOLDER / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(report, console)
    return 0 if report["passed"] else 1


def _ring(bench: Rig, files: dict[str, Path], human: Path, console: Console) -> dict[str, Any]:
    with person(bench, human) as person_report:  # noqa: SIM117  # one ends before the other
        with caller(bench, "caller", scenario(files)) as process:
            _follow(process, bench, console)
            process.wait()
    # The person's telephone writes its report when it is stopped.
    heard = json.loads((bench.folder / "caller.json").read_text(encoding="utf-8"))
    return judge(heard, json.loads(person_report.read_text(encoding="utf-8")), bench, files, human)


def _follow(process: subprocess.Popen[str], bench: Rig, console: Console) -> None:
    """Print what happens while it happens, as either side has it."""
    done = threading.Event()
    printer: threading.Thread | None = None
    for text in process.stdout or ():
        event = json.loads(text)
        match event["event"]:
            case "ringing":
                console.print(f"[dim]ringing {event['uri']}[/]")
            case "answered":
                console.print("[dim]answered[/]\n")
                printer = threading.Thread(
                    target=_print_turns, args=(bench, event["call_id"], console, done)
                )
                printer.start()
            case "saying":
                name = Path(event["said"]).stem
                words = next(line.words for line in SCRIPT if line.name == name)
                console.print(f"[cyan]caller says [/]   {words}")
            case "no_reply" | "no_greeting":
                console.print("[red]nothing was heard[/]")
    done.set()
    if printer is not None:
        printer.join()


def _print_turns(bench: Rig, call_id: str, console: Console, done: threading.Event) -> None:
    media = bench.settings.media
    url = f"http://{media.host}:{media.port}/calls/{call_id}"
    token = secret(media.token_env)
    request = urllib.request.Request(
        url, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    shown = 0
    while True:
        last = done.wait(0.3)
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                turns = json.load(answer)["turns"]
        except (OSError, ValueError):
            turns = []
        for turn in turns[shown:]:
            if turn["heard"]:
                console.print(f"[green]agent heard[/]    {turn['heard']}")
            cut = " [dim](interrupted)[/]" if turn["end_reason"] == "interrupted" else ""
            console.print(f"[magenta]caller heard[/]   {turn['heard_by_caller']}{cut}\n")
        shown = max(shown, len(turns))
        if last:
            return


def judge(
    heard: dict[str, Any],
    human: dict[str, Any],
    bench: Rig,
    files: dict[str, Path],
    human_voice: Path,
) -> dict[str, Any]:
    """The report: every turn with its check, the bridge, and whether all of it held."""
    turns = []
    lines = {line.name: line for line in SCRIPT}
    for turn in heard["turns"]:
        line = lines[Path(turn["said"]).stem]
        if line.name == "to-person":
            continue  # the person's, not the agent's
        missing = [fact for fact in line.must_say if not holds(turn["answer"] or "", fact)]
        turns.append(
            turn | {"said": line.words, "must_say": list(line.must_say), "missing": missing}
        )
    _, right = _channels(bench.folder / "caller.wav")
    _, human_heard = _channels(bench.folder / "person.wav")
    bridge = {
        "answered": bool(human["calls"]) and human["calls"][0]["answered_at"] is not None,
        "caller_heard_person": round(carried(right, _at_8_khz(human_voice)), 3),
        "person_heard_caller": round(carried(human_heard, _at_8_khz(files["to-person"])), 3),
    }
    stops = [turn["barge_in_stop_ms"] for turn in turns if turn["interrupts"]]
    checks = {
        "call completed": not heard["error"],
        "greeting heard": heard["greeting_ms"] is not None,
        "all turns spoken": len(turns) == len(SCRIPT) - 1,
        "every turn answered": all(turn["answered"] for turn in turns),
        "answers hold what the knowledge says": not any(turn["missing"] for turn in turns),
        "interruption silenced the agent": bool(stops) and all(ms is not None for ms in stops),
        "bridge carried the caller to the person": bridge["person_heard_caller"] >= CARRIED,
        "bridge carried the person to the caller": bridge["caller_heard_person"] >= CARRIED,
    }
    return {
        "passed": all(checks.values()),
        "checks": checks,
        "machine": describe(bench.settings),
        "greeting_ms": heard["greeting_ms"],
        "call_id": heard["call_id"],
        "turns": turns,
        "bridge": bridge,
        "recording": str(bench.folder / "caller.wav"),
        "error": heard["error"],
    }


def holds(answer: str, fact: str) -> bool:
    """Whether an answer says a fact, however its numbers are written."""
    return fact.lower() in answer.lower() or as_spoken(fact).lower() in as_spoken(answer).lower()


def _channels(path: Path) -> tuple[Any, Any]:
    samples, _ = sf.read(path, dtype="int16", always_2d=True)
    return samples[:, 0], samples[:, 1]


def _at_8_khz(path: Path) -> Any:
    samples, rate_hz = sf.read(path, dtype="int16")
    return soxr.resample(samples, rate_hz, 8000)


def _show(report: dict[str, Any], console: Console) -> None:
    title = "Times in ms; voice to voice is measured at the caller's end of the wire"
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("caller said", no_wrap=True, max_width=22)
    for column in ("voice to voice", "stopped after", *STAGES):
        table.add_column(
            column.replace("_", " ").replace(" ", "\n", 1), justify="right", min_width=5
        )
    cell: Callable[[Any], str] = lambda value: "" if value is None else f"{value:.0f}"  # noqa: E731
    for turn in report["turns"]:
        stages = turn["stages_ms"] or {}
        table.add_row(
            turn["said"],
            cell(turn["voice_to_voice_ms"]),
            cell(turn["barge_in_stop_ms"]),
            *(cell(stages.get(stage)) for stage in STAGES),
        )
    console.print(table)
    console.print("[dim]" + ", ".join(f"{k}: {v}" for k, v in report["machine"].items()) + "[/]")
    console.print(f"greeting after {cell(report['greeting_ms'])} ms")
    for check, held in report["checks"].items():
        console.print(f"{'[green]held[/]  ' if held else '[red]FAILED[/]'} {check}")
    console.print(f"recording: {report['recording']}   report: {FOLDER / 'report.json'}")
