"""Which packets a UDP socket of this process gets at all: the kernel drops the others.

The SIP stack opens its sockets for sound itself, on every address of the machine, and takes what
comes from anywhere. A filter (Linux's classic BPF, ``SO_ATTACH_FILTER``: no privilege needed) is
put on them from outside: it sees the packet from its UDP header on, and the IP header before it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from telephony.sip_offers import Address

_SO_ATTACH_FILTER = 26
_SO_BINDTODEVICE = 25
_NETWORK = 0x1_0000_0000 - 0x10_0000  # SKF_NET_OFF: what follows counts from the IP header
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _SHIFT, _EQUALS, _RETURN = 0x20, 0x28, 0x30, 0x74, 0x15, 0x06
_ALL, _NOTHING = 0xFFFF_FFFF, 0
_SOURCE = {4: 12, 6: 8}
_DESTINATION = {4: 16, 6: 24}

Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, operand."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who may send: one address, on one port or on any."""

    address: Address
    port: int | None = None


def program(sources: frozenset[Source], to: Address | None = None) -> list[Instruction]:
    """The filter that lets only ``sources`` pass, and only packets sent to ``to`` if given."""
    rules = [
        _rule(source, to)
        for source in sorted(sources, key=str)
        if to is None or to.version == source.address.version
    ]
    return [step for rule in rules for step in rule] + [(_RETURN, 0, 0, _NOTHING)]


def program_for_answers(port: int) -> list[Instruction]:
    """The filter that lets only packets from one port pass, from any address."""
    return [
        (_LOAD_HALF, 0, 0, 0),
        (_EQUALS, 0, 1, port),
        (_RETURN, 0, 0, _ALL),
        (_RETURN, 0, 0, _NOTHING),
    ]


def _rule(source: Source, to: Address | None) -> list[Instruction]:
    """Let it pass if it is from there, else go on behind this rule."""
    version = source.address.version
    tests: list[tuple[list[Instruction], int]] = [
        ([(_LOAD_BYTE, 0, 0, _NETWORK), (_SHIFT, 0, 0, 4)], version)
    ]
    tests += _address_tests(source.address, _SOURCE[version])
    if to is not None:
        tests += _address_tests(to, _DESTINATION[version])
    if source.port is not None:
        tests.append(([(_LOAD_HALF, 0, 0, 0)], source.port))
    length = sum(len(loads) + 1 for loads, _ in tests) + 1
    steps: list[Instruction] = []
    for loads, wanted in tests:
        steps += loads
        steps.append((_EQUALS, 0, length - len(steps) - 1, wanted))
    return [*steps, (_RETURN, 0, 0, _ALL)]


def _address_tests(address: Address, offset: int) -> list[tuple[list[Instruction], int]]:
    words = struct.unpack(f">{len(address.packed) // 4}I", address.packed)
    return [
        ([(_LOAD_WORD, 0, 0, _NETWORK + offset + 4 * number)], word)
        for number, word in enumerate(words)
    ]


def attach(to: socket.socket, steps: list[Instruction]) -> None:
    """Put a filter on a socket in place of the one it has.

    Raises:
        OSError: this kernel has no such filters.
    """
    packed = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    what = struct.pack("HL", len(steps), ctypes.addressof(buffer))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, what)


def keep_on_loopback(which: socket.socket) -> None:
    """Take the socket away from every network interface but loopback.

    Raises:
        OSError: not permitted here.
    """
    which.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, b"lo\0")


@contextlib.contextmanager
def own_udp_socket(port: int) -> Iterator[socket.socket | None]:
    """A second handle on this process's UDP socket at a port, whoever opened it; closed afterwards.

    What is set on it is set on the socket itself. None if there is no such socket.
    """
    for handle in own_udp_sockets():
        if handle.getsockname()[1] == port:
            yield handle
            return
    yield None


def own_udp_sockets() -> Iterator[socket.socket]:
    """A second handle on each UDP socket of this process; each is closed when the next is given."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            handle = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # Closed meanwhile.
            continue
        with handle:
            internet = handle.family in (socket.AF_INET, socket.AF_INET6)
            if internet and handle.type == socket.SOCK_DGRAM:
                yield handle


def drops() -> dict[int, int]:
    """Packets dropped so far by each UDP socket here, by the socket's inode."""
    counted = {}
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as rows:
            next(rows)
            for row in rows:
                fields = row.split()
                counted[int(fields[9])] = int(fields[12])
    return counted
