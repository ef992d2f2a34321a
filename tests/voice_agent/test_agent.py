"""The agent's server: its contract with the gateway, who is let in, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.voice_agent.call_bench import Bench
from tests.voice_agent.fakes import (
    FakeEars,
    FakeMouth,
)
from voice_agent.config import Settings
from voice_agent.speech.synthesiser import SynthesiserUnreachable


async def test_a_stream_that_does_not_begin_with_start_is_closed() -> None:
    async with Bench().agent() as client:
        for first in ("not json", '{"event":"mark","name":"x"}', '{"event":"start"}'):
            socket = await client.ws_connect("/media")
            await socket.send_str(first)
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1002


async def test_a_stream_that_keeps_breaking_the_contract_is_closed() -> None:
    async with Bench().call() as gateway:
        for _ in range(3):
            await gateway.socket.send_str("this is where audio belongs")
            await gateway.socket.send_bytes(b"\0" * 641)
        await gateway.until(gateway.closed.is_set)
        assert gateway.socket.close_code == 1002


async def test_some_broken_messages_are_survived() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.socket.send_str("{")
        await gateway.socket.send_bytes(b"\0")
        await gateway.socket.send_str('{"event":"from_the_future","x":1}')
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")


async def test_without_the_token_nothing_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "right")
    async with Bench().agent() as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect("/media", headers=headers)
            assert refused.value.status == 401
            assert (await client.get("/calls/x", headers=headers)).status == 401
        await (await client.ws_connect("/media", headers={"Authorization": "Bearer right"})).close()


async def test_more_calls_than_allowed_are_refused() -> None:
    settings = Settings.model_validate({"media": {"max_calls": 1}})
    async with Bench(settings=settings).agent() as client:
        first = await client.ws_connect("/media")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/media")
        assert refused.value.status == 503
        await first.close()


async def test_health_and_metrics_are_served() -> None:
    async with Bench().agent() as client:
        assert (await client.get("/healthz")).status == 200
        assert (await (await client.get("/readyz")).json())["ready"] is True
        assert "voice_agent" in await (await client.get("/metrics")).text()


async def test_a_missing_synthesiser_makes_the_agent_not_ready(tmp_path: Path) -> None:
    async with Bench(mouth=FakeMouth(SynthesiserUnreachable("gone"))).agent() as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert (await answer.json())["synthesiser"] is False
