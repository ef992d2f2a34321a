"""RTP of a plain telephone: packets (RFC 3550), G.711 (RFC 3551), keys (RFC 4733). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.wire_audio import PACKET_SAMPLES, Samples

PCMU, PCMA = 0, 8
KEYS = "0123456789*#ABCD"
"""Their place is their event code (RFC 4733, section 3.2)."""
KEY_PACKETS = 5
KEY_END_PACKETS = 3
"""The end of a key is told three times (RFC 4733, section 2.5.1.4)."""
_KEY_VOLUME = 10
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_VERSION = 2
_RTCP_TYPES = range(192, 224)
"""Second bytes that mean RTCP where both share a port (RFC 5761, section 4)."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet; ``timestamp`` in samples, both counters wrap."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def encode(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        header = _HEADER.pack(
            _VERSION << 6,
            second,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc & 0xFFFFFFFF,
        )
        return header + self.payload


def read_packet(data: bytes) -> RtpPacket | None:
    """The packet in a datagram; ``None`` for RTCP and for whatever is no RTP."""
    if len(data) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION or second in _RTCP_TYPES:
        return None
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:  # a header extension: its length is in 32-bit words
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if first & 0x20:  # padding: the last byte counts it
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


def encoded(samples: Samples, payload_type: int) -> bytes:
    """16-bit samples as G.711 (ITU-T G.711), ``PCMU`` or ``PCMA``."""
    table = _MU_ENCODE if payload_type == PCMU else _A_ENCODE
    return table[samples.astype(np.int32) + 32_768].tobytes()


def decoded(payload: bytes, payload_type: int) -> Samples:
    """G.711 as 16-bit samples."""
    table = _MU_DECODE if payload_type == PCMU else _A_DECODE
    return table[np.frombuffer(payload, dtype=np.uint8)]


def key_events(key: str) -> Iterator[tuple[bytes, bool]]:
    """The event payloads of one key, one every 20 ms, and whether each is the first.

    Raises:
        ValueError: no such key.
    """
    code = KEYS.index(key.upper())
    for number in range(1, KEY_PACKETS + KEY_END_PACKETS + 1):
        over = number > KEY_PACKETS
        duration = PACKET_SAMPLES * min(number, KEY_PACKETS + 1)
        yield _EVENT.pack(code, (0x80 if over else 0) | _KEY_VOLUME, duration), number == 1


class KeyListener:
    """Keys that the far end presses: each once, however often its packets come."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def hear(self, packet: RtpPacket) -> str:
        """The key if this packet is the first of it, else nothing."""
        if len(packet.payload) < _EVENT.size:
            return ""
        code = packet.payload[0]
        event = (packet.ssrc, packet.timestamp)
        if event == self._last or code >= len(KEYS):
            return ""
        self._last = event
        return KEYS[code]


class Unwrapped:
    """A counter of so many bits as one that never wraps (RFC 3550, appendix A.1)."""

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._last: int | None = None

    def value(self, counter: int) -> int:
        if self._last is None:
            self._last = counter
            return counter
        ahead = (counter - self._last) % self._size
        if ahead >= self._size // 2:
            ahead -= self._size
        value = self._last + ahead
        self._last = max(self._last, value)
        return value


def _mu_decoding() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    level = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -level, level).astype(np.int16)


def _a_decoding() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent = (code & 0x70) >> 4
    mantissa = ((code & 0x0F) << 4) + 8
    level = np.where(exponent == 0, mantissa, (mantissa + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, level, -level).astype(np.int16)


def _nearest(decoding: Samples) -> NDArray[np.uint8]:
    """For each 16-bit sample (from -32768) the code whose level is nearest."""
    # Of two codes for nothing the upper is the usual one (0xFF in PCMU).
    order = 255 - np.argsort(decoding[::-1], kind="stable")
    levels = decoding[order].astype(np.int32)
    borders = (levels[:-1] + levels[1:]) / 2
    return order[np.searchsorted(borders, np.arange(-32_768, 32_768))].astype(np.uint8)


_MU_DECODE, _A_DECODE = _mu_decoding(), _a_decoding()
_MU_ENCODE, _A_ENCODE = _nearest(_MU_DECODE), _nearest(_A_DECODE)
