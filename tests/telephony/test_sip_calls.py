"""Calls over real SIP and RTP on loopback, with a far end in a process of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from evals.refusing_line import refuse_calls
from evals.wire_line import free_port
from telephony.call import DigitPressed, HoldChanged, LegAnswered, LegEnded, LegState
from telephony.errors import DialFailed, LineUnavailable
from telephony.sip import SipLine
from tests.telephony.certificates import make_certificate
from tests.telephony.sip_peer import loudest_hz
from tests.telephony.sip_stage import (
    answered_call,
    clocked,
    event_of,
    far_end,
    loud_frames,
    open_line,
    sip_settings,
)

pytestmark = pytest.mark.loopback


async def test_audio_goes_both_ways_on_an_incoming_call() -> None:
    async with answered_call() as (leg, peer, _), clocked(leg, hz=440) as received:
        await peer.do("listen", ms=600)
        await peer.do("tone", hz=1_000, ms=1_000)
        heard = await peer.until("heard")
        samples = await loud_frames(received, 30)
    assert heard["hz"] == pytest.approx(440, abs=15)
    assert heard["rms"] > 100
    assert loudest_hz(samples, 16_000) == pytest.approx(1_000, abs=15)


async def test_audio_goes_both_ways_on_an_outgoing_call() -> None:
    async with far_end() as peer, open_line() as (line, _, _):
        leg = await line.dial(peer.uri, {"X-Reason": "test"})
        assert leg.state is LegState.RINGING
        ringing = await peer.until("ringing")
        await peer.do("answer")
        await event_of(leg, LegAnswered)
        await peer.until("answered")
        async with clocked(leg, hz=600) as received:
            await peer.do("listen", ms=600)
            await peer.do("tone", hz=1_200, ms=1_000)
            heard = await peer.until("heard")
            samples = await loud_frames(received, 30)
    assert ringing["call_id"] == leg.leg_id
    assert heard["hz"] == pytest.approx(600, abs=15)
    assert loudest_hz(samples, 16_000) == pytest.approx(1_200, abs=15)


async def test_a_leg_knows_who_rings_what_was_dialled_and_the_call_id() -> None:
    async with answered_call() as (leg, peer, line):
        assert leg.remote == peer.uri
        assert leg.dialled == f"sip:agent@127.0.0.1:{line.settings.port}"
        assert leg.leg_id == peer.seen[-1]["call_id"]


async def test_any_name_is_answered_not_only_our_own() -> None:
    async with far_end() as peer, open_line() as (_, arrivals, uri):
        await peer.do("dial", uri=uri.replace("agent", "00441632960000"))
        leg = await arrivals.next()
        assert leg.dialled.startswith("sip:00441632960000@")


async def test_keys_are_heard_both_ways_once_each() -> None:
    async with answered_call() as (leg, peer, _), clocked(leg):
        await peer.do("press", digits="15#")
        pressed = [(await event_of(leg, DigitPressed)).digit for _ in range(3)]
        await leg.send_digits("9*")
        while (await peer.until("digits"))["digits"] != "9*":
            pass
    assert pressed == ["1", "5", "#"]


async def test_the_far_end_holds_and_comes_back_and_is_heard_again() -> None:
    async with answered_call() as (leg, peer, _), clocked(leg, hz=440) as received:
        await peer.do("hold", held=True)
        assert (await event_of(leg, HoldChanged)).held
        await peer.do("hold", held=False)
        assert not (await event_of(leg, HoldChanged)).held
        received.clear()
        await peer.do("tone", hz=800, ms=1_500)
        assert loudest_hz(await loud_frames(received, 20), 16_000) == pytest.approx(800, abs=15)


async def test_we_hold_the_far_end_and_take_it_back() -> None:
    async with answered_call() as (leg, peer, _), clocked(leg):
        await leg.hold(True)
        await peer.until("held")
        await leg.hold(False)
        await peer.until("resumed")


async def test_the_far_end_hangs_up() -> None:
    async with answered_call() as (leg, peer, line):
        await peer.do("hang_up")
        ended = await event_of(leg, LegEnded)
        assert ended == LegEnded("far_end_hung_up", 0)
        assert leg.state is LegState.ENDED
        assert line.legs == 0
        assert await leg.next_event() == ended


async def test_we_hang_up_and_doing_so_again_is_harmless() -> None:
    async with answered_call() as (leg, peer, _):
        await leg.hang_up("agent_done")
        await peer.until("closed")
        await leg.hang_up()
        assert await event_of(leg, LegEnded) == LegEnded("agent_done", 0)


async def test_an_ended_leg_drops_audio_and_gives_none() -> None:
    async with answered_call() as (leg, _peer, _):
        await leg.hang_up()
        await event_of(leg, LegEnded)
        leg.send_frame(b"\1" * 640)
        leg.flush()
        await leg.send_digits("1")
        await leg.hold(True)
        assert leg.receive_frame() is None
        assert leg.unsent_ms == 0


async def test_flushed_audio_is_not_heard_and_what_follows_is() -> None:
    async with answered_call() as (leg, peer, _):
        await peer.do("listen", ms=400)
        for number in range(5):
            leg.send_frame(b"\xff\x20" * 320 if number < 5 else b"")
        assert leg.unsent_ms > 60
        leg.flush()
        assert leg.unsent_ms == 0
        async with clocked(leg, hz=700):
            assert (await peer.until("heard"))["hz"] == pytest.approx(700, abs=15)


async def test_a_leg_we_refuse_while_it_rings_hears_busy() -> None:
    async with far_end() as peer, open_line() as (_, arrivals, uri):
        await peer.do("dial", uri=uri)
        await (await arrivals.next()).hang_up("full")
        assert (await peer.until("failed"))["status"] == 486


async def test_a_caller_who_gives_up_while_ringing_ends_the_leg() -> None:
    async with far_end() as peer, open_line() as (_, arrivals, uri):
        await peer.do("dial", uri=uri)
        leg = await arrivals.next()
        peer.process.send_signal(signal.SIGKILL)
        await leg.answer()
        await leg.hang_up("tested")
        assert isinstance(await event_of(leg, LegEnded), LegEnded)


async def test_a_leg_nobody_serves_is_hung_up() -> None:
    async def broken(_leg: object) -> None:
        raise RuntimeError("broken on purpose")

    settings = sip_settings()
    line = SipLine(settings, 4)
    await line.start(broken)
    try:
        async with far_end() as peer:
            await peer.do("dial", uri=f"sip:agent@127.0.0.1:{settings.port}")
            assert (await peer.until("failed"))["status"] == 486
    finally:
        await line.stop()


async def test_calls_beyond_the_limit_hear_busy() -> None:
    async with answered_call(max_legs=1) as (_, _, line), far_end() as second:
        await second.do("dial", uri=f"sip:agent@127.0.0.1:{line.settings.port}")
        assert (await second.until("failed"))["status"] == 486


async def test_a_busy_far_end_ends_the_leg_with_486() -> None:
    async with far_end() as peer, open_line() as (line, _, _):
        leg = await line.dial(peer.uri)
        await peer.until("ringing")
        await peer.do("reject")
        assert (await event_of(leg, LegEnded)).code == 486


@pytest.mark.parametrize("status", [480, 603])
async def test_a_far_end_that_refuses_ends_the_leg_with_its_status(status: int) -> None:
    transport, port = await refuse_calls("127.0.0.1", 0, status)
    try:
        async with open_line() as (line, _, _):
            leg = await line.dial(f"sip:human@127.0.0.1:{port}")
            assert (await event_of(leg, LegEnded)).code == status
    finally:
        transport.close()


async def test_a_call_nobody_answers_is_taken_back() -> None:
    async with far_end() as peer, open_line() as (line, _, _):
        leg = await line.dial(peer.uri)
        await peer.until("ringing")
        await leg.hang_up("no_answer")
        assert await event_of(leg, LegEnded) == LegEnded("no_answer", 0)


async def test_a_vanished_caller_is_freed() -> None:
    async with answered_call(rtp_timeout_s=1) as (leg, peer, line), clocked(leg):
        peer.process.send_signal(signal.SIGKILL)
        assert await event_of(leg, LegEnded) == LegEnded("media_lost", 0)
        assert line.legs == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_come_and_go_over(transport: str) -> None:
    async with far_end() as peer, open_line() as (line, arrivals, uri):
        await peer.do("dial", uri=f"{uri};transport={transport}")
        leg = await arrivals.next()
        await leg.answer()
        await peer.until("answered")
        await leg.hang_up()
        await peer.until("closed")
        outgoing = await line.dial(f"{peer.uri};transport={transport}")
        await peer.until("ringing")
        await peer.do("answer")
        await event_of(outgoing, LegAnswered)


async def test_audio_is_encrypted_over_tls_and_srtp(tmp_path: Path) -> None:
    pem = make_certificate(tmp_path / "line.pem")
    port = free_port("127.0.0.1")
    tls = {"port": port + 1, "certificate": pem, "authorities": pem}
    async with (
        far_end(pem=str(pem), srtp="mandatory") as peer,
        open_line(port=port, srtp="mandatory", tls=tls) as (line, arrivals, _),
    ):
        await peer.do("dial", uri=f"sip:agent@127.0.0.1:{port + 1};transport=tls")
        leg = await arrivals.next()
        await leg.answer()
        await peer.until("answered")
        async with clocked(leg, hz=500):
            await peer.do("listen", ms=400)
            assert (await peer.until("heard"))["hz"] == pytest.approx(500, abs=15)
        await leg.hang_up()
        outgoing = await line.dial(f"sip:peer@127.0.0.1:{peer.port + 1};transport=tls")
        await peer.until("ringing")
        await peer.do("answer")
        await event_of(outgoing, LegAnswered)


async def test_a_tls_far_end_nobody_vouches_for_is_not_rung(tmp_path: Path) -> None:
    ours = make_certificate(tmp_path / "ours.pem")
    theirs = make_certificate(tmp_path / "theirs.pem")
    port = free_port("127.0.0.1")
    tls = {"port": port + 1, "certificate": ours, "authorities": ours}
    async with far_end(pem=str(theirs)) as peer, open_line(port=port, tls=tls) as (line, _, _):
        leg = await line.dial(f"sip:peer@127.0.0.1:{peer.port + 1};transport=tls")
        assert isinstance(await event_of(leg, LegEnded), LegEnded)


async def test_mandatory_encryption_refuses_a_plain_call() -> None:
    async with far_end() as peer, open_line(srtp="mandatory") as (_, arrivals, uri):
        await peer.do("dial", uri=uri)
        answering = asyncio.create_task(_answer_next(arrivals))
        failed = await peer.until("failed", "answered")
        answering.cancel()
    assert (failed["event"], failed["status"]) == ("failed", 488)


async def _answer_next(arrivals: object) -> None:
    leg = await arrivals.next()  # type: ignore[attr-defined]
    await leg.answer()


async def test_a_port_in_use_is_one_clear_line() -> None:
    async with open_line() as (line, _, _):
        with pytest.raises(
            LineUnavailable, match=rf"port 127.0.0.1:{line.settings.port} is in use"
        ):
            await SipLine(line.settings, 4).start(lambda leg: asyncio.sleep(0))


async def test_a_certificate_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    port = free_port("127.0.0.1")
    settings = sip_settings(port=port, tls={"port": port + 1, "certificate": bad})
    with pytest.raises(LineUnavailable, match="certificate"):
        await SipLine(settings, 4).start(lambda leg: asyncio.sleep(0))


@pytest.mark.parametrize(
    "uri", ["", "human", "tel:123", "sip:", "sip:a b@c", "sip:a@b\r\nX: y", "sip:a@127.0.0.1:port"]
)
async def test_an_address_that_is_none_does_not_ring(uri: str) -> None:
    async with open_line() as (line, _, _):
        with pytest.raises(DialFailed):
            await line.dial(uri)
        assert line.legs == 0


async def test_a_closed_line_does_not_ring() -> None:
    with pytest.raises(DialFailed):
        await SipLine(sip_settings(), 4).dial("sip:a@127.0.0.1")


async def test_stopping_hangs_up_every_leg() -> None:
    async with far_end() as peer:
        async with open_line() as (_, arrivals, uri):
            await peer.do("dial", uri=uri)
            leg = await arrivals.next()
            await leg.answer()
            await peer.until("answered")
        await peer.until("closed")
        assert await event_of(leg, LegEnded) == LegEnded("line_closed", 0)
