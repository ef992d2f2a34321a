"""A caller who plays a scenario on one call, over whatever line, and measures what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from evals.call_report import CallReport, Spoken
from evals.scenario import HangUp, Hold, Press, Say, Sound, Step, Wait
from evals.telephone import SeesPackets, Telephone, TelephoneCall
from evals.wire_audio import Span, Utterance, write_stereo
from evals.wire_call import CallError

QUIET_MS = 1_200.0
"""A person takes so much silence for the end of an answer."""
BRIEF_MS = 1_500.0
"""An answer so short may be "One moment", which promises another."""
PROMISE = 3.0
"""A person waits so many times longer for what was promised."""
GREETING_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 20.0
REPLY_LENGTH_S = 60.0

Tell: TypeAlias = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class _Made:
    """What was said in one turn, or one sound: recordings and which sent chunks they were."""

    interrupts: bool
    parts: list[tuple[Utterance, range]] = field(default_factory=list)

    def placed(self, sent: Sequence[Span]) -> Spoken:
        spans: list[Span] = []
        pauses: list[Span] = []
        stalled = 0
        for said, chunks in self.parts:
            start = sent[chunks[0]].start
            tail = len(said.samples) - said.speech.end
            span = Span(start + said.speech.start, sent[chunks[-1]].end - tail)
            if spans:
                pauses.append(Span(spans[-1].end, span.start))
            pauses += [Span(start + p.start, start + p.end) for p in said.pauses]
            spans.append(span)
            mine = [sent[chunk] for chunk in chunks]
            stalled = max(stalled, *(b.start - a.end for a, b in pairwise(mine)), 0)
        name = " + ".join(said.name for said, _ in self.parts)
        whole = Span(spans[0].start, spans[-1].end)
        return Spoken(name, whole, self.interrupts, tuple(pauses), Span(0, stalled).length_ms)


class Caller:
    """Plays a scenario on one call. ``tell`` hears of things as they happen."""

    def __init__(self, steps: Sequence[Step], tell: Tell, quiet_ms: float = QUIET_MS) -> None:
        self._steps = steps
        self._tell = tell
        self._quiet_ms = quiet_ms
        self._call: TelephoneCall | None = None
        self._said: list[_Made] = []
        self._sounds: list[_Made] = []
        self._last_began_s = 0.0
        self._last_ended_s = 0.0
        self._reply_s: float | None = None
        """When the reply to what was said last began."""

    async def ring(self, uri: str, telephone: Telephone, record: Path | None = None) -> CallReport:
        """Converse and measure at once.

        Raises:
            GatewayError: our own line could not be opened.
            OSError: the recording could not be written.
        """
        report = await self.converse(uri, telephone)
        self.measure(report, record)
        return report

    async def converse(self, uri: str, telephone: Telephone) -> CallReport:
        """Ring, play the scenario, hang up. Faults of the call are in the report.

        Raises:
            GatewayError: our own line could not be opened.
        """
        report = CallReport(uri)
        try:
            async with telephone as line:
                self._tell({"event": "ringing", "uri": uri})
                call = self._call = await line.dial(uri)
                report.call_id, report.answered_at = call.call_id, call.answered_at
                self._tell({"event": "answered", "call_id": call.call_id, "at": call.answered_at})
                try:
                    await self._play(call, report)
                except CallError as error:
                    report.error = str(error)
                finally:
                    report.duration_s = round(call.now_s, 3)
                    report.ended_by = "agent" if call.ended.is_set() else "caller"
                    await call.hang_up()
                report.digits_heard = call.digits
        except CallError as error:
            report.error, report.status = str(error), error.status
        self._tell({"event": "ended", "by": report.ended_by, "error": report.error})
        return report

    def measure(self, report: CallReport, record: Path | None = None) -> None:
        """Fill in what was heard on the call; it takes a while, and other calls would stutter.

        Raises:
            OSError: the recording could not be written.
        """
        call = self._call
        if call is None:
            return
        left, right, sent = call.axis()
        if record is not None:
            write_stereo(record, left, right)
        gaps: Sequence[Span] | None = None
        if isinstance(call, SeesPackets):
            gaps, report.network = call.gaps(), call.network()
        report.measure(
            [made.placed(sent) for made in self._said],
            right,
            sounds=[made.placed(sent) for made in self._sounds],
            gaps=gaps,
        )

    async def _play(self, call: TelephoneCall, report: CallReport) -> None:
        greeted_s = await call.wait_for_sound(-1.0, GREETING_TIMEOUT_S)
        self._tell(
            {"event": "greeting" if greeted_s is not None else "no_greeting", "at_s": greeted_s}
        )
        self._reply_s = greeted_s
        for step, after in pairwise([*self._steps, None]):
            if call.ended.is_set():
                break
            match step:
                case Say():
                    goes_on = isinstance(after, Say) and after.after_end_ms is not None
                    await self._say(call, step, listens=not goes_on)
                case Sound():
                    await self._wait_into_reply(call, step.after_ms)
                    await self._sound(call, step)
                case Hold():
                    if step.after_ms is not None:
                        await self._wait_into_reply(call, step.after_ms)
                    await call.hold(True)
                    await call.wait_for_end(step.seconds)
                    await call.hold(False)
                case Press(digits):
                    await call.press(digits)
                case Wait(seconds):
                    await call.wait_for_end(seconds)
                case HangUp():
                    return
        await self._hear_out(call)
        planned = sum(isinstance(step, Say) for step in self._steps)
        unsaid = planned - sum(len(made.parts) for made in self._said)
        if unsaid:
            report.error = f"the call ended with {unsaid} recordings unsaid: {call.end_reason}"

    async def _say(self, call: TelephoneCall, step: Say, *, listens: bool) -> None:
        goes_on = step.after_end_ms is not None and bool(self._said)
        if step.after_end_ms is not None:
            due_s = self._last_ended_s + step.after_end_ms / 1000
            await call.wait_for_end(max(0.0, due_s - call.now_s))
        elif step.after_ms is not None:
            await self._wait_into_reply(call, step.after_ms)
        else:
            await self._hear_out(call)
        if call.ended.is_set():
            return
        began_s = call.now_s
        self._tell({"event": "saying", "said": step.utterance.name, "at_s": began_s})
        chunks, _ = await asyncio.gather(
            call.say(step.utterance), self._press_meanwhile(call, step)
        )
        self._last_ended_s = call.now_s
        if not goes_on:
            self._said.append(_Made(step.after_ms is not None))
            self._last_began_s, self._reply_s = began_s, None
        self._said[-1].parts.append((step.utterance, chunks))
        if listens:
            self._reply_s = await call.wait_for_sound(self._last_began_s, REPLY_TIMEOUT_S)
            event = "reply" if self._reply_s is not None else "no_reply"
            self._tell({"event": event, "at_s": self._reply_s})

    async def _hear_out(self, call: TelephoneCall) -> None:
        """Until the agent has said what it had to say."""
        quiet_s = await call.wait_for_quiet(self._quiet_ms, REPLY_LENGTH_S)
        if quiet_s is None or self._reply_s is None:
            return
        spoke_ms = (quiet_s - self._reply_s) * 1000 - self._quiet_ms
        if spoke_ms > BRIEF_MS:
            return
        longer_s = self._quiet_ms * (PROMISE - 1) / 1000
        if await call.wait_for_sound(quiet_s, longer_s) is not None:
            await call.wait_for_quiet(self._quiet_ms, REPLY_LENGTH_S)

    @staticmethod
    async def _press_meanwhile(call: TelephoneCall, step: Say) -> None:
        if step.press:
            await call.wait_for_end(step.press_at_ms / 1000)
            await call.press(step.press)

    async def _sound(self, call: TelephoneCall, step: Sound) -> None:
        if call.ended.is_set():
            return
        self._tell({"event": "sounding", "sound": step.utterance.name, "at_s": call.now_s})
        made = _Made(False)
        made.parts.append((step.utterance, await call.say(step.utterance)))
        self._sounds.append(made)

    async def _wait_into_reply(self, call: TelephoneCall, after_ms: float) -> None:
        """Until so long after the reply, or the greeting, began."""
        if self._reply_s is None:
            self._reply_s = await call.wait_for_sound(self._last_began_s, REPLY_TIMEOUT_S)
        if self._reply_s is not None:
            await call.wait_for_end(max(0.0, self._reply_s + after_ms / 1000 - call.now_s))
