"""Whole calls that the caller's line is asked to transfer: sipp rings, a person in another process
answers, the gateway is between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from telephony import handover, line_transfer
from telephony.gateway import Gateway
from telephony.media_stream import Transfer
from telephony.settings import GatewaySettings
from telephony.sip import SipLine
from tests.telephony.fakes import AgentEnd, FakeAgent
from tests.telephony.sip_stage import PATIENCE_S, PeerProcess, far_end, sip_settings
from tests.telephony.sipp_caller import (
    IS_HELD,
    IS_HUNG_UP_ON,
    IS_TAKEN_BACK,
    RINGS_AND_IS_ANSWERED,
    is_referred,
    reports,
    sipp_caller,
)

pytestmark = [pytest.mark.loopback, pytest.mark.interop]

TRYING = reports("100 Trying", 2, "active;expires=60")
DONE = reports("200 OK", 3, "terminated;reason=noresource")


@dataclass
class Scene:
    """Everybody of one call."""

    gateway: Gateway
    person: PeerProcess
    agent: AgentEnd
    sipp: asyncio.subprocess.Process
    ended: list[str]

    async def until_told(self, state: str) -> Transfer:
        """The agent hears how the transfer goes."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for told in self.agent.messages:
                    if isinstance(told, Transfer) and told.state == state:
                        return told
                await asyncio.sleep(0.02)

    async def is_over(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.gateway.live_calls:  # noqa: ASYNC110 - the call ends in its own task
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def put_through(folder: Path, transfer: str, *parts: str) -> AsyncIterator[Scene]:
    """A caller's agent asks for a person of a queue that wants this kind of transfer."""
    sip = sip_settings(transfers="replaces")
    async with FakeAgent() as fake, far_end() as person:
        queue = {"targets": [person.uri], "transfer": transfer, "wait_s": 0, "ring_timeout_s": 10}
        human = {"queues": {"desks": queue}}
        gateway = Gateway(
            GatewaySettings.model_validate(
                {"agent": {"url": fake.url}, "kill_switch": str(folder / "none"), "human": human}
            )
        )
        line = SipLine(sip, 8)
        await line.start(gateway.take)
        gateway.dial = line.dial
        listener = gateway.feed.listen(words=False, snapshot={})
        try:
            async with sipp_caller(folder, sip.port, RINGS_AND_IS_ANSWERED, *parts) as sipp:
                agent = await fake.stream()
                await agent.send(Transfer(target="desks"))
                scene = Scene(gateway, person, agent, sipp, [])
                yield scene
                await scene.is_over()
                while event := await listener.next_event():
                    if '"call_ended"' in event:
                        scene.ended.append(event)
                        break
        finally:
            await gateway.close()
            await line.stop()


async def answer(person: PeerProcess) -> None:
    await person.until("ringing")
    await person.do("answer")
    await person.until("answered")


async def test_a_line_that_takes_the_person_over_ends_our_part(tmp_path: Path) -> None:
    parts = IS_HELD, is_referred("202 Accepted", "Replaces="), TRYING, DONE, IS_HUNG_UP_ON
    async with put_through(tmp_path, "replaces", *parts) as scene:
        await answer(scene.person)
        await scene.until_told("transferred")
        assert await asyncio.wait_for(scene.sipp.wait(), PATIENCE_S) == 0
        await scene.person.until("closed")
    assert '"outcome":"transferred"' in scene.ended[0]


@pytest.mark.parametrize("answered", ["603 Decline", "202 Accepted", ""])
async def test_a_line_that_refuses_or_never_answers_leaves_both_on_our_bridge(
    tmp_path: Path, answered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_transfer, "TAKEN_OVER_WITHIN_S", 1.5)
    monkeypatch.setattr(handover, "SHORTEST_TALK_S", 0.0)
    parts = IS_HELD, is_referred(answered, "Replaces="), IS_TAKEN_BACK, IS_HUNG_UP_ON
    async with put_through(tmp_path, "replaces", *parts) as scene:
        await answer(scene.person)
        await scene.person.until("held")
        await scene.until_told("bridged")
        await scene.person.until("resumed")
        await scene.person.do("hang_up")
        await scene.is_over()
        if answered:  # who does not answer a REFER gets it again and again
            assert await asyncio.wait_for(scene.sipp.wait(), PATIENCE_S) == 0
    assert '"outcome":"human_hung_up"' in scene.ended[0]


async def test_a_line_that_rings_the_person_itself_ends_our_part(tmp_path: Path) -> None:
    parts = is_referred("202 Accepted", "sip:peer@127.0.0.1"), TRYING, DONE, IS_HUNG_UP_ON
    async with put_through(tmp_path, "refer", *parts) as scene:
        await scene.until_told("transferred")
        assert await asyncio.wait_for(scene.sipp.wait(), PATIENCE_S) == 0
    assert '"outcome":"transferred"' in scene.ended[0]


async def test_a_line_that_refuses_to_ring_the_person_is_bridged_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "SHORTEST_TALK_S", 0.0)
    parts = is_referred("405 Method Not Allowed", "sip:peer@127.0.0.1"), IS_HUNG_UP_ON
    async with put_through(tmp_path, "refer", *parts) as scene:
        await answer(scene.person)
        await scene.until_told("bridged")
        await scene.person.do("hang_up")
        await scene.is_over()
    assert '"outcome":"human_hung_up"' in scene.ended[0]
