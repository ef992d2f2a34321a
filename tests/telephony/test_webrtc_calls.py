"""Whole calls from a WebRTC peer on loopback to the real web line."""

from __future__ import annotations

import pytest

from telephony import webrtc
from telephony.call import LegState, ScreenLeg
from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ, TransferState
from telephony.webrtc import WebRtcLeg
from telephony.webrtc_audio import PacketOrder
from tests.telephony.webrtc_peer import WIRE_HZ, FakeGateway, Peer, loudest_hz, serving

pytestmark = pytest.mark.loopback

TRANSFER: tuple[TransferState, ...] = ("ringing", "answered", "bridged", "ended", "failed")
SECOND_BYTES = 2 * SAMPLE_RATE_HZ


async def test_the_gateway_hears_the_browsers_tone_at_its_own_rate() -> None:
    gateway = FakeGateway(play_hz=660.0)
    peer = Peer(hz=440.0)
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: len(gateway.heard) >= SECOND_BYTES)
        await peer.close()
    assert abs(loudest_hz(bytes(gateway.heard[-SECOND_BYTES // 2 :]), SAMPLE_RATE_HZ) - 440) < 5


async def test_the_browser_hears_the_gateways_tone() -> None:
    gateway = FakeGateway(play_hz=660.0)
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: len(peer.heard) >= 2 * WIRE_HZ)
        await peer.close()
    assert abs(loudest_hz(bytes(peer.heard[-WIRE_HZ:]), WIRE_HZ) - 660) < 5


async def test_the_page_is_told_ringing_answered_and_ended_with_the_reason() -> None:
    async def goodbye(leg: WebRtcLeg, _: FakeGateway) -> None:
        await leg.hang_up("finished")

    gateway = FakeGateway(on_answered=goodbye)
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "ended" in peer.states())
        await peer.close()
        await gateway.released.wait()
    assert peer.states() == ["ringing", "answered", "ended"]
    assert peer.messages[-1]["reason"] == "finished"
    assert gateway.ended == ["finished"]


async def test_the_page_is_told_how_a_transfer_goes() -> None:
    async def transfer(leg: WebRtcLeg, _: FakeGateway) -> None:
        assert isinstance(leg, ScreenLeg)
        for state in TRANSFER:
            leg.show_transfer(state)
        await leg.hang_up("human_hung_up")

    peer = Peer()
    async with serving(FakeGateway(on_answered=transfer)) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "ended" in peer.states())
        await peer.close()
    assert peer.states()[2:-1] == [
        "transferring",
        "transferring",
        "bridged",
        "answered",
        "answered",
    ]


async def test_keys_and_captions_cross_on_the_data_channel() -> None:
    async def captions(leg: WebRtcLeg, _: FakeGateway) -> None:
        leg.show_caption("caller", "u1", "where is my", False)
        leg.show_caption("caller", "u1", "where is my <b>order</b>", True)

    gateway = FakeGateway(on_answered=captions)
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        for digit in "1a#D":
            peer.send(event="digit", digit=digit)
        peer.channel.send("not json")
        peer.channel.send(b"\x00\x01")
        peer.send(event="unknown")
        peer.send(event="hang_up")
        await peer.until(lambda: "ended" in peer.states())
        await peer.close()
        await gateway.released.wait()
    assert gateway.digits == "1#D"
    assert gateway.ended == ["hung_up"]
    shown = [m for m in peer.messages if m["event"] == "caption"]
    assert [(m["speaker"], m["id"], m["text"], m["final"]) for m in shown] == [
        ("caller", "u1", "where is my", False),
        ("caller", "u1", "where is my <b>order</b>", True),
    ]


async def test_a_page_that_closes_its_connection_ends_the_leg() -> None:
    gateway = FakeGateway()
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        await peer.close()
        await gateway.released.wait()
        assert gateway.legs[0].state is LegState.ENDED
    assert gateway.ended == ["left"]


async def test_stopping_the_line_ends_its_calls() -> None:
    gateway = FakeGateway()
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
    assert gateway.legs[0].state is LegState.ENDED
    await peer.until(lambda: "ended" in peer.states())
    await peer.close()


async def test_a_browser_that_falls_silent_for_good_is_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webrtc, "_UNHEARD_S", 0.2)
    gateway = FakeGateway()
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        peer.microphone.fall_silent()
        await gateway.released.wait()
        await peer.close()
    assert gateway.ended == ["vanished"]


async def test_lost_packets_do_not_silence_the_caller() -> None:
    gateway = FakeGateway(play_hz=660.0)
    peer = Peer(hz=440.0)
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        peer.lose_every(7)
        enough = len(gateway.heard) + 2 * SECOND_BYTES
        await peer.until(lambda: len(gateway.heard) >= enough)
        leg = gateway.legs[0]
        held_back = [
            getattr(receiver, "_RTCRtpReceiver__jitter_buffer")  # noqa: B009
            for receiver in leg._connection.getReceivers()
        ]
        await peer.close()
    assert abs(loudest_hz(bytes(gateway.heard[-SECOND_BYTES:]), SAMPLE_RATE_HZ) - 440) < 20
    assert [type(buffer) for buffer in held_back] == [PacketOrder]


async def test_ended_legs_take_and_give_nothing() -> None:
    gateway = FakeGateway()
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        leg = gateway.legs[0]
        await leg.hang_up("finished")
        await leg.hang_up("again")
        leg.send_frame(bytes(FRAME_BYTES))
        leg.show_caption("agent", "a", "too late", True)
        await leg.answer()
        await peer.close()
    assert leg.receive_frame() is None
    assert leg.unsent_ms == 0
    assert leg.state is LegState.ENDED
    assert gateway.ended == ["finished"]


async def test_a_flood_of_captions_does_not_pile_up() -> None:
    async def flood(leg: WebRtcLeg, _: FakeGateway) -> None:
        for number in range(20_000):
            leg.show_caption("agent", str(number), "word " * 40, False)
        leg.show_caption("agent", "last", "the end", True)

    gateway = FakeGateway(on_answered=flood)
    peer = Peer()
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: any(m.get("id") == "last" for m in peer.messages))
        await peer.close()
    assert len(peer.messages) < 1_000


async def test_a_browser_that_hides_its_address_connects_by_itself() -> None:
    gateway = FakeGateway()
    peer = Peer(hides_address=True)
    async with serving(gateway) as server:
        await peer.ring(server.url)
        await peer.until(lambda: "answered" in peer.states())
        await peer.close()


async def test_only_the_configured_address_is_offered_for_media() -> None:
    gateway = FakeGateway()
    peer = Peer()
    async with serving(gateway, media_host="127.0.0.1") as server:
        await peer.ring(server.url)
        answer = peer.connection.remoteDescription.sdp
        await peer.close()
    candidates = [line.split()[4] for line in answer.splitlines() if "a=candidate" in line]
    assert set(candidates) == {"127.0.0.1"}
