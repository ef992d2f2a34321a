"""A call whose far end is a socket: every byte of its signalling is the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from telephony.call import Leg, LegAnswered
from telephony.sip import SipLine
from tests.telephony.sip_stage import Arrivals, event_of, open_line
from tests.telephony.test_sip_bad_input import GOOD_SDP, RawPhone, invite


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
        self,
        method: str,
        *,
        from_tag: str = "a1",
        to_tag: str = "",
        cseq: int = 2,
        body: str = "",
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
            f"Contact: <sip:rough@127.0.0.1:{port}>\r\n"
            + ("Content-Type: application/sdp\r\n" if body else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def send(self, data: bytes) -> None:
        self.phone.send(data, self.line.settings.port)


@contextlib.asynccontextmanager
async def dialog(sdp: str = GOOD_SDP, **options: Any) -> AsyncIterator[Dialog]:
    phone = RawPhone()
    try:
        async with open_line(**options) as (line, arrivals, uri):
            phone.send(invite(uri, phone.port, sdp), line.settings.port)
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
