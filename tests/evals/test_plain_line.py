"""The plain telephone on calls over loopback, with the gateway's line and with worse far ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from evals.latency.impairments import Impairments
from evals.latency.plain_line import PlainCall, PlainLine
from evals.latency.rtp import (
    PCMA,
    PCMU,
    RtpPacket,
    encoded,
)
from evals.latency.sip_messages import (
    SipMessage,
    read_description,
)
from evals.wire_audio import RATE_HZ, Span, drawn, stretches
from evals.wire_call import CallError
from telephony.call import DigitPressed, HoldChanged, LegEnded
from tests.evals.sip_far_end import MEDIA, FarEnd, answer, far_end, takes
from tests.evals.spoken import spoken, tone
from tests.telephony.sip_stage import PATIENCE_S, clocked, event_of, loud_frames, open_line

# --- calls against the gateway's line ------------------------------------------------------------


@contextlib.asynccontextmanager
async def ringing(**options: Any) -> AsyncIterator[tuple[Any, PlainCall]]:
    """A leg of the gateway's line and the plain telephone's call, answered."""
    async with open_line() as (_, arrivals, uri), PlainLine(**options) as line:
        dialling = asyncio.create_task(line.dial(uri))
        leg = await arrivals.next()
        await leg.answer()
        async with asyncio.timeout(PATIENCE_S):
            yield leg, await dialling


@pytest.mark.loopback
@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_both_hear_each_other_and_each_packet_is_on_the_axis(codec: int) -> None:
    async with ringing(codec=codec) as (leg, call), clocked(leg, hz=440) as received:
        assert call.call_id == leg.leg_id
        assert await call.wait_for_sound(-1.0, PATIENCE_S) is not None
        chunks = await call.say(spoken())
        loud = await loud_frames(received, 10)
        assert np.abs(loud).max() > 3_000
        await call.hang_up()
        assert isinstance(await event_of(leg, LegEnded), LegEnded)
    left, right, sent = call.axis()
    assert len(left) == len(right)
    assert len(chunks) == 20
    said = Span(sent[chunks[0]].start, sent[chunks[-1]].end)
    (mine,) = stretches(left, join_ms=2_000)
    assert abs(mine.end - said.end) <= RATE_HZ // 100
    assert stretches(right, join_ms=300)
    network = call.network()
    assert network["received"] > 10
    assert network["garbage"] == 0


@pytest.mark.loopback
async def test_keys_arrive_even_while_the_caller_speaks() -> None:
    async with ringing() as (leg, call), clocked(leg):
        await asyncio.gather(call.say(spoken(600)), call.press("4#"))
        pressed = [(await event_of(leg, DigitPressed)).digit for _ in range(2)]
        assert pressed == ["4", "#"]
        await leg.send_digits("7")
        async with asyncio.timeout(PATIENCE_S):
            while call.digits != "7":  # noqa: ASYNC110 - heard in the call's own callbacks
                await asyncio.sleep(0.02)
        with pytest.raises(CallError, match="key"):
            await call.press("x")


@pytest.mark.loopback
async def test_the_far_end_is_held_and_holds() -> None:
    async with ringing() as (leg, call), clocked(leg, hz=440):
        await call.hold(True)
        assert (await event_of(leg, HoldChanged)).held is True
        await call.hold(False)
        assert (await event_of(leg, HoldChanged)).held is False
        await leg.hold(True)
        async with asyncio.timeout(PATIENCE_S):
            while not call.far_end_holds:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await leg.hold(False)
        async with asyncio.timeout(PATIENCE_S):
            while call.far_end_holds:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        since_s = call.now_s
        await call.wait_for_quiet(0.0, 1.0)
        assert not call.ended.is_set()
        assert call.now_s >= since_s


@pytest.mark.loopback
async def test_the_far_end_hangs_up_while_the_caller_speaks() -> None:
    async with ringing() as (leg, call), clocked(leg):
        saying = asyncio.create_task(call.say(spoken(20_000)))
        await leg.hang_up("tested")
        with pytest.raises(CallError, match="the far end hung up"):
            await saying
        assert await call.wait_for_sound(call.now_s, 5.0) is None
        assert await call.wait_for_quiet(1e9, 5.0) is None


@pytest.mark.loopback
async def test_a_bad_network_loses_and_repeats_packets_both_ways() -> None:
    bad = Impairments(loss_percent=20, duplicate_percent=20, jitter_ms=10, seed=5)
    async with ringing(impairments=bad) as (leg, call), clocked(leg, hz=440):
        await call.say(spoken(1_500))
        network = call.network()
    assert network["lost"] > 0
    assert network["duplicates"] > 0
    assert call.gaps()


@pytest.mark.loopback
async def test_a_call_that_is_refused_has_the_status() -> None:
    async with open_line() as (_, arrivals, uri), PlainLine() as line:
        dialling = asyncio.create_task(line.dial(uri))
        await (await arrivals.next()).hang_up("full")
        with pytest.raises(CallError, match="486") as refused:
            await dialling
    assert refused.value.status == 486


# --- calls against a far end that misbehaves -----------------------------------------------------


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        ("486 Busy Here", b"", "486 Busy Here"),
        ("603 Decline", b"", "603"),
        ("500", b"", "500"),
        ("200 OK", b"", "no audio"),
        ("200 OK", b"nonsense", "no audio"),
        ("200 OK", MEDIA.replace(b"RTP/AVP 0", b"RTP/AVP 9"), "neither"),
    ],
)
async def test_a_refusal_or_a_useless_answer_is_a_clear_error(
    status: str, body: bytes, why: str
) -> None:
    def script(request: SipMessage, _: FarEnd) -> list[bytes]:
        if request.method == "INVITE":
            return [answer(request, status, body)]
        return [answer(request, "200 OK")] if request.method == "BYE" else []

    async with far_end(script) as (party, uri), PlainLine() as line:
        with pytest.raises(CallError, match=why):
            await line.dial(uri)
        await party.until("ACK")
        assert party.seen[:2] == ["INVITE", "ACK"]
        assert ("BYE" in party.seen) is (status == "200 OK")


@pytest.mark.loopback
async def test_nobody_answers_and_the_call_is_taken_back() -> None:
    def script(request: SipMessage, _: FarEnd) -> list[bytes]:
        kind = "200 OK" if request.method == "CANCEL" else "180 Ringing"
        return [answer(request, kind)]

    async with far_end(script) as (party, uri), PlainLine(answer_timeout_s=0.2) as line:
        with pytest.raises(CallError, match=r"not answered within 0\.2 s") as late:
            await line.dial(uri)
        assert late.value.status == 408
        assert party.seen == ["INVITE", "CANCEL"]


@pytest.mark.loopback
async def test_an_invite_that_is_lost_is_sent_again() -> None:
    def script(request: SipMessage, party: FarEnd) -> list[bytes]:
        return [] if party.seen.count("INVITE") < 2 else takes(request, party)

    async with far_end(script) as (party, uri), PlainLine() as line:
        await (await line.dial(uri)).hang_up()
        assert party.seen == ["INVITE", "INVITE", "ACK", "BYE"]


@pytest.mark.loopback
async def test_an_answer_that_comes_again_is_acknowledged_again() -> None:
    def script(request: SipMessage, party: FarEnd) -> list[bytes]:
        once = takes(request, party)
        return once + once[-1:] if request.method == "INVITE" else once

    async with far_end(script) as (party, uri), PlainLine() as line:
        call = await line.dial(uri)
        await party.until("ACK", 2)
        await call.hang_up()


@pytest.mark.loopback
async def test_requests_of_the_far_end_are_answered_and_garbage_is_passed_over() -> None:
    async with far_end(takes) as (party, uri), PlainLine() as line:
        call = await line.dial(uri)
        await party.until("ACK")

        async def ask(method: str, number: int, call_id: str = "") -> str:
            party.seen.clear()
            headers = [
                ("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx"),
                ("From", f"{party.invites[0].get('To')};tag=far"),
                ("To", party.invites[0].get("From")),
                ("Call-ID", call_id or party.invites[0].get("Call-ID")),
                ("CSeq", f"{number} {method}"),
            ]
            request = SipMessage(f"{method} sip:caller@127.0.0.1 SIP/2.0", headers)
            party.transport.sendto(request.encode(), party.caller)
            async with asyncio.timeout(PATIENCE_S):
                while not party.seen:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            return party.seen[0]

        party.transport.sendto(b"garbage", party.caller)
        party.transport.sendto(b"\r\n\r\n", party.caller)
        assert await ask("OPTIONS", 1) == "200"
        assert await ask("REFER", 2) == "405"
        assert await ask("BYE", 3, call_id="another") == "481"
        assert await ask("INVITE", 4) == "200"
        assert await ask("INVITE", 4) == "200"
        assert await ask("BYE", 5) == "200"
        assert call.ended.is_set()
        await call.hang_up()
    assert call.garbage == 1


@pytest.mark.loopback
async def test_the_silence_of_a_hold_is_no_gap() -> None:
    async with far_end(takes) as (party, uri), PlainLine() as line:
        call = await line.dial(uri)

        async def sound(number: int) -> None:
            packet = RtpPacket(0, number, number * 160, 9, encoded(tone(20), PCMU))
            party.play(packet.encode())
            async with asyncio.timeout(PATIENCE_S):
                while call.network()["received"] < number:  # noqa: ASYNC110
                    await asyncio.sleep(0)

        await sound(1)
        await call.hold(True)
        await call.wait_for_end(0.1)
        await call.hold(False)
        await sound(2)
        assert call.gaps() == []
        await call.wait_for_end(0.1)
        await sound(3)
        assert len(call.gaps()) == 1
        await call.hang_up()
    directions = [read_description(invite.body).direction for invite in party.invites]
    assert directions == ["sendrecv", "sendonly", "sendrecv"]


@pytest.mark.loopback
async def test_packets_that_are_none_are_counted_and_the_call_goes_on() -> None:
    async with far_end(takes) as (party, uri), PlainLine() as line:
        call = await line.dial(uri)
        for data in (b"hello", RtpPacket(77, 1, 0, 9, b"x").encode()):
            party.play(data)
        for number in range(5):
            sound = encoded(tone(20), PCMU)
            party.play(RtpPacket(0, number, number * 160, 9, sound).encode())
        assert await call.wait_for_sound(-1.0, PATIENCE_S) is not None
        await call.say(spoken(20))
        await call.hang_up()
    assert call.garbage == 2
    _, right, _ = call.axis()
    assert len(stretches(right, join_ms=300)) == 1
    assert len(drawn([], [], 5)) == 5


async def test_a_name_that_has_no_address_is_a_clear_error() -> None:
    async with PlainLine() as line:
        with pytest.raises(CallError, match="there is no way"):
            await line.dial("sip:a@no-such-host.invalid")


@pytest.mark.loopback
async def test_whoever_answers_a_call_that_was_taken_back_is_told_goodbye() -> None:
    def script(request: SipMessage, party: FarEnd) -> list[bytes]:
        if request.method == "INVITE":
            return [answer(request, "180 Ringing")]
        if request.method == "CANCEL":
            return [answer(party.invites[0], "200 OK", MEDIA), answer(request, "200 OK")]
        return []

    async with far_end(script) as (party, uri), PlainLine(answer_timeout_s=0.2) as line:
        with pytest.raises(CallError, match="not answered"):
            await line.dial(uri)
        await party.until("BYE")
        assert party.seen == ["INVITE", "CANCEL", "ACK", "BYE"]
