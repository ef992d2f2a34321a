"""``make demo``: two calls from ring to hang-up, heard live, measured, and checked.

A simulated caller rings over SIP, asks, interrupts, asks for a person and talks to them; the
person answers on a second SIP line. Then a customer rings, has an order looked up in the sample
back office, and wants a larger refund than the agent may make: they are put through as well. What
callers say and hear goes through G.711 and RTP. The exit code is 0 only if every question was
answered with what the knowledge and the back office say, the interruption silenced the agent, the
bridge carried all voices, nothing was refunded, and the back office was told of the call.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evals.back_office.running import back_office, use_back_office
from evals.demo_call import CALLS, Script, checks_of_questions, checks_of_refund, judged, scenario
from evals.machine import describe
from evals.rig import Rig, caller, person, rig, speak
from voice_agent.config import Settings, secret
from voice_agent.records.outbox import Outbox
from voice_agent.serve import stop_signals_as_interrupts
from voice_agent.supervision import ServeError

FOLDER = Path("var/demo")
OUTCOME_PATIENCE_S = 8.0
STAGES = ("end_of_turn", "transcribe", "retrieve", "first_token", "first_sentence", "first_audio")


def run(settings: Settings, config: Path) -> int:
    """Run the demo; 0 when all of it held, 1 otherwise."""
    del config  # the running product gets one derived from these settings
    console = Console()
    began = time.monotonic()
    try:
        with (
            stop_signals_as_interrupts(),
            back_office(settings.actions.webhook_secret_env) as office,
            rig(
                settings,
                FOLDER,
                lambda text: console.print(f"[dim]{text}[/]"),
                change=lambda tree: use_back_office(tree, office, FOLDER),
            ) as bench,
        ):
            console.print(f"[dim]ready to take the call after {time.monotonic() - began:.1f} s[/]")
            questions, refund = (_ring(bench, script, console) for script in CALLS)
            told = outcome_told(bench)
            machine = describe(bench.settings)
    except ServeError as error:
        console.print(f"[red]demo: {escape(str(error))}[/]")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("demo: stopped")
        return 1
    questions["checks"] |= checks_of_questions(questions)
    refund["checks"] |= checks_of_refund(refund, told)
    report = {
        "passed": all((*questions["checks"].values(), *refund["checks"].values())),
        "machine": machine,
        **questions,
        "refund_call": {**refund, "told": told},
    }
    (FOLDER / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(report, console)
    return 0 if report["passed"] else 1


def outcome_told(bench: Rig) -> dict[str, Any] | None:
    """What the back office took of the last call; nothing when it was not told of every call."""
    outbox = Outbox(bench.settings.actions.outbox)
    until = time.monotonic() + OUTCOME_PATIENCE_S
    while time.monotonic() < until:
        events = outbox.events("delivered")
        if len(events) == len(CALLS):
            told: dict[str, Any] = json.loads(events[-1].body)
            return told
        time.sleep(0.2)
    return None


def _ring(bench: Rig, script: Script, console: Console) -> dict[str, Any]:
    files = speak(bench, {line.name: line.words for line in script.lines})
    says = f"{script.person}-says"
    voice = speak(bench, {says: script.person_says}, pitch=0.9)[says]
    with person(bench, voice, name=script.person) as person_report:  # noqa: SIM117  # one ends first
        with caller(bench, script.caller, scenario(script, files), script.quiet_ms) as process:
            _follow(process, script, bench, console)
            process.wait()
    # The person's telephone writes its report when it is stopped.
    heard = json.loads((bench.folder / f"{script.caller}.json").read_text(encoding="utf-8"))
    human = json.loads(person_report.read_text(encoding="utf-8"))
    return judged(script, heard, human, bench, files, voice)


def _follow(process: subprocess.Popen[str], script: Script, bench: Rig, console: Console) -> None:
    """Print what happens while it happens, as either side has it."""
    done = threading.Event()
    printer: threading.Thread | None = None
    name = ""
    for text in process.stdout or ():
        event = json.loads(text)
        match event["event"]:
            case "ringing":
                console.print(f"[dim]ringing {event['uri']}[/]")
            case "answered":
                console.print("[dim]answered[/]\n")
                printer = threading.Thread(
                    target=_print_turns,
                    args=(bench, event["call_id"], console, done),
                    daemon=True,  # a demo that is stopped does not wait for more turns
                )
                printer.start()
            case "saying":
                name = Path(event["said"]).stem
                words = next(line.words for line in script.lines if line.name == name)
                console.print(f"[cyan]caller says [/]   {escape(words)}")
            case "no_reply" if name == script.to_person.name:
                pass  # a person may just listen
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
                console.print(f"[green]agent heard[/]    {escape(turn['heard'])}")
            cut = " [dim](interrupted)[/]" if turn["end_reason"] == "interrupted" else ""
            said = escape(turn["heard_by_caller"])
            console.print(f"[magenta]caller heard[/]   {said}{cut}\n")
        shown = max(shown, len(turns))
        if last:
            return


def _show(report: dict[str, Any], console: Console) -> None:
    title = "Times in ms; voice to voice is measured at the caller's end of the wire"
    table = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("caller said", no_wrap=True, max_width=22)
    for column in ("voice to voice", "stopped after", *STAGES):
        table.add_column(
            column.replace("_", " ").replace(" ", "\n", 1), justify="right", min_width=5
        )
    cell: Callable[[Any], str] = lambda value: "" if value is None else f"{value:.0f}"  # noqa: E731
    for turn in (*report["turns"], *report["refund_call"]["turns"]):
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
    for title, call in (("questions", report), ("order and refund", report["refund_call"])):
        console.print(f"\n[bold]{title}[/]  [dim]recording: {call['recording']}[/]")
        for check, held in call["checks"].items():
            console.print(f"{'[green]held[/]  ' if held else '[red]FAILED[/]'} {check}")
    console.print(f"\nreport: {FOLDER / 'report.json'}")
