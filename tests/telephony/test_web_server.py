"""The web line's answers to good, bad and hostile requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from telephony import web_server
from telephony.errors import LineUnavailable
from telephony.settings import WebSettings
from telephony.web_guard import is_own_host, is_own_origin
from telephony.web_server import WebServer
from telephony.webrtc_offer import MAX_OFFER_BYTES
from tests.telephony.test_webrtc_offer import AUDIO, DATA, SESSION, VIDEO
from tests.telephony.webrtc_peer import FakeGateway, Peer, serving

JSON = {"Content-Type": "application/json"}


async def post(url: str, body: bytes, headers: dict[str, str] = JSON) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/offer", data=body, headers=headers) as response,
    ):
        return response.status, await response.json()


async def get(url: str, **headers: str) -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        await response.read()
        return response


def offer(description: str) -> bytes:
    return json.dumps({"type": "offer", "sdp": description}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"hello", JSON, 400, "offer_malformed"),
        (b"{}", JSON, 400, "offer_malformed"),
        (offer("v=0\r\nm=audio x\r\n"), JSON, 400, "offer_malformed"),
        (offer(SESSION + DATA), JSON, 400, "offer_without_audio"),
        (
            offer(SESSION + AUDIO.replace("opus/48000/2", "G729/8000")),
            JSON,
            415,
            "offer_unsupported",
        ),
        (offer(SESSION + AUDIO + VIDEO), JSON, 415, "offer_unsupported"),
        (offer(SESSION + "a=group:BUNDLE 7 0 1\r\n" + AUDIO + DATA), JSON, 400, "offer_malformed"),
        (b" " * (MAX_OFFER_BYTES + 1), JSON, 413, "offer_too_large"),
        (offer(SESSION + AUDIO), {"Content-Type": "text/plain"}, 415, "offer_not_json"),
        (
            offer(SESSION + AUDIO),
            JSON | {"Origin": "https://elsewhere.example"},
            403,
            "foreign_origin",
        ),
        (offer(SESSION + AUDIO), JSON | {"Origin": "null"}, 403, "foreign_origin"),
        (offer(SESSION + AUDIO), JSON | {"Host": "rebound.example"}, 403, "foreign_origin"),
    ],
)
async def test_a_bad_offer_gets_a_clear_error_and_leaves_nothing(
    body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    gateway = FakeGateway()
    async with serving(gateway) as server:
        before = asyncio.all_tasks()
        answered, error = await post(server.url, body, headers)
        left = {
            t for t in asyncio.all_tasks() - before if "aiortc" in repr(t) or "aioice" in repr(t)
        }
    assert (answered, error["error"]["code"]) == (status, code)
    assert error["error"]["message"]
    assert not left
    assert not gateway.legs


async def test_a_gateway_that_takes_no_calls_is_busy() -> None:
    async with serving(FakeGateway(ready=False)) as server:
        assert (await post(server.url, offer(SESSION + AUDIO)))[0] == 503
        assert (await get(f"{server.url}/readyz")).status == 503
        assert (await get(f"{server.url}/healthz")).status == 200


async def test_callers_not_yet_connected_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "MAX_PENDING_OFFERS", 2)
    absent = offer(SESSION + AUDIO + DATA)
    async with serving(FakeGateway()) as server:
        assert (await post(server.url, absent))[0] == 200
        assert (await post(server.url, absent))[0] == 200
        status, error = await post(server.url, absent)
    assert (status, error["error"]["code"]) == (429, "too_many_offers")


async def test_a_caller_who_never_connects_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "MAX_PENDING_OFFERS", 1)
    monkeypatch.setattr(web_server, "CONNECT_TIMEOUT_S", 0.01)
    gateway = FakeGateway()
    absent = offer(SESSION + AUDIO + DATA)
    async with serving(gateway) as server:
        for _ in range(3):
            assert (await post(server.url, absent))[0] == 200
            await asyncio.gather(*server._calls)
    assert not gateway.legs


async def test_a_body_that_stops_half_way_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_OFFER_TIMEOUT_S", 0.05)
    async with serving(FakeGateway()) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /offer HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            'Content-Length: 500\r\n\r\n{"type":'.encode()
        )
        status = await reader.readline()
        writer.close()
    assert status.startswith(b"HTTP/1.1 400")


@pytest.mark.loopback
async def test_a_gateway_that_fails_does_not_take_the_line_with_it() -> None:
    class Broken(FakeGateway):
        async def take(self, leg: Any) -> None:
            raise RuntimeError("broken")

    async with serving(Broken()) as server:
        for _ in range(2):
            peer = Peer()
            await peer.ring(server.url)
            await peer.until(lambda peer=peer: "ended" in peer.states())  # type: ignore[misc]
            await peer.close()


async def test_every_answer_carries_the_security_headers() -> None:
    async with serving(FakeGateway()) as server:
        for path in ("/", "/static/app.js", "/config", "/nothing", "/metrics"):
            headers = (await get(server.url + path)).headers
            policy = headers["Content-Security-Policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "microphone=(self)" in headers["Permissions-Policy"]
            assert "aiohttp" not in headers["Server"]


async def test_the_page_its_configuration_and_metrics_are_served() -> None:
    async with serving(FakeGateway(), ice_servers=("stun:stun.example:3478",)) as server:
        assert (await get(server.url)).content_type == "text/html"
        assert "javascript" in (await get(f"{server.url}/static/app.js")).content_type
        assert (await get(f"{server.url}/metrics")).status == 200
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/config") as response,
        ):
            config = await response.json()
    assert config == {"ice_servers": [{"urls": "stun:stun.example:3478"}]}


@pytest.mark.parametrize(
    ("path", "status"), [("/static/../settings.py", 404), ("/static/", 403), ("/offer", 405)]
)
async def test_nothing_else_is_served(path: str, status: int) -> None:
    async with serving(FakeGateway()) as server:
        assert (await get(server.url + path)).status == status


async def test_a_name_that_is_not_ours_is_refused_on_every_path() -> None:
    async with serving(FakeGateway()) as server:
        for path in ("/", "/config", "/metrics", "/healthz"):
            assert (await get(server.url + path, Host="rebound.example")).status == 403


async def test_a_port_in_use_is_one_clear_line() -> None:
    async with serving(FakeGateway()) as server:
        port = int(server.url.rpartition(":")[2])
        second = WebServer(WebSettings(port=port), FakeGateway())
        with pytest.raises(LineUnavailable, match=f"127.0.0.1:{port}"):
            await second.start()


@pytest.mark.parametrize(
    ("host", "names", "own"),
    [
        ("127.0.0.1:8080", (), True),
        ("localhost:8080", (), True),
        ("LOCALHOST", (), True),
        ("[::1]:8080", (), True),
        ("192.0.2.9", (), True),
        ("rebound.example", (), False),
        ("localhost.rebound.example", (), False),
        ("voice.example", ("voice.example",), True),
        ("voice.example:443", ("voice.example",), True),
        ("", (), False),
    ],
)
def test_which_names_are_ours(host: str, names: tuple[str, ...], own: bool) -> None:
    assert is_own_host(host, names) is own


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        (None, "127.0.0.1:8080", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("https://voice.example", "voice.example", True),
        ("http://127.0.0.1:9090", "127.0.0.1:8080", False),
        ("null", "127.0.0.1:8080", False),
        ("https://elsewhere.example", "voice.example", False),
    ],
)
def test_which_origins_are_ours(origin: str | None, host: str, own: bool) -> None:
    assert is_own_origin(origin, host) is own
