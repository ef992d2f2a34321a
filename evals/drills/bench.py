"""What a drill rings: a gateway of its own on free ports, its agent, and people who are busy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import soundfile as sf

from evals.refusing_line import refuse_calls
from evals.wire_line import free_port
from telephony.settings import GatewaySettings

LOOPBACK = "127.0.0.1"
TOKEN = "drill-" + os.urandom(16).hex()
SWITCHED_HZ = 1_370
"""The sentence of a gateway whose agents are off the phones, as a tone no other sound has."""
SWITCHED_MS = 1_000
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
_GATEWAY = (
    "import json, sys, logging, structlog; from telephony.gateway import run; "
    "from telephony.settings import GatewaySettings; "
    "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)); "
    "sys.exit(run(GatewaySettings.model_validate(json.loads(sys.stdin.read()))))"
)


class DrillError(Exception):
    """The drill could not be held: nothing was measured."""

    code = "drill_failed"
    exit_code = 2
    retryable = True


@dataclass(frozen=True, slots=True)
class Bench:
    """A running gateway and its agent."""

    uri: str
    control_url: str
    switch: Path
    agent: asyncio.subprocess.Process


def as_an_ordinary_process() -> None:
    """In a child before it begins: the drill's own priority is not for what it measures."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def drill_tree(settings: GatewaySettings, folder: Path, agent_port: int) -> dict[str, Any]:
    """The gateway's own settings, with ports, files and people of the drill's."""
    tree = settings.model_dump(mode="json")
    tree["max_calls"] = 100
    tree["answering"] = "agent"
    tree["drain_timeout_s"] = 0.0
    ports = {name: free_port(LOOPBACK) for name in ("sip", "web", "control")}
    tree["sip"].update(enabled=True, host=LOOPBACK, port=ports["sip"], trunk=None, tls=None)
    tree["sip"].update(srtp="off", rtp_ports=[30_000, 39_998])
    tree["web"].update(enabled=True, host=LOOPBACK, port=ports["web"], media_host=LOOPBACK)
    tree["control"].update(enabled=True, host=LOOPBACK, port=ports["control"], phones={})
    tree["agent"]["url"] = f"ws://{LOOPBACK}:{agent_port}/media"
    tree["recording"]["enabled"] = False
    tree["prompts"] = str(folder / "prompts")
    tree["kill_switch"] = str(folder / "kill_switch.json")
    return tree


def write_prompt(folder: Path) -> None:
    """Only the switch's sentence is there; the others are the gateway's soft tone."""
    at = np.arange(16 * SWITCHED_MS) / 16_000
    folder.mkdir(parents=True, exist_ok=True)
    tone = np.rint(12_000 * np.sin(2 * np.pi * SWITCHED_HZ * at)).astype(np.int16)
    sf.write(folder / "switched.wav", tone, 16_000, subtype="PCM_16")


@asynccontextmanager
async def running(settings: GatewaySettings, folder: Path) -> AsyncIterator[Bench]:
    """Everything up inside the block; every process gone after it.

    Raises:
        DrillError: something does not start.
    """
    await asyncio.to_thread(write_prompt, folder / "prompts")
    people, people_port = await refuse_calls(LOOPBACK, 0, 486, lambda: None)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(people.close)
        agent = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "evals.drills.tone_agent"),
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=as_an_ordinary_process,
        )
        stack.push_async_callback(_stopped, agent)
        tree = drill_tree(settings, folder, await _port_of(agent))
        tree["human"]["uri"] = f"sip:human@{LOOPBACK}:{people_port}"
        gateway = await _gateway(tree)
        stack.push_async_callback(_stopped, gateway)
        await _until_ready(f"http://{LOOPBACK}:{tree['web']['port']}/readyz", gateway)
        yield Bench(
            uri=f"sip:agent@{LOOPBACK}:{tree['sip']['port']}",
            control_url=f"http://{LOOPBACK}:{tree['control']['port']}",
            switch=Path(tree["kill_switch"]),
            agent=agent,
        )


async def _gateway(tree: dict[str, Any]) -> asyncio.subprocess.Process:
    environment = {**os.environ, tree["control"]["token_env"]: TOKEN}
    gateway = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _GATEWAY),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env=environment,
        preexec_fn=as_an_ordinary_process,
    )
    if gateway.stdin is not None:
        gateway.stdin.write(json.dumps(tree).encode())
        gateway.stdin.close()
    return gateway


async def _port_of(agent: asyncio.subprocess.Process) -> int:
    if agent.stdout is None:
        raise DrillError("the drill's agent has no output")
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            return int(await agent.stdout.readline())
    except (TimeoutError, ValueError) as error:
        raise DrillError("the drill's agent did not start") from error


async def _until_ready(url: str, gateway: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S), aiohttp.ClientSession() as session:
            while gateway.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    raise DrillError("the drill's gateway did not start")


async def _stopped(process: asyncio.subprocess.Process) -> None:
    """Gone, also when it hangs or is stopped."""
    if process.returncode is None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S if process.stdin else 0.5):
                await process.wait()
    if process.returncode is None:
        process.kill()
    await process.wait()
