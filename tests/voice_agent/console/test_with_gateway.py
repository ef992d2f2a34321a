"""The console against the gateway's own control interface, with a call on it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer

from telephony.media_stream import Note
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.test_control import controlled
from tests.voice_agent.console.conftest import SettingsMaker, Stage, Watch
from tests.voice_agent.console.fake_gateway import FakeGateway
from voice_agent.console.app import Console
from voice_agent.console.roles import Role


async def test_a_call_is_seen_supervised_and_ended(
    make_settings: SettingsMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as control:
        console = Console(make_settings(urlsplit(control.url).port or 0))
        server: TestServer[Any] = TestServer(console.app)
        await server.start_server()
        stage = Stage(console, FakeGateway(), server, [])
        supervisor = await stage.signed_in(Role.SUPERVISOR)
        try:
            async with Watch(supervisor) as page:
                await page.until(
                    "gateway", state="up"
                ) if not console.desk.live.state.gateway_up else await page.until("snapshot")
                caller = FakeLeg()
                agent = await control.stage.connect(caller)
                began = (await page.until("call_began"))[-1]["call"]
                assert began["stage"] in ("ringing", "with_agent")
                call_id = began["call_id"]
                turn = {"turn_id": "t1", "caller": "Hello?", "agent": "Hello.", "heard": "Hello."}
                await agent.send(Note("turn", turn))
                told = (await page.until("turn"))[-1]
                assert told["turn"]["caller"] == "Hello?"
                wish = {"mode": "takeover", "uri": "desk"}
                await supervisor.do(f"/api/calls/{call_id}/supervise", wish, status=200)
                await eventually(lambda: bool(control.stage.line.rung))
                switch = {"scope": "queue", "name": "x", "on": True, "reason": "a drill"}
                await supervisor.do("/api/answering", switch, "PUT")
                changed = (await page.until("answering_changed"))[-1]
                assert changed["switches"][0]["by"] == "supervisor"
                await supervisor.do(f"/api/calls/{call_id}/end")
                await page.until("call_ended")
            gone = await supervisor.do(f"/api/calls/{call_id}/end", status=404)
            assert gone["error"]["code"] == "no_such_call"
        finally:
            for client in stage.clients:
                await client.close()
            await server.close()
            await asyncio.sleep(0)
