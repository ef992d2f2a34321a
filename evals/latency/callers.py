"""Callers in a process of their own: N at once on a ramp, over SIP or WebRTC, on bad networks too.

    python -m evals.latency.callers sip:agent@127.0.0.1 --scenario a.json --ramp 1,2,4 --out FOLDER
    python -m evals.latency.callers http://127.0.0.1:8080 --line webrtc --scenario a.json --out F

Each stage of the ramp is so many calls at once, begun ``--stagger-s`` apart; the next stage begins
when all have hung up. The scenarios (``evals.scenario``) are given out in turn. What happens is
told as one JSON object a line; each call's report (``evals.call_report``) is a file of its own,
with ``callers``, ``line``, ``scenario`` and ``impairments`` beside. Exit code 0: every turn of
every call was answered; 1: one was not; 2: a file or the address cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from evals.call_report import CallReport
from evals.caller import add_record
from evals.latency.impairments import Impairments
from evals.latency.mouth import Noise, noise_under
from evals.latency.plain_line import PlainLine
from evals.latency.sip_messages import host_and_port
from evals.latency.web_line import WebLine
from evals.playing import QUIET_MS, Caller, Tell
from evals.scenario import Say, ScenarioError, Sound, Step, read_scenario
from evals.telephone import Telephone
from evals.wire_audio import WIDE_HZ, AudioFileError
from evals.wire_call import CallError
from voice_agent.config import ConfigError, Settings, load

LineName: TypeAlias = Literal["sip", "webrtc"]
STAGGER_S = 0.7
"""So that callers do not all end their first sentence at once."""
MAX_CALLERS = 200
PRIORITY = -10
"""A telephone is no process of the machine that answers it, and must not wait for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who rings, how, and what is written where."""

    uri: str
    line: LineName
    scenarios: tuple[tuple[str, tuple[Step, ...]], ...]
    """Name and steps."""
    ramp: tuple[int, ...]
    out: Path
    name: str = "call"
    stagger_s: float = STAGGER_S
    impairments: Impairments = field(default_factory=Impairments)
    noise: Noise | None = None
    record: bool = False
    quiet_ms: float = QUIET_MS
    settings: Settings | None = None
    """The running product's, if its records are to be asked."""

    def telephone(self, stage: int, number: int) -> Telephone:
        """A telephone of one caller's own: its network and its background are no other's."""
        impairments = self.impairments.seeded(stage, number)
        noise = self.noise
        if noise is not None:
            noise = noise.started_at((stage * MAX_CALLERS + number) * WIDE_HZ * 7)
        if self.line == "webrtc":
            return WebLine(impairments, noise)
        return PlainLine(impairments, noise)

    def scenario(self, number: int) -> tuple[str, tuple[Step, ...]]:
        """What a caller plays: name and steps."""
        return self.scenarios[number % len(self.scenarios)]

    def file(self, stage: int, number: int) -> str:
        """The name of a call's files, without their endings."""
        many = f"-{self.ramp[stage]}x" if len(self.ramp) > 1 else ""
        return f"{self.name}{many}-{number}"


async def play(plan: Plan, tell: Tell) -> list[dict[str, Any]]:
    """Play every stage; the reports, as they were written.

    Raises:
        OSError: a report could not be written.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    reports: list[dict[str, Any]] = []
    for stage, callers in enumerate(plan.ramp):
        tell({"event": "stage", "callers": callers})
        calls = await asyncio.gather(
            *(_call(plan, stage, number, tell) for number in range(callers))
        )
        # Only now, for measuring one call would make the others stutter.
        for number, (caller, report) in enumerate(calls):
            reports.append(await _report(plan, stage, number, caller, report, tell))
    return reports


async def _call(plan: Plan, stage: int, number: int, tell: Tell) -> tuple[Caller, CallReport]:
    await asyncio.sleep(number * plan.stagger_s)
    file, (_, steps) = plan.file(stage, number), plan.scenario(number)
    caller = Caller(steps, lambda event: tell({"call": file} | event), plan.quiet_ms)
    return caller, await caller.converse(plan.uri, plan.telephone(stage, number))


async def _report(
    plan: Plan, stage: int, number: int, caller: Caller, report: CallReport, tell: Tell
) -> dict[str, Any]:
    file, (scenario, _) = plan.file(stage, number), plan.scenario(number)
    caller.measure(report, plan.out / f"{file}.wav" if plan.record else None)
    no_record = ""
    if plan.settings is not None and report.call_id:
        no_record = await add_record(report, plan.settings)
    written = report.as_json() | {
        "line": plan.line,
        "callers": plan.ramp[stage],
        "scenario": scenario,
        "impairments": asdict(plan.impairments),
        "succeeded": report.succeeded,
        "no_record": no_record,
    }
    text = json.dumps(written, indent=2) + "\n"
    (plan.out / f"{file}.json").write_text(text, encoding="utf-8")
    tell({"call": file, "event": "reported", "ok": report.succeeded, "no_record": no_record})
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        plan = _plan(options)
    except (
        *(OSError, ValueError, AudioFileError, ScenarioError, CallError, ConfigError),
    ) as error:
        print(f"callers: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    # What is loaded stays loaded: searching it for garbage would only make callers stutter.
    gc.collect()
    gc.freeze()
    try:
        reports = asyncio.run(_until_stopped(plan))
    except asyncio.CancelledError:
        print("callers: stopped", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"callers: {error}", file=sys.stderr)
        return 1
    for report in reports:
        if report["error"]:
            print(f"callers: {report['error']}", file=sys.stderr)
    return 0 if all(report["succeeded"] for report in reports) else 1


async def _until_stopped(plan: Plan) -> list[dict[str, Any]]:
    work = asyncio.ensure_future(play(plan, lambda event: print(json.dumps(event), flush=True)))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    return await work


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evals.latency.callers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("uri", help="SIP address, or the page's address with --line webrtc")
    parser.add_argument("--scenario", type=Path, action="append", required=True, help="repeatable")
    parser.add_argument("--out", type=Path, required=True, help="folder for the reports")
    parser.add_argument("--name", default="call", help="how the files' names begin")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--callers", type=int, help="so many at once (one a scenario)")
    many.add_argument("--ramp", help="stages, as in 1,2,4")
    parser.add_argument("--stagger-s", type=float, default=STAGGER_S)
    parser.add_argument("--line", choices=["sip", "webrtc"], default="sip")
    parser.add_argument("--loss", type=float, default=0.0, help="percent, each way")
    parser.add_argument("--reorder", type=float, default=0.0, help="percent, each way")
    parser.add_argument("--duplicate", type=float, default=0.0, help="percent, each way")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="longest delay of a packet")
    parser.add_argument("--noise", type=Path, help="a recording of where the callers are")
    parser.add_argument("--snr-db", type=float, default=20.0, help="speech over --noise")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet-ms", type=float, default=QUIET_MS, help="silence ends an answer")
    parser.add_argument("--record", action="store_true", help="write stereo WAV files as well")
    parser.add_argument("--config", type=Path, help="ask the agent of these settings for records")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    scenarios = tuple(_read(path) for path in options.scenario)
    if options.line == "sip":
        host_and_port(options.uri)
    elif not options.uri.startswith(("http://", "https://")):
        raise ValueError("that is not a page's address (http://somewhere)")
    if not math.isfinite(options.snr_db) or not 0 <= options.quiet_ms < math.inf:
        raise ValueError("--snr-db and --quiet-ms are numbers, the latter not negative")
    noise = None
    if options.noise is not None:
        made = [
            step.utterance
            for _, steps in scenarios
            for step in steps
            if isinstance(step, Say | Sound)
        ]
        noise = noise_under(options.noise, made, options.snr_db)
    return Plan(
        uri=options.uri,
        line=options.line,
        scenarios=scenarios,
        ramp=_ramp(options, len(scenarios)),
        out=options.out,
        name=options.name,
        stagger_s=options.stagger_s,
        impairments=Impairments(
            options.loss, options.reorder, options.duplicate, options.jitter_ms, options.seed
        ),
        noise=noise,
        record=options.record,
        quiet_ms=options.quiet_ms,
        settings=load(options.config) if options.config else None,
    )


def _read(path: Path) -> tuple[str, tuple[Step, ...]]:
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON") from error
    try:
        return path.stem, tuple(read_scenario(steps, path.parent))
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def _ramp(options: argparse.Namespace, scenarios: int) -> tuple[int, ...]:
    if options.ramp is None:
        stages = [options.callers if options.callers is not None else scenarios]
    else:
        words = options.ramp.split(",")
        if not all(word.strip().isdecimal() for word in words):
            raise ValueError("--ramp is numbers with commas, as in 1,2,4")
        stages = [int(word) for word in words]
    if not all(1 <= stage <= MAX_CALLERS for stage in stages):
        raise ValueError(f"between 1 and {MAX_CALLERS} callers ring at once")
    if not 0 <= options.stagger_s < math.inf:
        raise ValueError("--stagger-s is a number of seconds, and not negative")
    return tuple(stages)


if __name__ == "__main__":
    sys.exit(main())
