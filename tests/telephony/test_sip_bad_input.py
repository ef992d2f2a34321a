"""What a SIP line makes of far ends that are broken or mean harm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from telephony.call import LegEnded
from tests.telephony.sip_stage import Arrivals, event_of, far_end, open_line

pytestmark = pytest.mark.loopback

GOOD_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
NO_COMMON_CODEC = GOOD_SDP.replace("AVP 0", "AVP 97").replace("0 PCMU/8000", "97 EVRC/8000")
ONLY_VIDEO = GOOD_SDP.replace("m=audio", "m=video").replace("0 PCMU/8000", "0 H264/90000")
BROKEN = {
    "no sdp at all": "",
    "not sdp": "hello, this is no session description",
    "binary": "\x00\x01\x02\x03" * 50,
    "no media": GOOD_SDP.partition("m=")[0],
    "port out of range": GOOD_SDP.replace("49170", "999999"),
    "bad address": GOOD_SDP.replace("127.0.0.1", "999.1.1.1"),
    "endless line": GOOD_SDP + "a=" + "x" * 20_000 + "\r\n",
    "many media": GOOD_SDP + "m=audio 49170 RTP/AVP 0\r\n" * 200,
    "no line ends": GOOD_SDP.replace("\r\n", " "),
}


def invite(uri: str, port: int, sdp: str, number: int = 1) -> bytes:
    body = sdp.encode()
    head = (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{port}-{number}"
        f"\r\nMax-Forwards: 70\r\nFrom: <sip:rough@127.0.0.1:{port}>;tag=a{number}\r\n"
        f"To: <{uri}>\r\nCall-ID: rough-{port}-{number}\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:rough@127.0.0.1:{port}>\r\nContent-Type: application/sdp\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class RawPhone:
    """Sends what it likes over UDP and reads the answers."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = int(self.socket.getsockname()[1])

    def send(self, data: bytes, to_port: int) -> None:
        self.socket.sendto(data, ("127.0.0.1", to_port))

    async def final_status(self) -> int:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            while True:
                answer = await loop.sock_recv(self.socket, 65_535)
                if answer.startswith(b"SIP/2.0 ") and int(answer[8:11]) >= 200:
                    return int(answer[8:11])


@pytest.fixture
def phone() -> Iterator[RawPhone]:
    raw = RawPhone()
    yield raw
    raw.socket.close()


@contextlib.asynccontextmanager
async def answering(arrivals: Arrivals) -> AsyncIterator[list[object]]:
    """Answer whatever comes; the legs that came."""
    legs: list[object] = []

    async def run() -> None:
        while True:
            leg = await arrivals.legs.get()
            legs.append(leg)
            await leg.answer()

    task = asyncio.create_task(run())
    try:
        yield legs
    finally:
        task.cancel()
        await asyncio.wait({task})


async def still_takes_calls(uri: str, arrivals: Arrivals) -> None:
    async with answering(arrivals), far_end() as peer:
        await peer.do("dial", uri=uri)
        await peer.until("answered")


@pytest.mark.parametrize("sdp", [NO_COMMON_CODEC, ONLY_VIDEO], ids=["codec", "video"])
async def test_an_offer_without_a_common_codec_is_answered_488(phone: RawPhone, sdp: str) -> None:
    async with open_line() as (line, arrivals, uri):
        async with answering(arrivals):
            phone.send(invite(uri, phone.port, sdp), line.settings.port)
            assert await phone.final_status() == 488
        await still_takes_calls(uri, arrivals)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_offer_neither_kills_nor_leaks_a_leg(phone: RawPhone, name: str) -> None:
    async with open_line() as (line, arrivals, uri):
        async with answering(arrivals) as legs:
            phone.send(invite(uri, phone.port, BROKEN[name]), line.settings.port)
            await phone.final_status()
            for leg in list(legs):
                await leg.hang_up("tested")  # type: ignore[attr-defined]
                await event_of(leg, LegEnded)  # type: ignore[arg-type]
        assert line.legs == 0
        await still_takes_calls(uri, arrivals)


async def test_garbage_on_the_port_is_ignored(phone: RawPhone) -> None:
    async with open_line() as (line, arrivals, uri):
        port = line.settings.port
        for data in (b"", b"\r\n\r\n", b"INVITE", b"\xff" * 1_400, os.urandom(60_000)):
            phone.send(data, port)
        phone.send(invite(uri, phone.port, GOOD_SDP).replace(b"Via:", b"Vai:"), port)
        phone.send(
            invite(uri, phone.port, GOOD_SDP).replace(b"Content-Length: ", b"Content-Length: 9"),
            port,
        )
        await still_takes_calls(uri, arrivals)


async def test_two_calls_with_one_call_id_are_two_legs(phone: RawPhone) -> None:
    async with open_line() as (line, arrivals, uri):
        first = invite(uri, phone.port, GOOD_SDP)
        second = first.replace(b"branch=z9hG4bK", b"branch=z9hG4bK2").replace(b"tag=a1", b"tag=b2")
        phone.send(first, line.settings.port)
        one = await arrivals.next()
        phone.send(second, line.settings.port)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                other = await arrivals.legs.get()
                assert other.leg_id != one.leg_id
