"""Signalling and sound that somebody else sends into a call: forged, or sent once more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest

from evals.latency.rtp import PCMU, RtpPacket, encoded
from telephony.call import Leg, LegAnswered, LegEnded, LegState
from telephony.media_stream import SAMPLE_RATE_HZ
from telephony.sip import SipLine
from tests.telephony.sip_peer import loudest_hz
from tests.telephony.sip_stage import Arrivals, event_of, far_end, open_line
from tests.telephony.test_sip_bad_input import GOOD_SDP, RawPhone, invite

pytestmark = pytest.mark.loopback


@dataclass
class Dialog:
    """A call of a raw telephone's, answered, with all that an onlooker would need to know."""

    phone: RawPhone
    leg: Leg
    line: SipLine
    arrivals: Arrivals
    uri: str
    to_tag: str

    def request(
        self, method: str, *, from_tag: str = "a1", to_tag: str = "", cseq: int = 2
    ) -> bytes:
        """A request within the dialog, or (with other tags) one that only looks like it."""
        port = self.phone.port
        to = f"<{self.uri}>;tag={to_tag or self.to_tag}"
        return (
            f"{method} {self.uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{method}-{cseq}-{from_tag}"
            f"{to_tag}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:rough@127.0.0.1:{port}>;tag={from_tag}\r\nTo: {to}\r\n"
            f"Call-ID: rough-{port}-1\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:rough@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def send(self, data: bytes) -> None:
        self.phone.send(data, self.line.settings.port)


@contextlib.asynccontextmanager
async def dialog() -> AsyncIterator[Dialog]:
    phone = RawPhone()
    try:
        async with open_line() as (line, arrivals, uri):
            phone.send(invite(uri, phone.port, GOOD_SDP), line.settings.port)
            leg = await arrivals.next()
            await leg.answer()
            answer = await accepted(phone)
            found = re.search(r"^To:.*;tag=([^\s;]+)", answer, re.MULTILINE)
            assert found is not None
            call = Dialog(phone, leg, line, arrivals, uri, found[1])
            call.send(call.request("ACK", cseq=1))
            await event_of(leg, LegAnswered)
            yield call
    finally:
        phone.socket.close()


async def accepted(phone: RawPhone) -> str:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while True:
            answer = (await loop.sock_recv(phone.socket, 65_535)).decode()
            if answer.startswith("SIP/2.0 200"):
                return answer


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE"])
@pytest.mark.parametrize(
    "tags", [{"from_tag": "forged"}, {"to_tag": "forged"}, {"from_tag": "x", "to_tag": "y"}]
)
async def test_a_request_that_does_not_know_the_dialog_changes_nothing(
    method: str, tags: dict[str, str]
) -> None:
    async with dialog() as call:
        call.send(call.request(method, **tags))
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


def refer(call: Dialog, **tags: str) -> bytes:
    """A REFER to somewhere expensive."""
    expensive = b"Refer-To: <sip:900123@127.0.0.1:9>\r\nContact:"
    return call.request("REFER", **tags).replace(b"Contact:", expensive)


async def test_a_party_cannot_send_us_elsewhere() -> None:
    async with dialog() as call:
        call.send(refer(call))
        assert await call.phone.final_status() == 501
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


@pytest.mark.parametrize(
    "tags", [{"from_tag": "forged"}, {"to_tag": "forged"}, {"from_tag": "x", "to_tag": "y"}]
)
async def test_a_forged_refer_moves_no_caller(tags: dict[str, str]) -> None:
    async with dialog() as call:
        call.send(refer(call, **tags))
        assert await call.phone.final_status() == 481
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


@pytest.mark.parametrize("subscription", [b"", b"Refer-Sub: false\r\n"])
async def test_a_refer_of_no_call_at_all_rings_nobody(subscription: bytes) -> None:
    async with dialog() as call:
        stray = refer(call).replace(f";tag={call.to_tag}".encode(), b"")
        stray = stray.replace(b"Call-ID: rough", b"Call-ID: stray").replace(
            b"Refer-To:", subscription + b"Refer-To:"
        )
        call.send(stray)
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED
        assert call.line.legs == 1


async def test_a_forged_outcome_of_a_transfer_nobody_asked_for_ends_nothing() -> None:
    async with dialog() as call:
        fragment = b"SIP/2.0 200 OK\r\n"
        notify = call.request("NOTIFY").replace(
            b"Content-Length: 0\r\n",
            b"Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
            b"Content-Type: message/sipfrag\r\nContent-Length: %d\r\n" % len(fragment),
        )
        call.send(notify + fragment)
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED


async def test_a_cancel_of_somebody_elses_call_is_refused() -> None:
    async with dialog() as call:
        call.send(call.request("CANCEL", from_tag="forged", cseq=1))
        assert await call.phone.final_status() >= 400
        assert call.leg.state is LegState.ANSWERED


async def test_an_invite_sent_once_more_is_no_second_call() -> None:
    async with dialog() as call:
        call.send(invite(call.uri, call.phone.port, GOOD_SDP))
        call.send(call.request("OPTIONS"))
        await call.phone.final_status()
        assert call.arrivals.legs.empty()
        assert call.line.legs == 1


async def test_a_bye_sent_once_more_ends_nothing_else() -> None:
    async with dialog() as call:
        bye = call.request("BYE")
        call.send(bye)
        await event_of(call.leg, LegEnded)
        other = RawPhone()
        try:
            other.send(invite(call.uri, other.port, GOOD_SDP), call.line.settings.port)
            leg = await call.arrivals.next()
            await leg.answer()
            await accepted(other)
            call.send(bye.replace(b"-BYE-2", b"-BYE-again"))
            while await call.phone.final_status() == 200:
                pass  # the answer to the first one
            assert leg.state is not LegState.ENDED
        finally:
            other.socket.close()


async def test_with_srtp_sound_that_is_forged_is_not_heard() -> None:
    async with (
        far_end(srtp="mandatory") as peer,
        open_line(srtp="mandatory") as (line, arrivals, uri),
    ):
        await peer.do("dial", uri=uri)
        leg = await arrivals.next()
        await leg.answer()
        await peer.until("answered")
        ports = rtp_ports_of_this_process(line)
        await peer.do("tone", hz=400, ms=2_000)
        evil = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard: list[bytes] = []
        for number in range(75):
            at = (np.arange(160) + number * 160) / 8_000
            tone = np.rint(12_000 * np.sin(2 * np.pi * 1_000 * at)).astype(np.int16)
            packet = RtpPacket(PCMU, number, number * 160, 7, encoded(tone, PCMU), number == 0)
            for port in ports:
                evil.sendto(packet.encode(), ("127.0.0.1", port))
            if frame := leg.receive_frame():
                heard.append(frame)
            await asyncio.sleep(0.02)
        evil.close()
        samples = np.frombuffer(b"".join(heard), "<i2")
        assert loudest_hz(samples, SAMPLE_RATE_HZ) == pytest.approx(400, abs=15)


def rtp_ports_of_this_process(line: SipLine) -> list[int]:
    """Where an onlooker would send to: every UDP port the line has open for sound."""
    mine = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            mine.add(os.readlink(f"/proc/self/fd/{name}"))
    first, last = line.settings.rtp_ports
    found = []
    with open("/proc/self/net/udp", encoding="ascii") as table:
        for row in table.readlines()[1:]:
            fields = row.split()
            port = int(fields[1].partition(":")[2], 16)
            if first <= port <= last and f"socket:[{fields[9]}]" in mine:
                found.append(port)
    assert found
    return found
