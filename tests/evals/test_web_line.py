"""The page without a browser: calls over WebRTC on loopback against the gateway's web line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiohttp import web
from aiortc import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from evals.latency.impairments import Impairments
from evals.latency.opus_wire import Microphone, OpusDecoder, PacketTap, tap
from evals.latency.web_line import WebCall, WebLine
from evals.wire_audio import RATE_HZ, WIDE_HZ, stretches
from evals.wire_call import CallError
from tests.evals.spoken import spoken, tone
from tests.telephony.webrtc_peer import FakeGateway, loudest_hz, serving

PATIENCE_S = 30.0


@contextlib.asynccontextmanager
async def calling(
    gateway: FakeGateway, impairments: Impairments | None = None
) -> AsyncIterator[WebCall]:
    async with serving(gateway) as server, WebLine(impairments) as line:
        async with asyncio.timeout(PATIENCE_S):
            call = await line.dial(server.url)
            yield call


@pytest.mark.loopback
async def test_both_hear_each_other() -> None:
    gateway = FakeGateway(play_hz=400.0)
    async with calling(gateway) as call:
        assert await call.wait_for_sound(-1.0, PATIENCE_S) is not None
        chunks = await call.say(spoken(800, hz=1_000))
        await call.wait_for_end(0.3)
        await call.hang_up()
        await gateway.released.wait()
    assert gateway.ended == ["hung_up"]
    assert len(chunks) == 40
    _, right, sent = call.axis()
    assert sent[chunks[-1]].end - sent[chunks[0]].start >= RATE_HZ * 8 // 10
    assert loudest_hz(right[-RATE_HZ // 2 :].tobytes(), RATE_HZ) == pytest.approx(400, abs=10)
    heard = np.frombuffer(bytes(gateway.heard), dtype="<i2")
    loud = np.flatnonzero(np.abs(heard) > 2_000)
    middle = heard[loud[0] : loud[-1]]
    assert loudest_hz(middle.tobytes(), WIDE_HZ) == pytest.approx(1_000, abs=10)
    network = call.network()
    assert network["received"] > 20
    assert network["garbage"] == 0


@pytest.mark.loopback
async def test_keys_are_pressed_and_shown_and_a_held_caller_is_silent() -> None:
    gateway = FakeGateway()
    async with calling(gateway) as call:
        await call.press("4#")
        with pytest.raises(CallError, match="key"):
            await call.press("x")
        await gateway.legs[0].send_digits("7")
        await call.hold(True)
        await call.say(spoken(200))
        await call.wait_for_end(0.3)
        silent = np.frombuffer(bytes(gateway.heard), dtype="<i2")
        await call.hold(False)
        await call.say(spoken(200))
        await call.wait_for_end(0.3)
    assert gateway.digits == "4#"
    assert call.digits == "7"
    assert np.abs(silent).max() < 500
    assert np.abs(np.frombuffer(bytes(gateway.heard), dtype="<i2")).max() > 2_000


@pytest.mark.loopback
async def test_the_gateway_ends_the_call() -> None:
    gateway = FakeGateway()
    async with calling(gateway) as call:
        saying = asyncio.create_task(call.say(spoken(20_000)))
        await gateway.legs[0].hang_up("tested")
        with pytest.raises(CallError, match="tested"):
            await saying
        assert call.end_reason == "tested"


@pytest.mark.loopback
async def test_a_bad_network_loses_packets_both_ways() -> None:
    bad = Impairments(loss_percent=30, duplicate_percent=20, jitter_ms=5, seed=2)
    gateway = FakeGateway(play_hz=400.0)
    async with calling(gateway, bad) as call:
        await call.say(spoken(1_500))
        await call.wait_for_end(0.2)
        network = call.network()
    assert network["lost"] > 0
    assert network["duplicates"] > 0
    assert call.gaps()


@pytest.mark.loopback
async def test_a_gateway_without_a_free_line_is_a_clear_error_with_its_status() -> None:
    async with serving(FakeGateway(ready=False)) as server, WebLine() as line:
        with pytest.raises(CallError, match="busy") as refused:
            await line.dial(server.url)
    assert refused.value.status == 503


@pytest.mark.loopback
@pytest.mark.parametrize("uri", ["sip:a@b", "agent", "http://127.0.0.1:9"])
async def test_no_page_is_a_clear_error(uri: str) -> None:
    async with WebLine() as line:
        with pytest.raises(CallError, match=r"page's address|nothing answers"):
            await line.dial(uri)


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("nonsense", "no answer to an offer"),
        ('{"type": "answer"}', "no answer to an offer"),
        ('{"type": "answer", "sdp": "v=1 nonsense"}', "no session description"),
    ],
)
async def test_an_answer_that_is_none_is_a_clear_error(answer: str, why: str) -> None:
    async def offer(_: web.Request) -> web.Response:
        return web.Response(text=answer)

    app = web.Application()
    app.router.add_post("/offer", offer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with WebLine() as line:
            with pytest.raises(CallError, match=why):
                await line.dial(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


@pytest.mark.loopback
async def test_a_gateway_that_never_answers_is_given_up() -> None:
    class Deaf(FakeGateway):
        async def take(self, leg: object) -> None:
            await asyncio.Event().wait()

    async with serving(Deaf()) as server, WebLine(answer_timeout_s=2.0) as line:
        with pytest.raises(CallError, match="not answered") as late:
            await line.dial(server.url)
    assert late.value.status == 408


async def test_opus_there_and_back_loses_no_time_but_its_own() -> None:
    microphone, decoder = Microphone(), OpusDecoder()
    wide = np.concatenate((np.zeros(WIDE_HZ // 10, dtype=np.int16), tone(200, rate_hz=WIDE_HZ)))
    parts = []
    for tick in range(len(wide) // 320):
        microphone.send(wide[tick * 320 : (tick + 1) * 320], tick)
        packet = await microphone.recv()
        assert packet.pts == tick * 320
        decoded = decoder.decode(bytes(packet))
        assert decoded is not None
        parts.append(decoded)
    (heard,) = stretches(np.concatenate(parts), join_ms=100)
    began_ms = heard.start * 1000 / RATE_HZ - decoder.delay_s * 1000
    assert began_ms == pytest.approx(100 + 6.5, abs=8)


def test_what_is_no_opus_is_no_sound() -> None:
    decoder = OpusDecoder()
    assert decoder.decode(b"") is None
    assert decoder.decode(b"\xff" * 3) is None


def test_the_tap_sees_packets_and_lets_none_through() -> None:
    seen: list[RtpPacket] = []
    packet = RtpPacket(payload_type=96)
    assert PacketTap(seen.append).add(packet) == (False, None)
    assert seen == [packet]
    with pytest.raises(CallError, match="jitter buffer"):
        tap(object(), seen.append)  # type: ignore[arg-type]
    receiver = RTCRtpReceiver.__new__(RTCRtpReceiver)
    receiver._RTCRtpReceiver__jitter_buffer = None  # type: ignore[attr-defined]
    tap(receiver, seen.append)
