"""A telephone that refuses every call with one SIP status: what the stack's own cannot answer
(603 declined, 480 unavailable). UDP only, no state: RFC 3261 section 8.2.6, answers to INVITE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

PHRASES = {480: "Temporarily Unavailable", 486: "Busy Here", 503: "Unavailable", 603: "Decline"}
_COPIED = ("via", "v", "from", "f", "to", "t", "call-id", "i", "cseq")


def refusal(request: bytes, status: int) -> bytes | None:
    """The answer to an INVITE (or, with 200, to a CANCEL or OPTIONS); ``None`` to all else."""
    head = request.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
    method = head[0].partition(" ")[0]
    if method == "INVITE":
        line = f"SIP/2.0 {status} {PHRASES.get(status, 'Refused')}"
    elif method in ("CANCEL", "OPTIONS"):
        line = "SIP/2.0 200 OK"
    else:
        return None
    copied = [text for text in head[1:] if text.partition(":")[0].strip().lower() in _COPIED]
    tagged = [
        f"{text};tag=refused"
        if text.partition(":")[0].strip().lower() in ("to", "t") and ";tag=" not in text
        else text
        for text in copied
    ]
    return "\r\n".join([line, *tagged, "Content-Length: 0", "", ""]).encode()


class RefusingLine(asyncio.DatagramProtocol):
    """``heard`` is told of every call refused."""

    def __init__(self, status: int, heard: Callable[[], None] = lambda: None) -> None:
        self._status = status
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport is none by its type (Python 3.11).
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = refusal(data, self._status)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
            if data.startswith(b"INVITE"):
                self._heard()


async def refuse_calls(
    host: str, port: int, status: int, heard: Callable[[], None] = lambda: None
) -> tuple[asyncio.DatagramTransport, int]:
    """Open the line; the transport to close and the port it has (``port`` 0: any).

    Raises:
        OSError: the port is in use.
    """
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: RefusingLine(status, heard), local_addr=(host, port)
    )
    return transport, int(transport.get_extra_info("sockname")[1])
