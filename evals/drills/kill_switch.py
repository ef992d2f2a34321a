"""``voice-agent drill kill-switch``: 20 live SIP calls, every agent stopped, the switch thrown.

A gateway of the drill's own, in a process, on loopback, with a caller's telephone a call. The agent
is stopped with SIGSTOP; the switch is thrown by the command line alone, whose start counts. Times
are from before the command starts to what the caller hears. Then a supervisor takes over calls
through WebRTC, half of them from listening, half from nothing.
"""

from __future__ import annotations

import asyncio
import math
import signal
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evals.drills.bench import (
    SWITCHED_HZ,
    TOKEN,
    Bench,
    DrillError,
    as_an_ordinary_process,
    running,
)
from evals.drills.hearing import clicks, longest_gap_ms, tone_begins_s
from evals.drills.supervisor import TONE_HZ as SUPERVISOR_HZ
from evals.drills.supervisor import ControlClient, Supervisor
from evals.drills.tone_agent import TONE_HZ as AGENT_HZ
from evals.latency.plain_line import PlainCall, PlainLine
from evals.wire_audio import RATE_HZ
from evals.wire_call import CallError
from telephony.realtime import ask_for_priority
from telephony.settings import GatewaySettings

NEW_CALLS_AT_S = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
WATCHED_S = 8.0
"""After the switch is thrown, calls are watched for so long."""
SETTLED_S = 1.0
TAKEN_OVER_S = 1.0
RING_APART_S = 0.1
REACH = {"new_calls_s": 2.0, "live_calls_s": 5.0, "takeover_p95_ms": 500.0, "takeover_gap_ms": 60.0}


@dataclass(frozen=True, slots=True)
class KillSwitchFigures:
    """Every figure, in the order it is told; ``None``: not measured."""

    calls: int
    new_calls: int
    new_calls_s: float | None
    """The longest any new call waited for the gateway's sentence; ``None``: one never heard it."""
    live_calls_s: float | None
    """The last live call heard the sentence so long after the command was begun."""
    dropped: int
    takeovers: int
    takeover_p95_ms: float | None
    takeover_median_ms: float | None
    takeover_gap_ms: float | None
    takeover_clicks: int | None
    missed: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> bool:
        """No figure is missed."""
        return not self.missed

    def as_dict(self) -> dict[str, Any]:
        """One key a figure."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{name}: {value}" + (f" (to reach: {REACH[name]:g})" if name in REACH else "")
            for name, value in self.as_dict().items()
            if name != "missed"
        ] + [f"missed: {', '.join(self.missed) or 'nothing'}"]


@dataclass(frozen=True, slots=True)
class Takeover:
    """One takeover as the caller heard it; ``None``: the supervisor was never heard."""

    heard_after_ms: float | None
    gap_ms: float
    clicks: int


def run(settings: GatewaySettings, *, calls: int, takeovers: int) -> KillSwitchFigures:
    """Hold the drill.

    Raises:
        DrillError: it could not be held.
    """
    ask_for_priority()  # telephones elsewhere do not wait for this machine's other work
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        return asyncio.run(_drill(settings, Path(folder), calls, takeovers))


async def _drill(
    settings: GatewaySettings, folder: Path, calls: int, takeovers: int
) -> KillSwitchFigures:
    taken: list[Takeover] = []
    if takeovers:
        async with running(settings, folder / "takeovers") as bench:
            taken = [await _take_over(bench, number) for number in range(takeovers)]
    async with running(settings, folder / "switch") as bench:
        live, new, dropped = await _switch_off(bench, calls)
    return judged(calls, live, new, dropped, taken)


# --- the switch --------------------------------------------------------------------------------


async def _switch_off(
    bench: Bench, calls: int
) -> tuple[list[float | None], list[float | None], int]:
    """How long each live and each new call waited for the sentence, and how many live ones broke
    off."""
    async with PlainLine() as line:
        live = []
        for _ in range(calls):
            live.append(asyncio.ensure_future(line.dial(bench.uri)))
            await asyncio.sleep(RING_APART_S)
        try:
            answered = [await call for call in live]
        except CallError as error:
            raise DrillError(f"a live call did not come about: {error}") from error
        for call in answered:
            if await call.wait_for_sound(-1.0, 10.0) is None:
                raise DrillError("a live call heard no agent")
        bench.agent.send_signal(signal.SIGSTOP)
        await asyncio.sleep(SETTLED_S)
        positions = [call.now_s for call in answered]
        began_s = time.monotonic()
        thrown = await _throw(bench, "on")
        new = [asyncio.ensure_future(_new_call(line, bench.uri, at)) for at in NEW_CALLS_AT_S]
        await asyncio.sleep(max(0.0, began_s + WATCHED_S - time.monotonic()))
        dropped = sum(call.ended.is_set() for call in answered)
        waits = [_switched_after(call, at) for call, at in zip(answered, positions, strict=True)]
        if await thrown.wait() != 0:
            raise DrillError("the command that throws the switch failed")
        return waits, [await call for call in new], dropped


async def _throw(bench: Bench, state: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "voice_agent", "kill-switch", state, "--scope", "all"]
    command += ["--reason", "drill", "--file", str(bench.switch)]
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, preexec_fn=as_an_ordinary_process
    )


async def _new_call(line: PlainLine, uri: str, at_s: float) -> float | None:
    """Ring after so long; how long until the sentence is heard."""
    await asyncio.sleep(at_s)
    rang_s = time.monotonic()
    try:
        call = await line.dial(uri)
    except CallError:
        return None
    answered_after_s = time.monotonic() - rang_s - call.now_s
    await call.wait_for_end(max(0.5, rang_s + WATCHED_S - at_s - time.monotonic()))
    waited_s = _switched_after(call, 0.0)
    return None if waited_s is None else answered_after_s + waited_s


def _switched_after(call: PlainCall, from_s: float) -> float | None:
    _, heard, _ = call.axis()
    begins_s = tone_begins_s(heard, SWITCHED_HZ, from_s)
    return None if begins_s is None else begins_s - from_s


# --- takeovers ---------------------------------------------------------------------------------


async def _take_over(bench: Bench, number: int) -> Takeover:
    """One call, taken over: from listening, or (every second one) from nothing."""
    async with PlainLine() as line, ControlClient(bench.control_url, TOKEN) as control:
        call = await line.dial(bench.uri)
        if await call.wait_for_sound(-1.0, 10.0) is None:
            raise DrillError("a caller heard no agent")
        (view,) = await control.calls()
        supervisor = Supervisor(control, view["call_id"], f"drill-{number}")
        try:
            await supervisor.prepare()
            listens = number % 2 == 0
            if listens:
                await supervisor.join("listen")
                await _until(control, lambda calls: any(call["supervisor"] for call in calls))
            await call.wait_for_end(SETTLED_S)
            asked_s = call.now_s
            await (supervisor.change("takeover") if listens else supervisor.join("takeover"))
            await call.wait_for_end(TAKEN_OVER_S + (0.0 if listens else SETTLED_S))
            result = _as_heard(call, asked_s)
        finally:
            await supervisor.leave()
            await call.hang_up()
        await _until(control, lambda calls: not calls)
        return result


async def _until(control: ControlClient, wanted: Callable[[list[dict[str, Any]]], bool]) -> None:
    async with asyncio.timeout(15.0):
        while not wanted(await control.calls()):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)


def _as_heard(call: PlainCall, asked_s: float) -> Takeover:
    """When on the wire; gaps as silence in what was sent, or as packets that came late; clicks in
    what was sent, since a telephone's jitter buffer joins what comes a millisecond apart."""
    _, heard, _ = call.axis()
    begins_s = tone_begins_s(heard, SUPERVISOR_HZ, asked_s, AGENT_HZ)
    if begins_s is None:
        return Takeover(None, math.inf, 0)
    from_s, to_s = asked_s - 0.1, begins_s + 0.2
    stream, came_s = call.stream()
    samples_a_packet = len(stream) // len(came_s)
    first = bisect_left(came_s, from_s) * samples_a_packet
    last = bisect_left(came_s, to_s) * samples_a_packet
    late = [gap.length_ms for gap in call.gaps() if from_s < gap.start / RATE_HZ < to_s]
    gap_ms = max([longest_gap_ms(stream[first:last]), *late])
    return Takeover((begins_s - asked_s) * 1000, gap_ms, clicks(stream[first:last]))


# --- the figures -------------------------------------------------------------------------------


def judged(
    calls: int,
    live: Sequence[float | None],
    new: Sequence[float | None],
    dropped: int,
    taken: Sequence[Takeover],
) -> KillSwitchFigures:
    """The figures, and which of them are missed. Pure."""
    values: dict[str, float | None] = {
        "new_calls_s": _longest(new),
        "live_calls_s": _longest(live),
    }
    clicked = None
    if taken:
        waits = sorted(one.heard_after_ms or math.inf for one in taken)
        p95 = waits[max(0, math.ceil(0.95 * len(waits)) - 1)]
        values["takeover_p95_ms"] = round(p95, 1) if math.isfinite(p95) else None
        gap = max(one.gap_ms for one in taken)
        values["takeover_gap_ms"] = round(gap, 1) if math.isfinite(gap) else None
        clicked = sum(one.clicks for one in taken)
    missed = [name for name, value in values.items() if value is None or value > REACH[name]]
    if dropped:
        missed.append("dropped")
    if clicked:
        missed.append("takeover_clicks")
    heard = [one.heard_after_ms for one in taken if one.heard_after_ms is not None]
    return KillSwitchFigures(
        calls=calls,
        new_calls=len(new),
        new_calls_s=values["new_calls_s"],
        live_calls_s=values["live_calls_s"],
        dropped=dropped,
        takeovers=len(taken),
        takeover_p95_ms=values.get("takeover_p95_ms"),
        takeover_median_ms=round(statistics.median(heard), 1) if heard else None,
        takeover_gap_ms=values.get("takeover_gap_ms"),
        takeover_clicks=clicked,
        missed=tuple(missed),
    )


def _longest(waits: Sequence[float | None]) -> float | None:
    """``None`` when any of them never ended."""
    longest = 0.0
    for wait in waits:
        if wait is None:
            return None
        longest = max(longest, wait)
    return round(longest, 3)
