"""How long an event takes from the gateway to a page that watches: `python -m evals.console`.

A simulated gateway tells of many calls; the console runs as its own process, as `serve` runs it;
pages listen over HTTP. The wait is taken in this process, which sends and receives, by one clock.
What the browser then needs until it is on screen is measured by `python -m evals.console_screen`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from evals.console_events import SimulatedCalls, serving
from evals.wire_line import free_port
from voice_agent.check import unreachable
from voice_agent.config import Settings
from voice_agent.console.app import accounts
from voice_agent.console.facts import percentile
from voice_agent.console.passwords import hash_password
from voice_agent.console.roles import Role

REACH_MS = 500.0
LOOPBACK = "127.0.0.1"
USER, PASSWORD = "measuring", "only for this one measurement"  # of a throw-away file
_START_S = 60.0


@asynccontextmanager
async def console_process(folder: Path, control_port: int) -> AsyncIterator[tuple[str, int]]:
    """A console with one supervisor (``USER``, ``PASSWORD``), as a process; its URL and its pid."""
    port = free_port(LOOPBACK)
    tree = {
        "gateway": {
            "control": {"port": control_port, "token_file": str(folder / "control.token")},
            "kill_switch": str(folder / "kill_switch.json"),
            "recording": {"folder": str(folder / "recordings")},
        },
        "records": {"path": str(folder / "records.sqlite")},
        "actions": {"journal": str(folder / "actions.sqlite")},
        "console": {"port": port, "folder": str(folder / "console"), "requests_per_s": 200},
    }
    config = folder / "console.yaml"
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    settings = Settings.model_validate(tree)
    accounts(settings).add(USER, Role.SUPERVISOR, hash_password(USER, PASSWORD))
    environment = {key: value for key, value in os.environ.items() if "CONTROL_TOKEN" not in key}
    process = subprocess.Popen(  # noqa: ASYNC220  # once, before anything is measured
        [sys.executable, "-m", "voice_agent", "console", "--config", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        begun = time.monotonic()
        while await asyncio.to_thread(unreachable, f"{url}/readyz"):
            if process.poll() is not None or time.monotonic() - begun > _START_S:
                raise RuntimeError("the console did not start")
            await asyncio.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _signed_in(http: aiohttp.ClientSession, url: str) -> None:
    body = {"user": USER, "password": PASSWORD}
    async with http.post(f"{url}/api/sign-in", json=body) as response:
        response.raise_for_status()


async def _listen(
    http: aiohttp.ClientSession,
    url: str,
    calls: SimulatedCalls,
    waits_ms: list[float],
    began: asyncio.Barrier,
) -> None:
    """A page: its first event is a snapshot, after which it misses nothing."""
    async with http.get(f"{url}/api/events") as stream:
        stream.raise_for_status()
        async for line in stream.content:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if event.get("event") == "snapshot" and event["gateway"] == "up" and event["calls"]:
                await began.wait()
            elif event.get("event") == "turn":
                sent = calls.sent[event["turn"]["turn_id"]]
                waits_ms.append((time.perf_counter() - sent) * 1000)


async def measure(calls: int, seconds: float, listeners: int, per_s: float) -> dict[str, Any]:
    """Let it run; the waits of every turn at every listener, and what the console took."""
    simulated = SimulatedCalls(calls)
    waits_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving(simulated) as control,
            console_process(Path(folder), control) as (url, pid),
            aiohttp.ClientSession(
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=2**20,
            ) as http,
        ):
            await _signed_in(http, url)
            began = asyncio.Barrier(listeners + 1)
            pages = [
                asyncio.create_task(_listen(http, url, simulated, waits_ms, began))
                for _ in range(listeners)
            ]
            async with asyncio.timeout(_START_S):
                await began.wait()
            begun, used = time.monotonic(), cpu_s(pid)
            going = asyncio.create_task(simulated.go_on(per_s))
            await asyncio.sleep(seconds)
            going.cancel()
            await asyncio.sleep(1)
            share = (cpu_s(pid) - used) / (time.monotonic() - begun)
            for page in pages:
                page.cancel()
            ended = await asyncio.gather(*pages, return_exceptions=True)
    for each in ended:
        if isinstance(each, Exception):
            raise each
    expected = len(simulated.sent) * listeners
    return {
        "calls": calls,
        "listeners": listeners,
        "events_per_s": per_s,
        "turns": len(simulated.sent),
        "lost": expected - len(waits_ms),
        "event_to_page_median_ms": _rounded(percentile(waits_ms, 0.5)),
        "event_to_page_p95_ms": _rounded(percentile(waits_ms, 0.95)),
        "event_to_page_max_ms": _rounded(max(waits_ms, default=None)),
        "console_cpu_share": round(share, 3),
        "reach_ms": REACH_MS,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def main() -> int:
    """Exit code 1 when the wait is longer than promised, or an event was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--listeners", type=int, default=10, help="pages that watch")
    parser.add_argument("--per-s", type=float, default=40, help="events a second, of all calls")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.calls, asked.seconds, asked.listeners, asked.per_s))
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:28}{value}")
    p95 = found["event_to_page_p95_ms"]
    return 0 if p95 is not None and p95 <= REACH_MS and not found["lost"] else 1


if __name__ == "__main__":
    sys.exit(main())
