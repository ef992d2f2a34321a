"""What the line itself costs: ``python -m evals.latency.transport [--calls N] [--config FILE]``.

A gateway of its own rings an agent that thinks nothing: at the caller's first loud frame it sends a
tone, at a second burst during the tone it sends ``clear``. The caller sends bursts of tone and
measures at the wire, from packet to packet, so what is left is the path through the gateway, both
ways. Both clocks run at 20 ms and keep the phase they meet in, so each call is rung at another
phase of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import numpy as np
from aiohttp import WSMsgType, web

from evals.latency.transport_phone import PACKET_S, Packet, Phone, PhoneError
from evals.wire_line import free_port
from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ, Clear, encode
from voice_agent.config import ConfigError, Settings, load

LOOPBACK = "127.0.0.1"
CALLS = 6
BURSTS_A_CALL = 6
TONE_MS = 1_500
BURST_MS = 100
QUIET_PACKETS = 15
START_TIMEOUT_S = 30.0
LOUD_LEVEL = 500
_GATEWAY = (
    "import json, sys; from telephony.gateway import run; "
    "from telephony.settings import GatewaySettings; "
    "sys.exit(run(GatewaySettings.model_validate(json.loads(sys.stdin.read()))))"
)


class ProbeError(Exception):
    """The gateway or a call did not come about."""

    code = "probe_failed"
    retryable = True
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Echo:
    """One burst and its answer, all times in seconds since 1970."""

    sent_s: float
    """The first loud packet of the caller left."""
    heard_s: float
    """The first loud frame reached the agent, which answered at once."""
    answered_s: float
    """The first packet of the agent's tone reached the caller."""
    interrupted_s: float
    """The first loud packet of the second burst left."""
    cleared_s: float
    """The agent sent ``clear``."""
    silent_s: float
    """The last packet with sound reached the caller, and its 20 ms were over."""
    longest_gap_ms: float
    """Longest time between two packets while the tone played."""
    holes: int
    """Packets of silence inside the tone."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The line's share of a turn, in ms. ``None``: nothing was measured."""

    median_ms: float | None
    p95_ms: float | None
    to_agent_median_ms: float | None
    to_caller_median_ms: float | None
    clear_median_ms: float | None
    """From the agent's ``clear`` to silence on the wire."""
    clear_p95_ms: float | None
    interruption_median_ms: float | None
    """From the caller's interruption to silence on the wire, with an agent that stops at once."""
    interruption_p95_ms: float | None
    longest_gap_ms: float | None
    holes: int
    echoes: int
    missed: int
    """Bursts that were not answered, or answers that were not stopped."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which ``share`` (0 to 1) of ``values`` lie; ``None`` of none."""
    return round(float(np.percentile(values, share * 100)), 1) if values else None


def summarise(echoes: Sequence[Echo], missed: int = 0) -> Transport:
    """The figures of all bursts. Pure."""

    def ms(start: str, end: str) -> list[float]:
        return [(getattr(echo, end) - getattr(echo, start)) * 1000 for echo in echoes]

    whole, clear = ms("sent_s", "answered_s"), ms("cleared_s", "silent_s")
    stopped = ms("interrupted_s", "silent_s")
    return Transport(
        median_ms=percentile(whole, 0.5),
        p95_ms=percentile(whole, 0.95),
        to_agent_median_ms=percentile(ms("sent_s", "heard_s"), 0.5),
        to_caller_median_ms=percentile(ms("heard_s", "answered_s"), 0.5),
        clear_median_ms=percentile(clear, 0.5),
        clear_p95_ms=percentile(clear, 0.95),
        interruption_median_ms=percentile(stopped, 0.5),
        interruption_p95_ms=percentile(stopped, 0.95),
        longest_gap_ms=percentile([echo.longest_gap_ms for echo in echoes], 1.0),
        holes=sum(echo.holes for echo in echoes),
        echoes=len(echoes),
        missed=missed,
    )


@dataclass(slots=True)
class Marks:
    """What the agent noted of one burst."""

    heard_s: float = 0.0
    cleared_s: float = 0.0


def echo_of(sent: Sequence[Packet], received: Sequence[Packet], marks: Marks) -> Echo | None:
    """One burst's echo from the packets since it was begun; ``None`` when it is not whole. Pure."""
    bursts = [
        later.at_s
        for earlier, later in pairwise([Packet(0.0, False), *sent])
        if later.loud and not earlier.loud
    ]
    loud = [number for number, packet in enumerate(received) if packet.loud]
    if len(bursts) != 2 or not loud or not marks.heard_s or not marks.cleared_s:
        return None
    tone = received[loud[0] : loud[-1] + 1]
    gaps = [later.at_s - earlier.at_s for earlier, later in pairwise(tone)]
    return Echo(
        sent_s=bursts[0],
        heard_s=marks.heard_s,
        answered_s=tone[0].at_s,
        interrupted_s=bursts[1],
        cleared_s=marks.cleared_s,
        silent_s=tone[-1].at_s + PACKET_S,
        longest_gap_ms=max(gaps, default=0.0) * 1000,
        holes=len(tone) - len(loud),
    )


@dataclass(slots=True)
class EchoAgent:
    """An agent at a media stream that answers sound with sound and never thinks."""

    marks: Marks = field(default_factory=Marks)
    runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen on a free port; the port."""
        app = web.Application()
        app.router.add_get("/media", self._serve)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, LOOPBACK, 0).start()
        return int(self.runner.addresses[0][1])

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(max_msg_size=0)
        await stream.prepare(request)
        at = np.arange(SAMPLE_RATE_HZ * TONE_MS // 1000) / SAMPLE_RATE_HZ
        tone = np.rint(8_000 * np.sin(2 * np.pi * 400 * at)).astype("<i2").tobytes()
        was_loud = False
        async for message in stream:
            if message.type is not WSMsgType.BINARY or len(message.data) != FRAME_BYTES:
                continue
            loud = int(np.abs(np.frombuffer(message.data, "<i2")).max()) >= LOUD_LEVEL
            if loud and not was_loud:
                if not self.marks.heard_s:
                    self.marks.heard_s = time.time()
                    await stream.send_bytes(tone)
                elif not self.marks.cleared_s:
                    self.marks.cleared_s = time.time()
                    await stream.send_str(encode(Clear()))
            was_loud = loud
        return stream


@contextlib.asynccontextmanager
async def gateway(settings: Settings, folder: Path, agent_port: int) -> AsyncIterator[int]:
    """A gateway of these settings on free ports, in a process of its own; its SIP port.

    Raises:
        ProbeError: it did not become ready.
    """
    tree = settings.gateway.model_dump(mode="json")
    sip_port, web_port = free_port(LOOPBACK), free_port(LOOPBACK)
    tree["sip"].update(enabled=True, host=LOOPBACK, port=sip_port, trunk=None, tls=None, srtp="off")
    tree["web"].update(enabled=True, host=LOOPBACK, port=web_port)
    tree["agent"]["url"] = f"ws://{LOOPBACK}:{agent_port}/media"
    tree["recording"]["enabled"] = False
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "gateway.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _GATEWAY, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
        )
    try:
        await _give(process, json.dumps(tree))
        await _until_ready(f"http://{LOOPBACK}:{web_port}/readyz", process, folder)
        yield sip_port
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _give(process: asyncio.subprocess.Process, text: str) -> None:
    if process.stdin is not None:
        process.stdin.write(text.encode())
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        process.stdin.close()


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


async def _measure(
    settings: Settings, folder: Path, report: Callable[[str], None], calls: int
) -> Transport:
    agent = EchoAgent()
    echoes: list[Echo] = []
    try:
        async with gateway(settings, folder, await agent.start()) as port:
            for number in range(calls):
                report(f"line: call {number + 1} of {calls}")
                await asyncio.sleep(random.random() * PACKET_S)  # noqa: S311 - a phase, no secret
                async with Phone(LOOPBACK, port) as phone:
                    await phone.heard(loud=False, packets=QUIET_PACKETS, timeout_s=5.0)
                    for _ in range(BURSTS_A_CALL):
                        if echo := await _one_burst(phone, agent):
                            echoes.append(echo)
    except PhoneError as error:
        raise ProbeError(f"the call failed: {error}") from error
    finally:
        await agent.stop()
    return summarise(echoes, calls * BURSTS_A_CALL - len(echoes))


async def _one_burst(phone: Phone, agent: EchoAgent) -> Echo | None:
    agent.marks = Marks()
    sent, received = len(phone.sent), len(phone.received)
    phone.burst(BURST_MS)
    await phone.heard(loud=True, packets=QUIET_PACKETS, timeout_s=2.0)
    phone.burst(BURST_MS)
    await phone.heard(loud=False, packets=QUIET_PACKETS, timeout_s=3.0)
    return echo_of(phone.sent[sent:], phone.received[received:], agent.marks)


def probe(
    settings: Settings, folder: Path, report: Callable[[str], None], *, calls: int = CALLS
) -> Transport:
    """Measure the line of these settings; takes about 6 s a call. ``folder`` gets the log.

    Raises:
        ProbeError: the gateway did not start, or a call failed.
    """
    return asyncio.run(_measure(settings, folder, report, calls))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the line's share of a turn, at the wire.")
    parser.add_argument("--config", type=Path, default=Path("configs/local.yaml"))
    parser.add_argument("--calls", type=int, default=CALLS, help=f"{BURSTS_A_CALL} bursts each")
    given = parser.parse_args()
    try:
        settings = load(given.config)
        figures = probe(
            settings,
            Path("var/bench/line"),
            lambda text: print(text, file=sys.stderr),
            calls=given.calls,
        )
    except (ConfigError, ProbeError) as error:
        print(f"transport: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(figures), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
