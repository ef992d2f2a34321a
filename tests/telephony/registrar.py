"""A SIP registrar over UDP with digest authentication (RFC 3261 section 22.4), for one user."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import cast

REALM = "trunk.test"
NONCE = "0a1b2c3d"


def headers_of(message: str) -> dict[str, str]:
    lines = message.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return {
        name.strip().lower(): rest.strip() for name, _, rest in (x.partition(":") for x in lines)
    }


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Registrar(asyncio.DatagramProtocol):
    """``bindings`` holds the Contact of whoever is registered; ``refusals`` answers so many
    requests with 503 first; ``attempts`` counts credentials that were wrong."""

    def __init__(self, user: str, password: str, refusals: int = 0) -> None:
        self.user, self.password, self.refusals = user, password, refusals
        self.bindings: dict[str, str] = {}
        self.wrong = 0
        self.changed = asyncio.Event()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = data.decode()
        if not message.startswith("REGISTER "):
            return
        sent = headers_of(message)
        if self.refusals:
            self.refusals -= 1
            self.answer(sent, addr, "503 Service Unavailable")
        elif "authorization" not in sent:
            self.challenge(sent, addr)
        elif not self.valid(sent["authorization"]):
            self.wrong += 1
            self.changed.set()
            self.answer(sent, addr, "403 Forbidden")
        else:
            expires = sent.get("expires", "") or "300"
            contact = sent.get("contact", "")
            if expires == "0" or "expires=0" in contact:
                self.bindings.pop(self.user, None)
            else:
                self.bindings[self.user] = contact
            self.changed.set()
            granted = f"Contact: {contact.partition(';expires')[0]};expires={expires}"
            self.answer(sent, addr, "200 OK", granted)

    def challenge(self, sent: dict[str, str], addr: tuple[str, int]) -> None:
        digest = f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5'
        self.answer(sent, addr, "401 Unauthorized", digest)

    def valid(self, authorization: str) -> bool:
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization))
        secret = md5(f"{self.user}:{REALM}:{self.password}")
        wanted = md5(f"{secret}:{NONCE}:{md5('REGISTER:' + given.get('uri', ''))}")
        return given.get("username") == self.user and given.get("response") == wanted

    def answer(self, sent: dict[str, str], addr: tuple[str, int], status: str, *more: str) -> None:
        lines = [
            f"SIP/2.0 {status}",
            f"Via: {sent['via']}",
            f"From: {sent['from']}",
            f"To: {sent['to']};tag=registrar",
            f"Call-ID: {sent['call-id']}",
            f"CSeq: {sent['cseq']}",
            *more,
            "Content-Length: 0",
        ]
        self.transport.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), addr)


async def open_registrar(user: str, password: str, refusals: int = 0) -> tuple[Registrar, int]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Registrar(user, password, refusals), local_addr=("127.0.0.1", 0)
    )
    return protocol, int(transport.get_extra_info("sockname")[1])
