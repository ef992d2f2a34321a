"""The least telephone that can measure a line: one SIP call over UDP, tone or silence, no buffer.

It sends an RTP packet every 20 ms by an absolute schedule (RFC 3550, PCMU) and notes when each of
the far end's packets reached this machine, by the kernel's own time stamp, so that neither a jitter
buffer nor a late turn of this process is part of what it measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

PACKET_S = 0.02
PACKET_SAMPLES = 160
LOUD_LEVEL = 500
TONE_HZ = 400
"""A whole number of periods a packet."""
_RTP = struct.Struct("!BBHII")
_PCMU = 0
_SILENT_PACKET = b"\xff" * PACKET_SAMPLES
_SO_TIMESTAMPNS = 35
"""Linux; Python's ``socket`` does not name it."""
_TIMESPEC = struct.Struct("@qq")
_ANSWER_TIMEOUT_S = 10.0


class PhoneError(Exception):
    """The call could not be made; the message says why."""

    code = "call_failed"
    retryable = True


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet that was sent or received. ``at_s``: seconds since 1970."""

    at_s: float
    loud: bool


def levels() -> np.ndarray:
    """The amplitude of each of the 256 codes of G.711 µ-law, at 16 bits."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 7
    return (((code & 15).astype(np.int32) * 8 + 132) << exponent) - 132


_LEVELS = levels()


def is_loud(payload: bytes) -> bool:
    """Whether a packet of µ-law has a tone, or the beginning of one, in it."""
    return bool(payload) and int(_LEVELS[np.frombuffer(payload, np.uint8)].max()) >= LOUD_LEVEL


def tone_packet() -> bytes:
    """20 ms of a tone at about -12 dBFS, in µ-law; any number of them in a row have no click."""
    wave = 8_000 * np.sin(2 * np.pi * TONE_HZ * np.arange(PACKET_SAMPLES) / 8_000)
    nearest = np.abs(_LEVELS[128:, None] - np.abs(wave)).argmin(axis=0).astype(np.uint8)
    return (nearest + np.where(wave < 0, 0, 128).astype(np.uint8)).tobytes()


def media_address(answer: str) -> tuple[str, int]:
    """Where the far end wants its RTP, from the SDP of its answer.

    Raises:
        PhoneError: there is no audio in it.
    """
    host = re.search(r"^c=IN IP4 (\S+)", answer, re.MULTILINE)
    port = re.search(r"^m=audio (\d+) ", answer, re.MULTILINE)
    if host is None or port is None or port[1] == "0":
        raise PhoneError("the far end answered without audio")
    return host[1], int(port[1])


class Phone:
    """One call. An async context: entering it dials, leaving it hangs up."""

    def __init__(self, host: str, port: int, user: str = "agent") -> None:
        self._far_end = (host, port)
        self._uri = f"sip:{user}@{host}:{port}"
        self.sent: list[Packet] = []
        self.received: list[Packet] = []
        self._tone_packets = 0
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for each in (self._sip, self._rtp):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        self._rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._call_id = secrets.token_hex(8)
        self._tag = secrets.token_hex(4)
        self._to = f"<{self._uri}>"
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """
        Raises:
            PhoneError: refused, or not answered in time.
        """
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                media = media_address(await self._invite())
        except TimeoutError:
            self._close()
            raise PhoneError("the far end did not answer") from None
        except PhoneError:
            self._close()
            raise
        asyncio.get_running_loop().add_reader(self._rtp, self._receive)
        self._sender = asyncio.create_task(self._send(media))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})
        self._request("BYE", 2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._response("BYE")
        self._close()

    def burst(self, ms: int) -> None:
        """Send so much tone from the next packet on."""
        self._tone_packets = ms // 20

    async def heard(self, loud: bool, packets: int, timeout_s: float) -> bool:
        """Wait until the last so many packets were all loud, or all silent; False on timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    last = self.received[-packets:]
                    if len(last) == packets and all(packet.loud is loud for packet in last):
                        return True
                    await asyncio.sleep(PACKET_S / 2)
        return False

    async def _send(self, media: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        tone = tone_packet()
        number, due_s, source = secrets.randbelow(1 << 15), loop.time(), secrets.randbits(32)
        while True:
            loud = self._tone_packets > 0
            self._tone_packets = max(0, self._tone_packets - 1)
            head = _RTP.pack(0x80, _PCMU, number & 0xFFFF, number * PACKET_SAMPLES, source)
            with contextlib.suppress(BlockingIOError):
                self._rtp.sendto(head + (tone if loud else _SILENT_PACKET), media)
            self.sent.append(Packet(time.time(), loud))
            number += 1
            due_s += PACKET_S
            await asyncio.sleep(max(0.0, due_s - loop.time()))

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                data, notes, _, _ = self._rtp.recvmsg(2_048, 256)
                at_s = time.time()
                for level, kind, stamp in notes:
                    if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                        seconds, nanoseconds = _TIMESPEC.unpack(stamp[: _TIMESPEC.size])
                        at_s = seconds + nanoseconds / 1e9
                if len(data) > _RTP.size and data[1] & 0x7F == _PCMU:
                    self.received.append(Packet(at_s, is_loud(data[_RTP.size :])))

    # --- SIP (RFC 3261): no authentication, no proxies, one repetition a half second ------------

    async def _invite(self) -> str:
        host, port = self._rtp.getsockname()
        offer = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )
        self._request("INVITE", 1, offer)
        while True:
            status, text = await self._response("INVITE")
            if status < 200:
                continue
            if found := re.search(r"^To:\s*(.+?)\r", text, re.MULTILINE | re.IGNORECASE):
                self._to = found[1]
            self._request("ACK", 1)
            if status >= 300:
                raise PhoneError(f"the far end refused the call ({status})")
            return text.partition("\r\n\r\n")[2]

    def _request(self, method: str, number: int, body: str = "") -> None:
        host, port = self._sip.getsockname()
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} {self._uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(6)};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:probe@{host}:{port}>;tag={self._tag}\r\n"
            f"To: {self._to}\r\nCall-ID: {self._call_id}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:probe@{host}:{port}>\r\n{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self._sip.sendto(text.encode(), self._far_end)

    async def _response(self, method: str) -> tuple[int, str]:
        """The next response to a request of this method: its status and all of its text."""
        loop = asyncio.get_running_loop()
        while True:
            text = (await loop.sock_recv(self._sip, 65_535)).decode(errors="replace")
            status = re.match(r"SIP/2\.0 (\d{3}) ", text)
            if status and re.search(rf"^CSeq:\s*\d+ {method}\r", text, re.MULTILINE):
                return int(status[1]), text

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._rtp)
        self._sip.close()
        self._rtp.close()
