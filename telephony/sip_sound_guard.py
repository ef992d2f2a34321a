"""Keeps sound that somebody else sends out of SIP calls: each call hears its own far end only.

Plain RTP is not signed: whoever sends to the port of a call would be heard. What the two ends
agreed (``sip_offers``) becomes a filter on that call's socket (``udp_filter``), in the kernel. A
caller who turns out to send from elsewhere, as those behind a NAT do, is found by taking the port's
packets for a moment: a socket of ours at that port, bound more closely than the stack's, gets them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from telephony.settings import SipSettings
from telephony.sip_offers import Address, Agreed, Offers
from telephony.sound_source import SourceJudge
from telephony.udp_filter import (
    Source,
    attach,
    drops,
    keep_on_loopback,
    own_udp_socket,
    own_udp_sockets,
    program,
    program_for_answers,
)

log = structlog.get_logger(__name__)

TRACE = "baresip.native.sip"
"""The logger that the stack's messages come by."""
DNS_PORT = 53
LOOK_S = 1.0
MAX_PAUSE_S = 30.0
STREAM_PACKETS = 20
"""So many dropped since the last look are a stream, not a stray."""
_MAX_PACKET_BYTES = 2048


@dataclass(slots=True)
class _Stream:
    """One call's sound."""

    agreed: Agreed
    inode: int
    source: Source | None
    dropped: int = 0
    pause_s: float = LOOK_S
    look_at: float = 0.0
    search: _Search | None = None


def open_sockets() -> set[int]:
    """The UDP sockets of this process that are open on every address, by their inodes."""
    return {
        os.fstat(each.fileno()).st_ino
        for each in own_udp_sockets()
        if ip_address(each.getsockname()[0]).is_unspecified
    }


def keep_for_dns(but: set[int], sip_port: int) -> None:
    """Let only answers of name servers into what the stack has opened on every address besides the
    port it listens on, which are its sockets for them; ``but`` were open before it."""
    for each in own_udp_sockets():
        address, port = each.getsockname()[:2]
        its_own = port != sip_port and os.fstat(each.fileno()).st_ino not in but
        if its_own and ip_address(address).is_unspecified:
            with contextlib.suppress(OSError):
                attach(each, program_for_answers(DNS_PORT))


class SoundGuard:
    """Guards every call of one SIP line. ``read`` is given the stack's messages."""

    def __init__(self, settings: SipSettings) -> None:
        self._to = _own_address(settings.host)
        self._offers = Offers()
        self._lost_told_at = 1
        self._streams: dict[int, _Stream] = {}
        self._task: asyncio.Task[None] | None = None
        self._handler: _Trace | None = None

    def start(self) -> None:
        """Listen to the stack's messages, whose trace has to be on."""
        self._handler = _Trace(asyncio.get_running_loop(), self.read)
        trace = logging.getLogger(TRACE)
        trace.propagate = False  # They hold callers' numbers.
        trace.setLevel(logging.DEBUG)
        trace.addHandler(self._handler)
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Leave the sockets as they are; they are about to be closed."""
        if self._handler is not None:
            logging.getLogger(TRACE).removeHandler(self._handler)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for stream in self._streams.values():
            _end(stream)
        self._streams.clear()

    def read(self, message: str) -> None:
        """Take a message; what it settles holds from now on."""
        agreed = self._offers.read(message)
        if self._offers.lost >= self._lost_told_at:
            log.warning("sip_offers_flooded", lost=self._offers.lost)
            self._lost_told_at = 2 * self._offers.lost
        if agreed is None:
            return
        port = agreed.ours.port
        old = self._streams.get(port)
        tells_more = old is None or (agreed.theirs.port and old.agreed != agreed)
        if old is not None and not tells_more and self._is_present(port, old):
            return
        if old is not None:
            _end(old)
        try:
            self._guard(port, agreed)
        except OSError as error:
            log.warning("sip_sound_not_guarded", error=error.strerror)

    @staticmethod
    def _is_present(port: int, stream: _Stream) -> bool:
        """The stream's socket is still the one at its port: no later call has it."""
        with own_udp_socket(port) as ours:
            return ours is not None and os.fstat(ours.fileno()).st_ino == stream.inode

    def _guard(self, port: int, agreed: Agreed) -> None:
        with own_udp_socket(port) as ours, own_udp_socket(port + 1) as control:
            if ours is None:
                self._streams.pop(port, None)
                return
            stream = _Stream(agreed, os.fstat(ours.fileno()).st_ino, None)
            stream.look_at = asyncio.get_running_loop().time() + LOOK_S
            self._streams[port] = stream
            hosts = frozenset(Source(host) for host in agreed.hosts)
            if control is not None:
                attach(control, program(hosts, self._to))
            if not agreed.behind_nat:
                stream.source = Source(agreed.theirs.address, agreed.theirs.port)
            attach(ours, program(frozenset({stream.source}) if stream.source else hosts, self._to))
            if self._to is not None and self._to.is_loopback:
                for each in filter(None, (ours, control)):
                    with contextlib.suppress(OSError):  # Then the filter alone keeps others out.
                        keep_on_loopback(each)
            stream.dropped = drops().get(stream.inode, 0)
            if stream.source is None:
                self._search(port, stream)

    # --- callers who send from elsewhere ----------------------------------------------------------

    async def _look(self) -> None:
        """See now and then whose packets are dropped, and which calls are over."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._streams:
                continue
            counted = drops()
            for port, stream in list(self._streams.items()):
                if stream.inode not in counted:
                    _end(stream)
                    del self._streams[port]
                    continue
                if stream.search is not None or loop.time() < stream.look_at:
                    continue
                new = counted[stream.inode] - stream.dropped
                stream.dropped = counted[stream.inode]
                if new >= STREAM_PACKETS:
                    # Whoever goes on forging costs the caller a packet now and then, no more.
                    stream.pause_s = min(2 * stream.pause_s, MAX_PAUSE_S)
                    with contextlib.suppress(OSError):
                        self._search(port, stream)
                stream.look_at = loop.time() + stream.pause_s

    def _search(self, port: int, stream: _Stream) -> None:
        def found(source: Source) -> None:
            _end(stream)
            if source != stream.source:
                stream.source = source
                log.info(
                    "sip_sound_source_learnt", pii={"source": f"{source.address}:{source.port}"}
                )
            with own_udp_socket(port) as ours:
                if ours is not None:
                    attach(ours, program(frozenset({source}), self._to))
            stream.dropped = drops().get(stream.inode, 0)

        _end(stream)
        stream.search = _Search(stream.agreed, stream.source, found)


class _Search:
    """Takes a port's packets in the stack's place until it is clear whose they are."""

    def __init__(
        self, agreed: Agreed, known: Source | None, found: Callable[[Source], None]
    ) -> None:
        self._judge = SourceJudge(agreed, known)
        self._found = found
        address, port = agreed.ours.address, agreed.ours.port
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            attach(self._socket, program(frozenset(Source(host) for host in agreed.hosts)))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with own_udp_socket(port) as stacks:
                if stacks is not None:
                    # Asked at the moment of binding only: nobody else is to share the port.
                    stacks.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        self._socket.bind((str(address), port))
                    finally:
                        stacks.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError:
            self._socket.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._arrived)

    def _arrived(self) -> None:
        with contextlib.suppress(BlockingIOError):
            packet, where = self._socket.recvfrom(_MAX_PACKET_BYTES)
            source = self._judge.heard(packet, ip_address(where[0]), where[1])
            if source is not None:
                self._found(source)

    def end(self) -> None:
        """Give the port's packets back to the stack."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()


class _Trace(logging.Handler):
    """Hands messages that name sound to the loop; runs in the stack's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, read: Callable[[str], None]) -> None:
        super().__init__()
        self._loop = loop
        self._read = read

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "m=audio" in message:
            with contextlib.suppress(RuntimeError):  # The loop is closed already.
                self._loop.call_soon_threadsafe(self._read, message)


def _end(stream: _Stream) -> None:
    if stream.search is not None:
        stream.search.end()
        stream.search = None


def _own_address(host: str) -> Address | None:
    """The address packets have to be sent to; None when the line listens on all of them."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if address.is_unspecified else address
