"""Sockets of a telephone, and when the kernel saw a datagram come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time

from evals.wire_call import CallError

MAX_DATAGRAM_BYTES = 2_048
MAX_WAIT_S = 5.0
"""No datagram waits so long for its reader; a longer wait is a clock that was set."""
_SO_TIMESTAMPNS = 35
"""Linux; Python's ``socket`` does not name it."""
_TIMESPEC = struct.Struct("@qq")


def datagram(place: socket.socket) -> tuple[bytes, float] | None:
    """The next datagram and when it came (monotonic clock); ``None`` when there is no more."""
    try:
        data, extra, _, _ = place.recvmsg(MAX_DATAGRAM_BYTES, 64)
    except OSError:
        return None
    now_s = time.monotonic()
    for level, kind, value in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(value)
            waited_s = time.time() - seconds - nanoseconds / 1e9
            # A clock that was set meanwhile would say something impossible.
            return data, now_s - waited_s if 0 <= waited_s < MAX_WAIT_S else now_s
    return data, now_s


def discard(place: socket.socket) -> None:
    """Read a datagram that nobody wants."""
    with contextlib.suppress(OSError):
        place.recv(MAX_DATAGRAM_BYTES)


def port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Sockets for RTP, on an even port, and RTCP above it (RFC 3550, section 11).

    Raises:
        CallError: there is no free pair.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        with contextlib.ExitStack() as opened:
            rtp = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            rtcp = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            try:
                rtp.bind((host, 0))
                port = rtp.getsockname()[1]
                if port % 2:
                    continue
                rtcp.bind((host, port + 1))
            except (OSError, OverflowError):
                continue
            for place in (rtp, rtcp):
                place.setblocking(False)
            if sys.platform == "linux":
                rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            opened.pop_all()
            return rtp, rtcp
    raise CallError("no free pair of ports was found")


def local_address(far_end: tuple[str, int]) -> str:
    """Our own address as somebody there sees it.

    Raises:
        CallError: no network leads there.
    """
    family = socket.AF_INET6 if ":" in far_end[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(far_end)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise CallError(f"there is no way to {far_end[0]}") from error


async def resolved(host: str, port: int) -> tuple[str, int]:
    """The address of a host's name.

    Raises:
        CallError: it has none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise CallError(f"there is no way to {host}") from error
    return str(found[0][4][0]), port
