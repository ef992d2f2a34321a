"""The control interface over HTTP: who may use it, what it tells, what it does."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from telephony import events
from telephony.call import CallStage
from telephony.control import ControlServer
from telephony.control_guard import control_token
from telephony.errors import GatewayError
from telephony.media_stream import Note, Resume, Steer, Steered
from telephony.settings import ControlSettings
from tests.telephony.fakes import FakeLeg, eventually
from tests.telephony.stage import Stage, staged, voice

TOKEN = "0123456789abcdef-letters"
PHONE = "sip:desk@example.invalid"


class Client:
    """Asks the interface, with the token unless told otherwise."""

    def __init__(self, session: aiohttp.ClientSession, url: str, stage: Stage) -> None:
        self.session, self.url, self.stage = session, url, stage

    async def ask(self, method: str, path: str, **sent: Any) -> tuple[int, dict[str, Any]]:
        async with self.session.request(method, self.url + path, **sent) as response:
            return response.status, await response.json()

    async def post(self, action: str, **body: Any) -> tuple[int, dict[str, Any]]:
        (call_id,) = self.stage.gateway.calls
        return await self.ask("POST", f"/v1/calls/{call_id}/{action}", json=body)

    async def events(self, query: str = "") -> AsyncIterator[dict[str, Any]]:
        async with self.session.get(f"{self.url}/v1/events{query}") as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


@asynccontextmanager
async def controlled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **settings: Any
) -> AsyncIterator[Client]:
    monkeypatch.setenv("VOICE_AGENT_CONTROL_TOKEN", TOKEN)
    settings.setdefault("kill_switch", str(tmp_path / "switch.json"))
    async with staged(**settings) as stage:
        own = ControlSettings(port=0, phones={"desk": PHONE})
        server = ControlServer(own, stage.gateway, ("127.0.0.1",))
        await server.start()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with aiohttp.ClientSession(headers=headers) as session:
                yield Client(session, server.url, stage)
        finally:
            await server.stop()


async def test_a_supervisor_sends_a_caller_to_a_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        status, answer = await client.post("to-person", name="ana", queue="nobody knows it")
        assert (status, answer["error"]["code"]) == (409, "not_to_person")
        asking = asyncio.ensure_future(client.post("to-person", name="ana"))
        while not asking.done():
            await client.stage.clock.advance(0.2)
        assert (await asking)[0] == 200
        await eventually(lambda: client.stage.line.rung)
        status, answer = await client.post("to-person", name="ben")
        assert (status, answer["error"]["code"]) == (409, "not_to_person")


async def supervise(client: Client, mode: str, name: str = "ana") -> FakeLeg:
    """Ring the supervisor's telephone and pick it up."""
    before = len(client.stage.line.rung)
    status, answer = await client.post("supervise", mode=mode, name=name, uri=PHONE)
    assert (status, answer) == (202, {"state": "ringing"})
    await eventually(lambda: len(client.stage.line.rung) > before)
    leg = client.stage.line.leg
    await leg.answer()
    await eventually(lambda: client.stage.media().supervisor is leg)
    return leg


# --- who may -----------------------------------------------------------------------------------

ENDPOINTS = [
    ("GET", "/v1/calls"),
    ("GET", "/v1/events"),
    ("GET", "/v1/answering"),
    ("PUT", "/v1/answering"),
    *[
        ("POST", f"/v1/calls/x/{action}")
        for action in (
            *("supervise", "mode", "hand-back", "leave", "steer", "handoff", "recording", "end"),
        )
    ],
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(
    ("authorization", "origin", "status"),
    [
        ("", "", 401),
        ("Bearer wrong", "", 401),
        (f"Basic {TOKEN}", "", 401),
        (TOKEN, "", 401),
        (f"Bearer {TOKEN}", "http://evil.example", 403),
    ],
)
async def test_nothing_is_done_without_the_token_or_for_a_web_page(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    method: str,
    path: str,
    authorization: str,
    origin: str,
    status: int,
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        headers = {"Authorization": authorization} | ({"Origin": origin} if origin else {})
        got, answer = await client.ask(method, path, headers=headers)
        assert got == status
        assert set(answer["error"]) == {"code", "message"}


def test_on_loopback_a_new_token_is_left_for_this_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VOICE_AGENT_CONTROL_TOKEN", raising=False)
    settings = ControlSettings(token_file=tmp_path / "var" / "control.token")
    first = control_token(settings)
    assert settings.token_file.read_text() == first
    assert stat.S_IMODE(os.stat(settings.token_file).st_mode) == 0o600
    assert control_token(settings) != first


@pytest.mark.parametrize(("host", "token"), [("192.0.2.1", ""), ("127.0.0.1", "short")])
def test_beyond_loopback_a_token_must_be_given_and_never_a_short_one(
    monkeypatch: pytest.MonkeyPatch, host: str, token: str
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONTROL_TOKEN", token)
    with pytest.raises(GatewayError, match="VOICE_AGENT_CONTROL_TOKEN"):
        control_token(ControlSettings(host=host))


# --- what it tells -----------------------------------------------------------------------------


async def test_a_live_call_is_told_with_who_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path, routes={"sales": "shop"}) as client:
        caller = FakeLeg(
            dialled="sip:sales@example.invalid", remote="sip:+49123@example.invalid:5071"
        )
        await client.stage.connect(caller)
        await client.stage.clock.advance(2.0)
        _, answer = await client.ask("GET", "/v1/calls")
        (call,) = answer["calls"]
        assert call["stage"] == "with_agent"
        assert (call["route"], call["queue"]) == ("sales", "shop")
        assert call["caller"] == "+49123"
        assert call["age_s"] == pytest.approx(2.0)
        assert (call["supervisor"], call["handoff"], call["waiting_since"]) == (None, None, None)


async def test_a_listener_sees_a_call_from_its_ring_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        told = client.events()
        first = await anext(told)
        assert (first["event"], first["calls"], first["answering"]) == ("snapshot", [], [])
        caller = FakeLeg()
        await client.stage.connect(caller)
        assert (await anext(told))["event"] == "call_began"
        changed = await anext(told)
        assert (changed["event"], changed["call"]["stage"]) == ("call_changed", "with_agent")
        await caller.hang_up()
        ended = await anext(told)
        assert (ended["event"], ended["outcome"]) == ("call_ended", "caller_hung_up")
        assert first["seq"] < changed["seq"] < ended["seq"]


async def test_words_of_a_turn_reach_only_listeners_who_ask_for_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        agent = await client.stage.connect(FakeLeg())
        with_words, without = client.events("?words=1"), client.events()
        await anext(with_words)
        await anext(without)
        data = {"turn_id": "t1", "heard": "my name is …", "road": "documents", "confidence": 0.9}
        await agent.send(Note("turn", data))
        told = await anext(with_words)
        assert (told["event"], told["kind"], told["data"]) == ("turn", "turn", data)
        told = await anext(without)
        assert told["data"] == {"turn_id": "t1", "road": "documents", "confidence": 0.9}


def test_a_listener_who_does_not_keep_up_is_dropped_and_holds_up_nobody() -> None:
    feed = events.EventFeed()
    slow = feed.listen(words=False, snapshot={})
    for _ in range(events.MAX_WAITING + 5):
        feed.publish("alarm", code="x")
    assert slow.dropped
    quick = feed.listen(words=False, snapshot={})
    feed.publish("alarm", code="y")
    assert not quick.dropped


# --- what it does ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"mode": "listen", "name": "ana"}, 422, "invalid"),
        ({"mode": "listen", "name": "ana", "sdp": "v=0", "uri": PHONE}, 422, "invalid"),
        ({"mode": "fly", "name": "ana", "uri": PHONE}, 422, "invalid"),
        ({"mode": "listen", "name": " ", "uri": PHONE}, 422, "invalid"),
        (
            {"mode": "listen", "name": "ana", "uri": "sip:+3906@premium.example"},
            403,
            "phone_unknown",
        ),
        ({"mode": "listen", "name": "ana", "sdp": "nonsense"}, 400, "offer_without_audio"),
        ({"mode": "whisper", "name": "ana", "uri": PHONE}, 409, "nobody_to_whisper_to"),
        ({"mode": "listen", "name": "ana", "uri": PHONE, "more": 1}, 422, "invalid"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_refused_and_leaves_the_call_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: dict[str, str], status: int, code: str
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        got, answer = await client.post("supervise", **body)
        assert (got, answer["error"]["code"]) == (status, code)
        await supervise(client, "listen", "ben")


async def test_of_two_supervisors_who_want_a_call_the_second_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        wish = {"mode": "takeover", "uri": PHONE}
        answers = await asyncio.gather(
            client.post("supervise", name="ana", **wish),
            client.post("supervise", name="ben", **wish),
        )
        assert sorted(status for status, _ in answers) == [202, 409]
        (refused,) = [answer for status, answer in answers if status == 409]
        assert refused["error"]["code"] == "already_taken"


async def test_takeover_and_hand_back_over_the_interface(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        caller = FakeLeg()
        agent = await client.stage.connect(caller)
        supervisor = await supervise(client, "listen")
        status, answer = await client.post("mode", mode="takeover", name="ana")
        assert status == 200
        assert answer["call"]["stage"] == "supervised"
        assert answer["call"]["supervisor"] == {"name": "ana", "mode": "takeover"}
        supervisor.speak(voice(60), voice(60), voice(60))
        await client.stage.clock.advance(0.06)
        assert caller.heard[-1] == voice(60)
        status, answer = await client.post("mode", mode="listen", name="ben")
        assert (status, answer["error"]["code"]) == (409, "already_taken")
        status, answer = await client.post("hand-back", name="ana", agreed="a refund by Friday")
        assert (status, answer["call"]["stage"]) == (200, "with_agent")
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("handed_back", "a refund by Friday")]
        status, answer = await client.post("hand-back", name="ana")
        assert (status, answer["error"]["code"]) == (409, "not_taken_over")
        status, answer = await client.post("leave", name="ana")
        await eventually(lambda: client.stage.media().supervisor is None)
        status, answer = await client.post("leave", name="ana")
        assert (status, answer["error"]["code"]) == (409, "not_supervising")


async def test_steering_brings_back_what_the_agent_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        agent = await client.stage.connect(FakeLeg())
        asking = asyncio.ensure_future(
            client.post("steer", name="ana", text="Offer a discount.", say=True)
        )
        await eventually(lambda: agent.of(Steer))
        (steer,) = agent.of(Steer)
        assert isinstance(steer, Steer)
        assert (steer.text, steer.say) == ("Offer a discount.", True)
        await agent.send(Steered("of nobody", True))
        await agent.send(Steered(steer.steer_id, False, "Prices are not promised."))
        assert await asking == (200, {"accepted": False, "reason": "Prices are not promised."})


async def test_an_agent_that_does_not_answer_a_steer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        agent = await client.stage.connect(FakeLeg())
        asking = asyncio.ensure_future(client.post("steer", name="ana", text="Be brief."))
        await eventually(lambda: agent.of(Steer))
        await client.stage.clock.advance(4.0)
        status, answer = await asking
        assert (status, answer["error"]["code"]) == (504, "steer_unanswered")


async def test_a_person_decides_by_click_only_while_one_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        status, answer = await client.post("handoff", decision="accept", name="ben")
        assert (status, answer["error"]["code"]) == (409, "nobody_asked")


async def test_a_call_can_be_ended_and_is_gone_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        caller = FakeLeg()
        agent = await client.stage.connect(caller)
        assert await client.post("end", name="ana") == (200, {"ended": True})
        await client.stage.calls[0]
        assert caller.hung_up == ["supervisor_ended"]
        path = f"/v1/calls/{agent.start.call_id}/end"
        status, answer = await client.ask("POST", path, json={})
        assert (status, answer["error"]["code"]) == (404, "no_such_call")


async def test_the_switch_is_thrown_and_everybody_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        told = client.events()
        await anext(told)
        body = {"scope": "all", "name": "", "on": True, "reason": "wrong prices", "by": "ana"}
        status, answer = await client.ask("PUT", "/v1/answering", json=body)
        assert status == 200
        (switch,) = answer["switches"]
        assert (switch["on"], switch["reason"], switch["by"]) == (True, "wrong prices", "ana")
        event = await anext(told)
        assert (event["event"], event["switches"]) == ("answering_changed", [switch])
        caller = FakeLeg()
        client.stage.ring(caller)
        await eventually(lambda: client.stage.line.rung)
        assert client.stage.agent.attempts == 0
        body["reason"] = " "
        status, answer = await client.ask("PUT", "/v1/answering", json=body)
        assert (status, answer["error"]["code"]) == (422, "switch_refused")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"name":"' + b"x" * 100_000 + b'"}'])
async def test_bodies_that_are_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: bytes
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        agent = await client.stage.connect(FakeLeg())
        path = f"/v1/calls/{agent.start.call_id}/leave"
        headers = {"Content-Type": "application/json"}
        status, _ = await client.ask("POST", path, data=body, headers=headers)
        assert status in (413, 422)
        status, _ = await client.ask("POST", path, data=b"name=ana")
        assert status == 415
        assert client.stage.media().stage is CallStage.WITH_AGENT


async def test_a_change_is_told_once_and_what_is_none_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        told = client.events()
        await anext(told)
        await supervise(client, "listen")
        await client.post("mode", mode="listen", name="ana")
        await client.post("mode", mode="takeover", name="ana")
        first, second = await anext(told), await anext(told)
        assert first["call"]["supervisor"] == {"name": "ana", "mode": "listen"}
        assert (second["call"]["stage"], second["seq"]) == ("supervised", first["seq"] + 1)


# --- the recording -----------------------------------------------------------------------------


async def test_a_recording_is_paused_and_goes_on_and_asking_twice_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recording = {"enabled": True, "folder": str(tmp_path / "recordings")}
    async with controlled(monkeypatch, tmp_path, recording=recording) as client:
        await client.stage.connect(FakeLeg())
        wishes: list[tuple[dict[str, Any], bool, str]] = [
            ({"paused": False}, False, "on"),
            ({"paused": True, "reason": "asked to"}, True, "paused"),
            ({"paused": True, "reason": "asked to"}, False, "paused"),
            ({"paused": False}, True, "on"),
        ]
        for wish, changed, state in wishes:
            status, answer = await client.post("recording", name="ana", **wish)
            assert (status, answer["changed"]) == (200, changed)
            assert answer["call"]["recording"]["state"] == state


async def test_a_pause_needs_a_reason_and_a_recording(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with controlled(monkeypatch, tmp_path) as client:
        await client.stage.connect(FakeLeg())
        status, answer = await client.post("recording", name="ana", paused=True)
        assert (status, answer["error"]["code"]) == (422, "invalid")
        status, answer = await client.post("recording", name="ana", paused=True, reason="why")
        assert (status, answer["error"]["code"]) == (409, "not_recorded")
