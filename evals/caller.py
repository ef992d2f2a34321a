"""A test caller: rings, says recordings like a person would, hears answers, measures them.

``voice-agent call`` plays recordings one a turn; ``python -m evals.caller URI --scenario FILE``
plays a whole scenario and prints what happens, as it happens, as one JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evals.agent_record import ask_record, laid_beside
from evals.call_report import CallReport, SaidTurn
from evals.playing import QUIET_MS, Caller, Tell
from evals.rig import CALLER_PITCH, CALLER_RATE, spoken
from evals.scenario import Say, ScenarioError, Step, read_scenario
from evals.wire_audio import AudioFileError, Utterance, read_utterance
from evals.wire_call import CallError
from evals.wire_line import WireLine, line_towards
from telephony.errors import GatewayError
from telephony.settings import SipSettings
from voice_agent.config import ConfigError, Settings, load, secret
from voice_agent.speech.synthesiser import SynthesiserError


async def add_record(report: CallReport, settings: Settings) -> str:
    """Fill in what the agent knows of each turn; says why when it cannot be had."""
    url = f"http://{settings.media.host}:{settings.media.port}/calls/{report.call_id}"
    record, why = await ask_record(url, secret(settings.media.token_env), len(report.turns))
    if record is None:
        return why
    turns, sounds = laid_beside(
        record,
        [report.answered_at + turn.began_s for turn in report.turns],
        [report.answered_at + sound.began_s for sound in report.sounds],
    )
    for turn, known in zip(report.turns, turns, strict=True):
        if known is not None:
            turn.heard, turn.answer, turn.sources = known.heard, known.answer, known.sources
            turn.stages_ms = known.stages_ms
            turn.filler = str(known.answered.get("filler") or "")
    for sound, of_it in zip(report.sounds, sounds, strict=True):
        sound.heard, sound.said_all = of_it.heard, of_it.said_all
    return ""


def call_command(
    uri: str,
    say: Sequence[Path],
    texts: Sequence[str],
    out: Path | None,
    record: Path | None,
    settings: Settings,
) -> int:
    """``voice-agent call``: say each file, then each text, once the agent is quiet; the exit code.

    0: every turn was answered; 1: one was not, or the call failed; 2: a file or the address
    cannot be used.
    """
    try:
        steps: list[Step] = [Say(read_utterance(path)) for path in say]
        line = line_towards(uri)
        steps += [Say(utterance) for utterance in _spoken(texts, settings)]
    except (AudioFileError, CallError) as error:
        return _refuse(str(error), 2)
    except SynthesiserError as error:
        return _refuse(f"{error} (`voice-agent serve` runs the voice)", 1)
    report = _ring(uri, steps, line, record, settings, _print_event)
    if report is None:
        return 1
    for turn in report.turns:
        print(_line(turn))
    return _finish(report, out)


def _spoken(texts: Sequence[str], settings: Settings) -> list[Utterance]:
    """Texts in the synthesiser's voice, a little higher, as a caller's."""
    if not texts:
        return []
    voice = settings.speech.synthesiser.model_copy(update={"rate": CALLER_RATE})
    with TemporaryDirectory() as folder:
        named = {str(number): text for number, text in enumerate(texts)}
        files = asyncio.run(spoken(voice, named, CALLER_PITCH, Path(folder)))
        return [replace(read_utterance(files[name]), name=named[name]) for name in named]


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
    tell: Tell,
    quiet_ms: float = QUIET_MS,
) -> CallReport | None:
    async def ring() -> CallReport:
        ringing = asyncio.current_task()
        assert ringing is not None  # noqa: S101 - it is this one
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ringing.cancel)
        report = await Caller(steps, tell, quiet_ms).ring(uri, WireLine(line), record)
        if report.call_id and (why := await add_record(report, settings)):
            _refuse(f"no record of the call: {why}", 1)
        return report

    try:
        return asyncio.run(ring())
    except asyncio.CancelledError:
        _refuse("stopped; the call is hung up", 1)
        return None
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
