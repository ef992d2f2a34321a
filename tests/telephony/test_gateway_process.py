"""The gateway as a process: real SIP and RTP on loopback, an agent on a real socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from evals.wire_line import free_port
from telephony.audio import in_frames
from telephony.media_stream import SAMPLE_RATE_HZ, Mark, Stop, Transfer
from tests.telephony.fakes import AgentEnd, FakeAgent
from tests.telephony.sip_peer import loudest_hz
from tests.telephony.sip_stage import PATIENCE_S, ROOT, far_end, tone_frame

pytestmark = pytest.mark.loopback

PROGRAM = (
    "import json, sys; from telephony.gateway import run; "
    "from telephony.settings import GatewaySettings; "
    "sys.exit(run(GatewaySettings.model_validate(json.loads(sys.argv[1]))))"
)


def tone(hz: float, ms: int) -> bytes:
    return b"".join(tone_frame(hz, number) for number in range(ms // 20))


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what changes it is in another process
            await asyncio.sleep(0.02)


async def is_ready(port: int) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


class GatewayProcess:
    def __init__(self, process: asyncio.subprocess.Process, sip_port: int, web_port: int) -> None:
        self.process = process
        self.uri = f"sip:agent@127.0.0.1:{sip_port}"
        self.web_port = web_port


@contextlib.asynccontextmanager
async def gateway_process(agent: FakeAgent, **settings: Any) -> AsyncIterator[GatewayProcess]:
    sip_port, web_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    tree = {
        "sip": {"port": sip_port, "rtp_ports": [20_000, 29_998]},
        "web": {"port": web_port},
        "agent": {"url": agent.url},
        "control": {"enabled": False},
        "kill_switch": "no/such/switch.json",
        "prompts": "no/such/folder",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, json.dumps(tree), cwd=ROOT
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await is_ready(web_port):
                assert process.returncode is None, "the gateway ended"
                await asyncio.sleep(0.05)
        yield GatewayProcess(process, sip_port, web_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def heard_by_agent(agent: AgentEnd, count: int) -> float:
    """The pitch of the next frames with sound in them."""
    began = len(agent.frames)

    def loud() -> list[bytes]:
        fresh = agent.frames[began:]
        return [f for f in fresh if np.abs(np.frombuffer(f, "<i2").astype(int)).max() > 500]

    await until(lambda: len(loud()) >= count)
    return loudest_hz(np.frombuffer(b"".join(loud()), "<i2"), SAMPLE_RATE_HZ)


async def test_a_call_from_ring_to_person_to_hang_up_over_real_lines() -> None:
    async with (
        FakeAgent() as agents,
        far_end() as caller,
        far_end() as person,
        gateway_process(agents, human={"uri": person.uri}) as gateway,
    ):
        await caller.do("dial", uri=gateway.uri)
        await caller.until("answered")
        agent = await agents.stream()
        assert agent.start.line == "sip"

        await caller.do("listen", ms=600)
        for frame in in_frames(tone(440, 1_000)):
            await agent.say(frame)
        heard = await caller.until("heard")
        assert heard["hz"] == pytest.approx(440, abs=15)
        await caller.do("tone", hz=1_000, ms=1_000)
        assert await heard_by_agent(agent, 25) == pytest.approx(1_000, abs=15)

        announcement = base64.b64encode(tone(600, 1_000)).decode()
        await agent.send(Transfer(announcement=announcement))
        await person.until("ringing")
        await person.do("answer")
        await person.until("answered")
        await person.do("listen", ms=600)
        announced = await person.until("heard")
        assert announced["hz"] == pytest.approx(600, abs=15)
        await until(lambda: any(m.state == "bridged" for m in agent.messages if _is_transfer(m)))

        await caller.do("quiet")  # the music has ended
        await caller.until("quiet")
        # long enough for a talk: a line that breaks at once leads back to the agent
        await caller.do("listen", ms=1_500, from_now=True)
        await person.do("tone", hz=900, ms=2_000)
        assert (await caller.until("heard"))["hz"] == pytest.approx(900, abs=15)
        await person.do("listen", ms=1_500, from_now=True)
        await caller.do("tone", hz=700, ms=2_000)
        assert (await person.until("heard"))["hz"] == pytest.approx(700, abs=15)
        await person.do("hang_up")
        await caller.until("closed")
        await until(lambda: agent.closed)
        assert agent.messages[-1] == Stop("human_hung_up")

        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() == 0


def _is_transfer(message: object) -> bool:
    return isinstance(message, Transfer)


async def test_a_caller_outlives_the_agent_over_a_real_line() -> None:
    async with (
        FakeAgent() as agents,
        far_end() as caller,
        gateway_process(agents) as gateway,
    ):
        await caller.do("dial", uri=gateway.uri)
        await caller.until("answered")
        first = await agents.stream()
        await first.say(bytes(6_400))
        await first.send(Mark("greeted"))
        await until(lambda: first.of(Mark))
        first.die()
        second = await agents.stream(2)
        assert second.start.resumed
        await caller.do("listen", ms=400)
        await second.say(tone(800, 1_000))
        heard = await caller.until("heard")
        assert heard["hz"] == pytest.approx(800, abs=15)
        await caller.do("hang_up")
        await until(lambda: second.closed)


async def test_a_terminated_gateway_lets_the_caller_finish() -> None:
    async with (
        FakeAgent() as agents,
        far_end() as caller,
        gateway_process(agents) as gateway,
    ):
        await caller.do("dial", uri=gateway.uri)
        await caller.until("answered")
        await agents.stream()
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while await is_ready(gateway.web_port):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)
        assert gateway.process.returncode is None
        await caller.do("hang_up")
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() == 0


async def test_a_port_in_use_is_one_clear_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        tree = {"sip": {"enabled": False}, "control": {"enabled": False}}
        tree["web"] = {"port": taken.getsockname()[1]}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            json.dumps(tree),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 2
    assert b"gateway_not_started" in output
    assert b"Traceback" not in output
