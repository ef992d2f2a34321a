"""Sound that somebody else sends into a call: forged, or sent once more."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
from collections.abc import Callable

import numpy as np
import pytest
from pylibsrtp import Policy, Session

from evals.latency.rtp import PCMU, RtpPacket, encoded
from telephony.call import Leg
from telephony.media_stream import SAMPLE_RATE_HZ
from telephony.settings import SipSettings
from telephony.sip import SipLine
from telephony.sip_sound_guard import SoundGuard, open_sockets
from telephony.udp_filter import drops, own_udp_socket, own_udp_sockets
from tests.telephony.raw_dialog import dialog
from tests.telephony.sip_peer import loudest_hz
from tests.telephony.sip_stage import far_end, open_line
from tests.telephony.test_sip_bad_input import GOOD_SDP

pytestmark = pytest.mark.loopback

GOOD_PORT = 49_170  # in GOOD_SDP
SO_BINDTODEVICE = 25


def udp_socket(port: int = 0) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind(("127.0.0.1", port))
    return opened


async def test_a_call_at_the_same_two_ports_as_an_earlier_one_is_guarded_too() -> None:
    guard = SoundGuard(SipSettings(host="127.0.0.1"))
    with udp_socket() as phone, udp_socket() as stranger:
        port = 0
        for number in range(2):
            with udp_socket(port) as ours:
                port = ours.getsockname()[1]
                for way, first, at in (
                    ("RX", "INVITE sip:a@127.0.0.1 SIP/2.0", phone.getsockname()[1]),
                    ("TX", "SIP/2.0 200 OK", port),
                ):
                    guard.read(
                        f"{way} UDP 127.0.0.1:5 -> 127.0.0.1:5\n{first}\r\n"
                        f"Via: SIP/2.0/UDP 127.0.0.1:5;branch=z9hG4bK{number}\r\n"
                        f"CSeq: 1 INVITE\r\n\r\nv=0\r\nc=IN IP4 127.0.0.1\r\n"
                        f"m=audio {at} RTP/AVP 0\r\n"
                    )
                stranger.sendto(b"forged", ours.getsockname())
                phone.sendto(b"theirs", ours.getsockname())
                assert ours.recv(100) == b"theirs"
                with pytest.raises(BlockingIOError):
                    ours.recv(100)
    await guard.stop()


class Sender:
    """Somebody who sends a tone as RTP, as loud as any caller, from a socket of their own."""

    def __init__(
        self,
        hz: float,
        ssrc: int = 7,
        host: str = "127.0.0.1",
        port: int = 0,
        protect: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = int(self.socket.getsockname()[1])
        self._hz, self._ssrc, self._number = hz, ssrc, 0
        self._protect = protect
        self._sent: list[bytes] = []

    def send(self, ports: list[int]) -> None:
        """The next 20 ms, to each of these ports."""
        number = self._number
        self._number += 1
        if number >= len(self._sent):
            self._sent.append(self._packet(number))
        for port in ports:
            self.socket.sendto(self._sent[number], ("127.0.0.1", port))

    def repeat(self) -> None:
        """Send from now on what was sent already, from the beginning."""
        self._number = 0

    def _packet(self, number: int) -> bytes:
        at = (np.arange(160) + number * 160) / 8_000
        samples = np.rint(12_000 * np.sin(2 * np.pi * self._hz * at)).astype(np.int16)
        packet = RtpPacket(PCMU, number, number * 160, self._ssrc, encoded(samples, PCMU), False)
        return self._protect(packet.encode())


async def heard_by(leg: Leg, ports: list[int], senders: list[Sender], ms: int) -> list[bytes]:
    """What a leg hears while all of these send."""
    heard = []
    for _ in range(ms // 20):
        for sender in senders:
            sender.send(ports)
        if frame := leg.receive_frame():
            heard.append(frame)
        await asyncio.sleep(0.02)
    return heard


def hz_of(frames: list[bytes]) -> float:
    return loudest_hz(np.frombuffer(b"".join(frames), "<i2"), SAMPLE_RATE_HZ)


@pytest.mark.parametrize("srtp", ["off", "mandatory"])
async def test_sound_that_is_forged_is_not_heard(srtp: str) -> None:
    async with far_end(srtp=srtp) as peer, open_line(srtp=srtp) as (line, arrivals, uri):
        await peer.do("dial", uri=uri)
        leg = await arrivals.next()
        await leg.answer()
        await peer.until("answered")
        ports = rtp_ports_of_this_process(line)
        await peer.do("tone", hz=400, ms=6_000)
        heard = await heard_by(leg, ports, [Sender(1_000)], 5_000)
        assert hz_of(heard) == pytest.approx(400, abs=15)
        assert len(heard) > 200, "and the caller loses next to nothing by it"


async def test_sound_that_is_sent_once_more_is_not_heard() -> None:
    """Encrypted packets of the caller's own, taken down on the way and played back later."""
    key = bytes(range(30))
    offer = (
        GOOD_SDP.replace("RTP/AVP", "RTP/SAVP")
        + f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(key).decode()}\r\n"
    )
    policy = Policy(
        key=key,
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    )
    async with dialog(offer, srtp="mandatory") as call:
        caller = Sender(400, port=GOOD_PORT, protect=Session(policy).protect)
        ports = rtp_ports_of_this_process(call.line)
        assert hz_of(await heard_by(call.leg, ports, [caller], 1_000)) == pytest.approx(400, abs=15)
        while call.leg.receive_frame():
            pass
        caller.repeat()
        assert await heard_by(call.leg, ports, [caller], 1_000) == []


async def test_a_caller_behind_a_nat_is_heard_and_nobody_after_them() -> None:
    other_address = GOOD_SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 127.9.9.9")
    async with dialog(other_address) as call:
        ports = rtp_ports_of_this_process(call.line)
        caller, forger = Sender(400, ssrc=1), Sender(1_000, ssrc=2)
        heard = await heard_by(call.leg, ports, [caller], 1_000)
        assert hz_of(heard) == pytest.approx(400, abs=15)
        heard = await heard_by(call.leg, ports, [caller, forger], 3_000)
        assert hz_of(heard) == pytest.approx(400, abs=15)
        assert len(heard) > 100


async def test_a_caller_whose_port_was_changed_on_the_way_is_found() -> None:
    async with dialog() as call:
        ports = rtp_ports_of_this_process(call.line)
        heard = await heard_by(call.leg, ports, [Sender(400)], 4_000)
        assert len(heard) > 50
        assert hz_of(heard) == pytest.approx(400, abs=15)


async def test_sound_from_an_address_the_call_does_not_know_is_never_heard() -> None:
    async with dialog() as call:
        ports = rtp_ports_of_this_process(call.line)
        forger = Sender(1_000, host="127.0.0.2")
        assert await heard_by(call.leg, ports, [forger], 3_000) == []


async def test_whoever_wants_so_hears_sound_from_anywhere() -> None:
    async with dialog(rtp_source="any") as call:
        ports = rtp_ports_of_this_process(call.line)
        heard = await heard_by(call.leg, ports, [Sender(1_000)], 1_000)
        assert hz_of(heard) == pytest.approx(1_000, abs=15)


async def test_an_offer_of_a_forger_moves_no_sound() -> None:
    """It is traced like any other, but the stack refuses it."""
    async with dialog() as call:
        ports = rtp_ports_of_this_process(call.line)
        forger = Sender(1_000)
        offer = GOOD_SDP.replace("49170", str(forger.port))
        for tags in ({"from_tag": "forged"}, {"to_tag": "forged"}):
            call.send(call.request("INVITE", body=offer, **tags))
            assert await call.phone.final_status() >= 400
        caller = Sender(400, port=GOOD_PORT)
        heard = await heard_by(call.leg, ports, [caller, forger], 2_000)
        assert hz_of(heard) == pytest.approx(400, abs=15)


async def test_sound_stays_on_loopback_while_the_line_listens_there() -> None:
    async with dialog() as call:
        async with asyncio.timeout(10):
            while bound_to_loopback(call.line) < 2:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.02)


async def test_what_the_stack_opens_for_names_hears_name_servers_only() -> None:
    before = open_sockets()
    async with open_line():
        opened = {
            handle.getsockname()[1]: os.fstat(handle.fileno()).st_ino
            for handle in own_udp_sockets()
            if os.fstat(handle.fileno()).st_ino in open_sockets() - before
        }
        assert opened, "the stack opens none any more: the filter can go"
        Sender(1_000).send(list(opened))
        assert all(drops()[inode] for inode in opened.values())


def bound_to_loopback(line: SipLine) -> int:
    """How many of the sockets for sound no other interface can reach."""
    count = 0
    for port in rtp_ports_of_this_process(line):
        with own_udp_socket(port) as found:
            assert found is not None
            count += found.getsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, 16) == b"lo\0"
    return count


def rtp_ports_of_this_process(line: SipLine) -> list[int]:
    """Where an onlooker would send to: every UDP port the line has open for sound."""
    mine = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            mine.add(os.readlink(f"/proc/self/fd/{name}"))
    first, last = line.settings.rtp_ports
    found = set()
    with open("/proc/self/net/udp", encoding="ascii") as table:
        for row in table.readlines()[1:]:
            fields = row.split()
            port = int(fields[1].partition(":")[2], 16)
            if first <= port <= last and f"socket:[{fields[9]}]" in mine:
                found.add(port)
    assert found
    return sorted(found)
