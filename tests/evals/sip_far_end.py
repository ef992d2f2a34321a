"""A far end of SIP calls that does as a test tells it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from evals.latency.rtp import PCMU
from evals.latency.sip_messages import (
    SipMessage,
    address,
    describe,
    read_description,
    read_message,
)
from tests.telephony.sip_stage import PATIENCE_S


class FarEnd(asyncio.DatagramProtocol):
    """Answers each request as it is told to: with messages that ``script`` makes of it."""

    def __init__(self, script: Callable[[SipMessage, FarEnd], list[bytes]]) -> None:
        self.seen: list[str] = []
        self.invites: list[SipMessage] = []
        self.script = script
        self.transport: Any = None
        self.caller: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    async def until(self, method: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.seen.count(method) < times:  # noqa: ASYNC110
                await asyncio.sleep(0)

    def play(self, packet: bytes) -> None:
        """Send it to where the caller wants to hear."""
        self.transport.sendto(packet, (self.caller[0], read_description(self.invites[0].body).port))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = read_message(data)
        if message is None:
            return
        self.caller = addr
        self.seen.append(message.method or f"{message.status}")
        if message.method == "INVITE":
            self.invites.append(message)
        for answer in self.script(message, self):
            self.transport.sendto(answer, addr)


def answer(request: SipMessage, status: str, body: bytes = b"") -> bytes:
    names = ("Via", "From", "To", "Call-ID", "CSeq")
    headers = [(name, request.get(name)) for name in names]
    headers = [(k, f"{v};tag=far" if k == "To" and "tag=" not in v else v) for k, v in headers]
    headers += [("Contact", address(request.get("To")))]
    return SipMessage(f"SIP/2.0 {status}", headers, body).encode()


@contextlib.asynccontextmanager
async def far_end(
    script: Callable[[SipMessage, FarEnd], list[bytes]],
) -> AsyncIterator[tuple[FarEnd, str]]:
    loop = asyncio.get_running_loop()
    transport, party = await loop.create_datagram_endpoint(
        lambda: FarEnd(script), local_addr=("127.0.0.1", 0)
    )
    try:
        yield party, f"sip:far@127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


MEDIA = describe("127.0.0.1", 9, "sendrecv", 1, (PCMU,))


def takes(request: SipMessage, _: FarEnd) -> list[bytes]:
    if request.method == "INVITE":
        return [answer(request, "180 Ringing"), answer(request, "200 OK", MEDIA)]
    return [answer(request, "200 OK")] if request.method == "BYE" else []
