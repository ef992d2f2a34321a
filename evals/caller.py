"""A test caller: rings, says recordings like a person would, hears answers, measures them.

``voice-agent call`` plays recordings one a turn; ``python -m evals.caller URI --scenario FILE``
plays a whole scenario and prints what happens, as it happens, as one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from evals.agent_record import ask_record, matched
from evals.call_report import CallReport, SaidTurn, Spoken
from evals.scenario import HangUp, Press, Say, ScenarioError, Step, Wait, read_scenario
from evals.wire_audio import AudioFileError, Span, read_utterance, write_stereo
from evals.wire_call import CallError, WireCall
from evals.wire_line import WireLine, line_towards
from telephony.errors import GatewayError
from telephony.settings import SipSettings
from voice_agent.config import ConfigError, Settings, load, secret

QUIET_MS = 1_200.0
"""A person takes so much silence for the end of an answer."""
GREETING_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 20.0
REPLY_LENGTH_S = 60.0

Report: TypeAlias = Callable[[dict[str, Any]], None]


class Caller:
    """Plays a scenario on one call. ``report`` hears of things as they happen."""

    def __init__(self, steps: Sequence[Step], report: Report, quiet_ms: float = QUIET_MS) -> None:
        self._steps = steps
        self._report = report
        self._quiet_ms = quiet_ms
        self._said: list[tuple[Say, range]] = []
        self._last_began_s = 0.0

    async def ring(self, uri: str, line: SipSettings, record: Path | None = None) -> CallReport:
        """Ring, play the scenario, hang up, measure. Faults of the call are in the report.

        Raises:
            GatewayError: our own line could not be opened.
            OSError: the recording could not be written.
        """
        report = CallReport(uri)
        try:
            async with WireLine(line) as wire:
                self._report({"event": "ringing", "uri": uri})
                call = await wire.dial(uri)
                report.call_id, report.answered_at = call.call_id, call.answered_at
                self._report({"event": "answered", "call_id": call.call_id, "at": call.answered_at})
                try:
                    await self._play(call, report)
                except CallError as error:
                    report.error = str(error)
                finally:
                    report.duration_s = round(call.now_s, 3)
                    report.ended_by = "agent" if call.ended.is_set() else "caller"
                    await call.hang_up()
                report.digits_heard = call.digits
                self._measure(call, report, record)
        except CallError as error:
            report.error, report.status = str(error), error.status
        self._report({"event": "ended", "by": report.ended_by, "error": report.error})
        return report

    async def _play(self, call: WireCall, report: CallReport) -> None:
        greeted_s = await call.wait_for_sound(-1.0, GREETING_TIMEOUT_S)
        self._report({"event": "greeting" if greeted_s else "no_greeting", "at_s": greeted_s})
        for step in self._steps:
            if call.ended.is_set():
                break
            match step:
                case Say():
                    await self._say(call, step)
                case Press(digits):
                    await call.press(digits)
                case Wait(seconds):
                    await call.wait_for_end(seconds)
                case HangUp():
                    return
        await call.wait_for_quiet(self._quiet_ms, REPLY_LENGTH_S)
        unsaid = sum(isinstance(step, Say) for step in self._steps) - len(self._said)
        if unsaid:
            report.error = f"the call ended with {unsaid} recordings unsaid: {call.end_reason}"

    async def _say(self, call: WireCall, step: Say) -> None:
        if step.after_ms is None:
            await call.wait_for_quiet(self._quiet_ms, REPLY_LENGTH_S)
        else:
            await self._wait_into_reply(call, step.after_ms)
        if call.ended.is_set():
            return
        self._last_began_s = call.now_s
        self._report({"event": "saying", "said": step.utterance.name, "at_s": call.now_s})
        self._said.append((step, await call.say(step.utterance)))
        reply_s = await call.wait_for_sound(self._last_began_s, REPLY_TIMEOUT_S)
        self._report({"event": "reply" if reply_s else "no_reply", "at_s": reply_s})

    async def _wait_into_reply(self, call: WireCall, after_ms: float) -> None:
        began_s = await call.wait_for_sound(self._last_began_s, REPLY_TIMEOUT_S)
        if began_s is not None:
            await call.wait_for_end(max(0.0, began_s + after_ms / 1000 - call.now_s))

    def _measure(self, call: WireCall, report: CallReport, record: Path | None) -> None:
        left, right, sent = call.axis()
        if record is not None:
            write_stereo(record, left, right)
        spoken = []
        for step, chunks in self._said:
            speech = step.utterance.speech
            tail = len(step.utterance.samples) - speech.end
            span = Span(sent[chunks[0]].start + speech.start, sent[chunks[-1]].end - tail)
            spoken.append(Spoken(step.utterance.name, span, step.after_ms is not None))
        report.measure(spoken, right)


async def add_record(report: CallReport, settings: Settings) -> str:
    """Fill in what the agent knows of each turn; says why when it cannot be had."""
    url = f"http://{settings.media.host}:{settings.media.port}/calls/{report.call_id}"
    record, why = await ask_record(url, secret(settings.media.token_env), len(report.turns))
    if record is None:
        return why
    began = [report.answered_at + turn.began_s for turn in report.turns]
    for turn, known in zip(report.turns, matched(record, began), strict=True):
        if known is not None:
            turn.heard, turn.answer = known.heard, known.answer
            turn.sources, turn.stages_ms = known.sources, known.stages_ms
    return ""


def call_command(
    uri: str, say: Sequence[Path], out: Path | None, record: Path | None, settings: Settings
) -> int:
    """``voice-agent call``: say each file once the agent is quiet; the exit code.

    0: every turn was answered; 1: one was not, or the call failed; 2: a file or the address
    cannot be used.
    """
    try:
        steps: list[Step] = [Say(read_utterance(path)) for path in say]
        line = line_towards(uri)
    except (AudioFileError, CallError) as error:
        return _refuse(str(error), 2)
    report = _ring(uri, steps, line, record, settings, _print_event)
    if report is None:
        return 1
    for turn in report.turns:
        print(_line(turn))
    return _finish(report, out)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m evals.caller``: play a scenario; events on standard output, JSON a line."""
    parser = argparse.ArgumentParser(prog="python -m evals.caller", description=__doc__)
    parser.add_argument("uri", help="SIP address to ring")
    parser.add_argument("--scenario", type=Path, required=True, help="JSON file with the steps")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--record", type=Path, help="write a stereo WAV here")
    parser.add_argument("--config", type=Path, default=Path("configs/local.yaml"))
    parser.add_argument("--quiet-ms", type=float, default=QUIET_MS, help="silence ends an answer")
    options = parser.parse_args(arguments)
    try:
        steps = read_scenario(
            json.loads(options.scenario.read_text(encoding="utf-8")), options.scenario.parent
        )
        line = line_towards(options.uri)
        settings = load(options.config)
    except (OSError, ValueError, AudioFileError, ScenarioError, CallError, ConfigError) as error:
        return _refuse(str(error), 2)
    report = _ring(
        options.uri,
        steps,
        line,
        options.record,
        settings,
        lambda event: print(json.dumps(event), flush=True),
        options.quiet_ms,
    )
    return 1 if report is None else _finish(report, options.json)


def _ring(
    uri: str,
    steps: Sequence[Step],
    line: SipSettings,
    record: Path | None,
    settings: Settings,
    tell: Report,
    quiet_ms: float = QUIET_MS,
) -> CallReport | None:
    async def ring() -> CallReport:
        report = await Caller(steps, tell, quiet_ms).ring(uri, line, record)
        if report.call_id and (why := await add_record(report, settings)):
            _refuse(f"no record of the call: {why}", 1)
        return report

    try:
        return asyncio.run(ring())
    except (GatewayError, OSError) as error:
        _refuse(str(error), 1)
        return None


def _finish(report: CallReport, out: Path | None) -> int:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    if report.error:
        _refuse(report.error, 1)
    return 0 if report.succeeded else 1


def _refuse(why: str, code: int) -> int:
    print(f"voice-agent call: {why}", file=sys.stderr)
    return code


def _print_event(event: dict[str, Any]) -> None:
    if event["event"] in ("ringing", "answered", "saying", "no_greeting", "no_reply"):
        detail = event.get("said") or event.get("uri") or event.get("call_id") or ""
        print(f"{event['event'].replace('_', ' ')} {detail}".rstrip(), flush=True)


def _line(turn: SaidTurn) -> str:
    lines = [f"{turn.said}: not answered"]
    if turn.voice_to_voice_ms is not None:
        lines = [f"{turn.said}: {turn.voice_to_voice_ms:.0f} ms voice to voice"]
    if turn.barge_in_stop_ms is not None:
        lines.append(f"  the agent stopped after {turn.barge_in_stop_ms:.0f} ms")
    if turn.heard is not None:
        lines.append(f"  heard: {turn.heard}")
    if turn.answer is not None:
        lines.append(f"  answer: {turn.answer}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
