"""A console on a free port, its gateway at hand, and people who may sign in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from tests.voice_agent.console.fake_gateway import TOKEN, FakeGateway
from voice_agent.config import Settings
from voice_agent.console.app import Console
from voice_agent.console.roles import Role

PASSWORD = "open sesame 42 times"


@dataclass
class Browser:
    """A signed-in browser, or one that is not."""

    client: TestClient[Any, Any]
    csrf: str = ""

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> ClientResponse:
        headers = {"X-CSRF-Token": self.csrf} | more.pop("headers", {})
        return await self.client.request(method, path, json=body, headers=headers, **more)

    async def get(self, path: str) -> Any:
        """The JSON of an address that answers."""
        response = await self.ask("GET", path)
        assert response.status == 200, await response.text()
        return await response.json()

    async def do(self, path: str, body: Any = None, method: str = "POST", status: int = 200) -> Any:
        """The JSON of something done, or refused with that status."""
        response = await self.ask(method, path, body if body is not None else {})
        assert response.status == status, await response.text()
        return await response.json()

    async def sign_in(self, user: str, password: str = PASSWORD, **more: Any) -> ClientResponse:
        response = await self.ask(
            "POST", "/api/sign-in", {"user": user, "password": password, **more}
        )
        if response.status == 200:
            self.csrf = (await response.json())["csrf"]
        return response


@dataclass
class Stage:
    """One console and its gateway."""

    console: Console
    gateway: FakeGateway
    server: TestServer[Any]
    clients: list[TestClient[Any, Any]]

    def browser(self) -> Browser:
        client = TestClient(self.server, cookie_jar=CookieJar(unsafe=True))
        self.clients.append(client)
        return Browser(client)

    async def signed_in(self, role: Role) -> Browser:
        """A browser of somebody of that role, named like it."""
        browser = self.browser()
        accounts = self.console.desk.accounts
        if accounts.user(role.value) is None:
            accounts.add(role.value, role, "$argon2id$none")
        user = accounts.user(role.value)
        assert user is not None
        token, session = accounts.begin_session(user, "127.0.0.1")
        browser.client.session.cookie_jar.update_cookies(
            {self.console.desk.door.cookie: token}, self.server.make_url("/")
        )
        browser.csrf = session.csrf
        return browser


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


class Watch:
    """One page that watches; ``until`` gives what it was told up to the first event of a name."""

    def __init__(self, browser: Browser, path: str = "/api/events") -> None:
        self._browser, self._path = browser, path

    async def __aenter__(self) -> Watch:
        self._response = await self._browser.ask("GET", self._path)
        assert self._response.status == 200
        self._events = events(self._response)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._response.close()

    async def until(self, wanted: str, **fields: Any) -> list[dict[str, Any]]:
        seen = []
        async with asyncio.timeout(10):
            async for event in self._events:
                seen.append(event)
                if event["event"] == wanted and fields.items() <= event.items():
                    return seen
        raise AssertionError(f"no {wanted} before the stream ended")


@pytest.fixture(autouse=True)
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real hashing with the least cost there is: a hundred sign-ins else take a minute."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("voice_agent.console.passwords._hasher", hasher)
    monkeypatch.setattr("voice_agent.console.passwords._nobodys", hasher.hash("nobody"))


SettingsMaker = Callable[..., Settings]


@pytest.fixture
def make_settings(tmp_path: Path) -> SettingsMaker:
    """Settings whose every file is the test's own."""

    def make(control_port: int = 9, **console: Any) -> Settings:
        return Settings.model_validate(
            {
                "gateway": {
                    "recording": {"folder": str(tmp_path / "recordings")},
                    "human": {"call_backs": {"path": str(tmp_path / "call_backs.sqlite")}},
                    "kill_switch": str(tmp_path / "kill_switch.json"),
                    "control": {
                        "port": control_port,
                        "token_file": str(tmp_path / "control.token"),
                        "phones": {"desk": "sip:desk@127.0.0.1"},
                    },
                },
                "actions": {
                    "journal": str(tmp_path / "actions.sqlite"),
                    "outbox": str(tmp_path / "outbox.sqlite"),
                },
                "records": {"path": str(tmp_path / "records.sqlite")},
                "handoff": {"voicemail": str(tmp_path / "voicemail")},
                "drills": {"record": str(tmp_path / "drills.jsonl")},
                "media": {"port": 9},
                "knowledge": {"index": str(tmp_path / "knowledge")},
                "console": {
                    "folder": str(tmp_path / "console"),
                    "evaluation": str(tmp_path / "evaluation.yaml"),
                    "verified_answers": str(tmp_path / "verified" / "approved.jsonl"),
                    "requests_per_s": 1_000,
                    **console,
                },
            }
        )

    return make


@pytest.fixture
async def stage(
    make_settings: SettingsMaker, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """A running console; ``pytest.mark.parametrize("stage", [{…}], indirect=True)`` changes its
    settings."""
    monkeypatch.setenv("VOICE_AGENT_CONTROL_TOKEN", TOKEN)
    gateway = FakeGateway()
    await gateway.server.start_server()
    console = Console(make_settings(gateway.port, **getattr(request, "param", {})))
    server = TestServer(console.app)
    await server.start_server()
    made = Stage(console, gateway, server, [])
    yield made
    gateway.hang_up()
    for client in made.clients:
        await client.close()
    await server.close()
    await gateway.server.close()


@pytest.fixture
async def connected(stage: Stage) -> Stage:
    """A console that has heard from its gateway."""
    async with Watch(await stage.signed_in(Role.QUALITY)) as page:
        if (await page.until("snapshot"))[-1]["gateway"] == "down":
            await page.until("gateway", state="up")
    return stage
