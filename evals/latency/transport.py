"""What the line itself costs: ``python -m evals.latency.transport [--line webrtc] [--calls N]``.

A gateway of its own rings an agent that thinks nothing (``echo_agent``). The caller says bursts of
tone and measures at the wire, so what is left is the path through the gateway, both ways. Caller
and gateway each keep a 20 ms clock and the phase they meet in: every call is rung at another one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import aiohttp
import numpy as np

from evals.latency.echo_agent import LOUD_LEVEL, EchoAgent, Marks, tone
from evals.latency.packet_call import PacketCall
from evals.latency.plain_line import PlainLine
from evals.latency.web_line import WebLine
from evals.wire_audio import RATE_HZ, WIDE_HZ, Samples, Span, Utterance
from evals.wire_call import CallError
from evals.wire_line import free_port
from telephony.realtime import ask_for_priority
from voice_agent.config import ConfigError, Settings, load

LOOPBACK = "127.0.0.1"
CALLS = 6
BURSTS_A_CALL = 6
BURST_MS = 100
SOUNDS_MS = 250
"""For so long the tone plays before the caller interrupts it."""
QUIET_MS = 350
START_TIMEOUT_S = 30.0
_GATEWAY = (
    "import json, sys; from telephony.gateway import run; "
    "from telephony.settings import GatewaySettings; "
    "sys.exit(run(GatewaySettings.model_validate(json.loads(sys.stdin.read()))))"
)

LineKind = Literal["sip", "webrtc"]


class ProbeError(Exception):
    """The gateway or a call did not come about."""

    code = "probe_failed"
    retryable = True
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Echo:
    """One burst and its answer, in seconds since the call was answered."""

    sent_s: float
    """The last sample of the first loud packet left."""
    heard_s: float
    answered_s: float
    """The first sample of the agent's tone was heard."""
    interrupted_s: float
    """The last sample of the second burst's first packet left."""
    cleared_s: float
    silent_s: float
    """The last sample of the tone was heard."""
    longest_gap_ms: float
    """Longest silence inside the tone, whatever it came of."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The line's share of a turn, in ms. ``None``: nothing was measured."""

    median_ms: float | None
    """From the first loud packet sent to the first tone heard, with an agent that takes no time."""
    p95_ms: float | None
    to_agent_median_ms: float | None
    to_caller_median_ms: float | None
    clear_median_ms: float | None
    """From the agent's ``clear`` to silence."""
    clear_p95_ms: float | None
    interruption_median_ms: float | None
    """From the caller's interruption to silence, with an agent that takes no time."""
    interruption_p95_ms: float | None
    longest_gap_ms: float | None
    echoes: int
    missed: int
    """Bursts that were not answered, or answers that were not stopped."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` (0 to 1) of ``values`` lie; ``None`` of none."""
    return round(float(np.percentile(values, share * 100)), 1) if values else None


def summarise(echoes: Sequence[Echo], missed: int = 0) -> Transport:
    """The figures of all bursts. Pure."""
    whole = [(echo.answered_s - echo.sent_s) * 1000 for echo in echoes]
    clear = [(echo.silent_s - echo.cleared_s) * 1000 for echo in echoes]
    stopped = [(echo.silent_s - echo.interrupted_s) * 1000 for echo in echoes]
    return Transport(
        median_ms=percentile(whole, 0.5),
        p95_ms=percentile(whole, 0.95),
        to_agent_median_ms=percentile([(e.heard_s - e.sent_s) * 1000 for e in echoes], 0.5),
        to_caller_median_ms=percentile([(e.answered_s - e.heard_s) * 1000 for e in echoes], 0.5),
        clear_median_ms=percentile(clear, 0.5),
        clear_p95_ms=percentile(clear, 0.95),
        interruption_median_ms=percentile(stopped, 0.5),
        interruption_p95_ms=percentile(stopped, 0.95),
        longest_gap_ms=percentile([echo.longest_gap_ms for echo in echoes], 1.0),
        echoes=len(echoes),
        missed=missed,
    )


def echo_of(
    first: Span, second: Span, heard: Samples, until: int, marks: Marks, answered_at: float
) -> Echo | None:
    """One burst's echo; ``None`` when it is not whole. Pure.

    Args:
        first: the first packet of the burst on the call's axis.
        second: that of the interruption.
        heard: what was received, on the axis.
        until: where the next burst begins, or the axis ends.
        marks: the agent's.
        answered_at: position 0 as the agent's clock has it.
    """
    begin = first.end
    loud = np.flatnonzero(np.abs(heard[begin:until].astype(np.int32)) >= LOUD_LEVEL) + begin
    if not len(loud) or not marks.heard_s or not marks.cleared_s:
        return None
    return Echo(
        sent_s=first.end / RATE_HZ,
        heard_s=marks.heard_s - answered_at,
        answered_s=int(loud[0]) / RATE_HZ,
        interrupted_s=second.end / RATE_HZ,
        cleared_s=marks.cleared_s - answered_at,
        silent_s=(int(loud[-1]) + 1) / RATE_HZ,
        longest_gap_ms=(int(np.diff(loud).max(initial=1)) - 1) * 1000 / RATE_HZ,
    )


@contextlib.asynccontextmanager
async def gateway(
    settings: Settings, folder: Path, agent_port: int
) -> AsyncIterator[dict[str, str]]:
    """A gateway of these settings on free ports, in a process of its own; where each kind of line
    rings it.

    Raises:
        ProbeError: it did not become ready.
    """
    tree = settings.gateway.model_dump(mode="json")
    sip_port, web_port = free_port(LOOPBACK), free_port(LOOPBACK)
    tree["sip"].update(enabled=True, host=LOOPBACK, port=sip_port, trunk=None, tls=None, srtp="off")
    tree["web"].update(enabled=True, host=LOOPBACK, port=web_port, media_host=LOOPBACK)
    tree["control"]["enabled"] = False
    tree["kill_switch"] = str(folder / "kill_switch.json")
    tree["agent"]["url"] = f"ws://{LOOPBACK}:{agent_port}/media"
    tree["recording"]["enabled"] = False
    with (folder / "gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _GATEWAY, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
        )
    page = f"http://{LOOPBACK}:{web_port}"
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps(tree).encode())
            process.stdin.close()
        await _until_ready(f"{page}/readyz", process, folder)
        yield {"sip": f"sip:agent@{LOOPBACK}:{sip_port}", "webrtc": page}
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process, folder: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline_s and process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise ProbeError(f"the gateway did not start: see {folder / 'gateway.log'}")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """While it measures, this process must not be what is late."""
    policy, how = os.sched_getscheduler(0), os.sched_getparam(0)
    granted = ask_for_priority()
    try:
        yield
    finally:
        if granted:
            os.sched_setscheduler(0, policy, how)


async def _measure(
    settings: Settings, folder: Path, report: Callable[[str], None], calls: int, kind: LineKind
) -> Transport:
    agent = EchoAgent()
    echoes: list[Echo] = []
    try:
        async with gateway(settings, folder, await agent.start()) as addresses:
            with _undisturbed():
                for number in range(calls):
                    report(f"line: call {number + 1} of {calls}")
                    await asyncio.sleep(random.random() * 0.02)  # noqa: S311 - a phase, no secret
                    async with PlainLine() if kind == "sip" else WebLine() as line:
                        echoes += await _one_call(await line.dial(addresses[kind]), agent)
    except CallError as error:
        raise ProbeError(f"the call failed: {error}") from error
    finally:
        await agent.stop()
    return summarise(echoes, calls * BURSTS_A_CALL - len(echoes))


async def _one_call(call: PacketCall, agent: EchoAgent) -> list[Echo]:
    length = RATE_HZ * BURST_MS // 1000
    samples, wide = tone(RATE_HZ, BURST_MS), tone(WIDE_HZ, BURST_MS)
    burst = Utterance("burst", samples, Span(0, length), wide=wide)
    await call.wait_for_end(QUIET_MS / 1000)
    said: list[tuple[int, int, Marks]] = []
    for _ in range(BURSTS_A_CALL):
        marks = agent.marks = Marks()
        before_s = call.now_s
        first = await call.say(burst)
        await call.wait_for_sound(before_s, 2.0)
        await call.wait_for_end(SOUNDS_MS / 1000)
        second = await call.say(burst)
        said.append((first.start, second.start, marks))
        await call.wait_for_quiet(QUIET_MS, 3.0)
    _, heard, sent = call.axis()
    starts = [sent[first].start for first, _, _ in said[1:]]
    return [
        echo
        for (first, second, marks), until in zip(said, [*starts, len(heard)], strict=True)
        if (echo := echo_of(sent[first], sent[second], heard, until, marks, call.answered_at))
    ]


def probe(
    settings: Settings,
    folder: Path,
    report: Callable[[str], None],
    *,
    calls: int = CALLS,
    line: LineKind = "sip",
) -> Transport:
    """Measure the line of these settings; takes about 7 s a call. ``folder`` gets the log.

    Raises:
        ProbeError: the gateway did not start, or a call failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_measure(settings, folder, report, calls, line))


def main() -> int:
    """The command: figures as JSON on standard output; 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(description="Measure the line's share of a turn, at the wire.")
    parser.add_argument("--config", type=Path, default=Path("configs/local.yaml"))
    parser.add_argument("--line", choices=("sip", "webrtc"), default="sip")
    parser.add_argument("--calls", type=int, default=CALLS, help=f"{BURSTS_A_CALL} bursts each")
    given = parser.parse_args()
    try:
        figures = probe(
            load(given.config),
            Path("var/bench/line"),
            lambda text: print(text, file=sys.stderr),
            calls=max(1, given.calls),
            line=given.line,
        )
    except (ConfigError, ProbeError) as error:
        print(f"transport: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(figures), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
