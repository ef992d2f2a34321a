"""Who sends a call's sound, judged from the first packets (pure).

A telephone behind a NAT names an address that its packets do not come from, so where they come
from has to be learnt (RFC 7362, "latching"), and whoever sends first could be learnt in its place.
So only addresses count that the call's own signalling came from or named; the agreed source, and
one that was learnt and still sends, always win; and a new one has to send a stream, not a packet.
"""

from __future__ import annotations

from telephony.sip_offers import Address, Agreed
from telephony.udp_filter import Source

FIRST_PACKETS = 3
"""So many in a row make a source when there is none: 60 ms."""
OTHER_PACKETS = 25
"""So many, and none from the source there is, make another: half a second."""
_RTP_HEADER_BYTES = 12
_MAX_STEP = 100
_MAX_STREAMS = 16


class SourceJudge:
    """Judges the packets of one stream of sound until it is clear who sends it."""

    def __init__(self, agreed: Agreed, known: Source | None = None) -> None:
        self._agreed = agreed
        self._known = known
        self._runs: dict[tuple[Source, bytes], tuple[int, int]] = {}
        """Last number and length, by source and stream."""

    def heard(self, packet: bytes, address: Address, port: int) -> Source | None:
        """Take a packet and where it came from; the source once that is clear."""
        source = Source(address, port)
        if address not in self._agreed.hosts or not _is_rtp(packet):
            return None
        theirs = self._agreed.theirs
        if source == self._known or source == Source(theirs.address, theirs.port):
            return source
        number, stream = int.from_bytes(packet[2:4], "big"), (source, packet[8:12])
        last, length = self._runs.get(stream, (number - 1, 0))
        step = (number - last) % 65_536
        if step == 0:  # The same packet twice.
            return None
        length = length + 1 if step < _MAX_STEP else 1
        if stream in self._runs or len(self._runs) < _MAX_STREAMS:
            self._runs[stream] = (number, length)
        needed = FIRST_PACKETS if self._known is None else OTHER_PACKETS
        return source if length >= needed else None


def _is_rtp(packet: bytes) -> bool:
    """Version 2, and not RTCP on the same port (RFC 5761)."""
    return (
        len(packet) >= _RTP_HEADER_BYTES and packet[0] >> 6 == 2 and not 64 <= packet[1] & 127 < 96
    )
