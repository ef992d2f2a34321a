"""A person's telephone, simulated: rings, answers (or does not), listens, speaks, reports.

``python -m evals.human_line --port 5070 --say hello.wav --json out.json --record person.wav``

It speaks once the announcement it hears has ended: after ``--quiet-ms`` of silence that follows
sound, or ``--patience-s`` without any. Ready when it prints ``{"event": "listening"}``; ends on
SIGTERM or SIGINT, or after ``--calls`` calls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from baresip import BaresipError, Call, CallFailed

from evals.call_report import JOIN_MS
from evals.refusing_line import refuse_calls
from evals.wire_audio import (
    RATE_HZ,
    AudioFileError,
    Utterance,
    read_utterance,
    stretches,
    write_stereo,
)
from evals.wire_call import CallError, WireCall
from evals.wire_line import WireLine
from telephony.errors import GatewayError
from telephony.settings import SipSettings
from telephony.sip_stack import check_ports

Outcome: TypeAlias = Literal["answer", "busy", "decline", "no-answer"]
Tell: TypeAlias = Callable[[dict[str, Any]], None]

ANSWER_AFTER_S = 0.5
ANSWER_TIMEOUT_S = 10.0


@dataclass(slots=True)
class HumanCall:
    """What the person heard and said, in seconds since they answered."""

    call_id: str
    outcome: str
    answered_at: float | None = None
    """Wall clock, seconds since 1970."""
    duration_s: float = 0.0
    heard_s: float = 0.0
    """Seconds of sound heard."""
    heard: list[tuple[float, float]] = field(default_factory=list)
    """From when to when there was sound."""
    said: list[tuple[str, float, float]] = field(default_factory=list)
    """File, from when to when."""
    digits: str = ""
    ended_by: str = ""


class HumanLine:
    """Takes calls one after another, each in the same way."""

    def __init__(
        self,
        settings: SipSettings,
        outcome: Outcome,
        say: Sequence[Utterance],
        tell: Tell,
        *,
        quiet_ms: float = 900.0,
        patience_s: float = 8.0,
        hang_up_after_s: float | None = None,
        record: Path | None = None,
    ) -> None:
        self.calls: list[HumanCall] = []
        self._settings = settings
        self._outcome = outcome
        self._say = say
        self._tell = tell
        self._quiet_ms = quiet_ms
        self._patience_s = patience_s
        self._hang_up_after_s = hang_up_after_s
        self._record = record

    async def run(self, calls: int | None = None) -> None:
        """Take calls until cancelled, or until so many are over.

        Raises:
            CallError: the stack did not start.
            LineUnavailable: the port is in use.
        """
        check_ports(self._settings)
        if self._outcome == "decline":
            await self._decline(calls)
            return
        async with WireLine(self._settings) as line:
            self._tell({"event": "listening", "port": self._settings.port})
            async for call in line.calls():
                self._tell({"event": "ringing", "from": call.peer})
                try:
                    await self._take(call)
                except (BaresipError, CallError) as error:
                    self._tell({"event": "failed", "error": str(error)})
                if calls is not None and len(self.calls) >= calls:
                    return

    async def _decline(self, calls: int | None) -> None:
        enough = asyncio.Event()

        def note() -> None:
            self.calls.append(HumanCall("", "decline", ended_by="human"))
            if calls is not None and len(self.calls) >= calls:
                enough.set()

        transport, port = await refuse_calls(self._settings.host, self._settings.port, 603, note)
        try:
            self._tell({"event": "listening", "port": port})
            await enough.wait()
        finally:
            transport.close()

    async def _take(self, call: Call) -> None:
        taken = HumanCall(call.call_id or "", self._outcome)
        self.calls.append(taken)
        if self._outcome == "busy":
            await call.reject()
            return
        if self._outcome == "no-answer":
            with contextlib.suppress(CallFailed, TimeoutError):
                await call.wait_established(60.0)
            taken.ended_by = "caller"
            return
        await asyncio.sleep(ANSWER_AFTER_S)
        await call.answer()
        try:
            await call.wait_established(ANSWER_TIMEOUT_S)
        except CallFailed:
            taken.outcome = "gave-up"
            return
        wire = WireCall(call)
        taken.answered_at = wire.answered_at
        self._tell({"event": "answered", "call_id": taken.call_id, "at": wire.answered_at})
        chunks: list[range] = []
        try:
            await self._talk(wire, chunks)
        finally:
            taken.ended_by = "caller" if wire.ended.is_set() else "human"
            taken.duration_s = round(wire.now_s, 3)
            await wire.hang_up()
            self._note(wire, taken, chunks)
            self._tell({"event": "ended", "by": taken.ended_by, "heard_s": taken.heard_s})

    async def _talk(self, wire: WireCall, chunks: list[range]) -> None:
        for utterance in self._say:
            after_s = wire.now_s if chunks else -1.0
            await wire.wait_for_sound(after_s, self._patience_s)
            await wire.wait_for_quiet(self._quiet_ms, 60.0)
            if wire.ended.is_set():
                return
            self._tell({"event": "saying", "said": utterance.name, "at_s": wire.now_s})
            with contextlib.suppress(CallError):
                chunks.append(await wire.say(utterance))
        if self._hang_up_after_s is None:
            await wire.ended.wait()
        else:
            await wire.wait_for_end(self._hang_up_after_s)

    def _note(self, wire: WireCall, taken: HumanCall, chunks: Sequence[range]) -> None:
        mine, heard, sent = wire.axis()
        spans = stretches(heard, join_ms=JOIN_MS, relative=False)
        taken.heard = [_seconds(span.start, span.end) for span in spans]
        taken.heard_s = round(sum(span.length_ms for span in spans) / 1000, 3)
        taken.digits = wire.digits
        for utterance, said in zip(self._say, chunks, strict=False):
            start, end = sent[said[0]].start, sent[said[-1]].end
            taken.said.append((utterance.name, *_seconds(start, end)))
        if self._record is not None:
            write_stereo(self._record, mine, heard)


def _seconds(start: int, end: int) -> tuple[float, float]:
    return round(start / RATE_HZ, 3), round(end / RATE_HZ, 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code: 0 ended as asked, 1 the line failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m evals.human_line", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5070)
    parser.add_argument(
        "--outcome", choices=["answer", "busy", "decline", "no-answer"], default="answer"
    )
    parser.add_argument("--say", type=Path, action="append", default=[], help="may be repeated")
    parser.add_argument("--json", type=Path, help="write what happened here")
    parser.add_argument("--record", type=Path, help="stereo WAV: the person left, heard right")
    parser.add_argument("--quiet-ms", type=float, default=900.0)
    parser.add_argument("--patience-s", type=float, default=8.0)
    parser.add_argument("--hang-up-after-s", type=float, help="after the last words; else never")
    parser.add_argument("--calls", type=int, help="end after so many calls")
    options = parser.parse_args(arguments)
    try:
        say = [read_utterance(path) for path in options.say]
        settings = SipSettings(
            host=options.host, port=options.port, user="human", rtp_ports=(50_000, 59_998)
        )
    except (AudioFileError, ValueError) as error:
        print(f"human line: {error}", file=sys.stderr)
        return 2
    line = HumanLine(
        settings,
        options.outcome,
        say,
        lambda event: print(json.dumps(event), flush=True),
        quiet_ms=options.quiet_ms,
        patience_s=options.patience_s,
        hang_up_after_s=options.hang_up_after_s,
        record=options.record,
    )
    try:
        asyncio.run(_until_signal(line, options.calls))
    except (CallError, GatewayError) as error:
        print(f"human line: {error}", file=sys.stderr)
        return 1
    finally:
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            report = {"calls": [asdict(call) for call in line.calls]}
            options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


async def _until_signal(line: HumanLine, calls: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    work = asyncio.create_task(line.run(calls))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    while not work.done():
        # The bindings wait with ``wait_for``, which in Python 3.11 may swallow a cancellation.
        work.cancel()
        await asyncio.wait({work}, timeout=1.0)
    with contextlib.suppress(asyncio.CancelledError):
        work.result()


if __name__ == "__main__":
    sys.exit(main())
