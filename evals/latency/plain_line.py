"""A plain telephone: SIP and RTP over UDP, G.711, and nothing between a packet and its measurement.

Many calls at once in one process, no thread, no jitter buffer. A packet's arrival is the kernel's
own time stamp where there is one (Linux), so that a busy loop does not make the far end look late.
No RTCP is sent and no SRTP spoken: a line for loopback and a LAN.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import socket
import time
from collections import deque

from evals.latency.impairments import Impairments
from evals.latency.mouth import Frame, Noise
from evals.latency.packet_call import PacketCall
from evals.latency.packet_line import ANSWER_TIMEOUT_S, PacketLine
from evals.latency.rtp import (
    KEYS,
    PCMA,
    PCMU,
    KeyListener,
    RtpPacket,
    decoded,
    encoded,
    key_events,
    read_packet,
)
from evals.latency.sip_dialog import SipDialog
from evals.latency.sip_messages import (
    MIRRORED,
    RemoteMedia,
    describe,
    host_and_port,
    read_description,
)
from evals.latency.udp import datagram, discard, local_address, port_pair, resolved
from evals.wire_audio import PACKET_SAMPLES
from evals.wire_call import CallError
from telephony.sip_stack import leg_id_of

KEY_PAUSE_PACKETS = 3
"""Between two keys, so that the far end tells them apart."""
GLARE_PAUSE_S = 0.25
HOLD_ATTEMPTS = 10


class PlainLine(PacketLine["PlainCall"]):
    """A place to ring SIP addresses from; each call has sockets of its own."""

    def __init__(
        self,
        impairments: Impairments | None = None,
        noise: Noise | None = None,
        codec: int = PCMU,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """``codec``: which of ``PCMU`` and ``PCMA`` is offered first."""
        super().__init__(impairments, noise, answer_timeout_s)
        self._codecs = (codec, PCMA if codec == PCMU else PCMU)

    def _new_call(self, impairments: Impairments) -> PlainCall:
        return PlainCall(impairments, self._noise, self._codecs)

    async def _ring(self, call: PlainCall, uri: str) -> None:
        far_end = await resolved(*host_and_port(uri))
        await call.ring(uri, far_end, self._answer_timeout_s)


class PlainCall(PacketCall):
    """One call of a ``PlainLine``."""

    def __init__(
        self, impairments: Impairments, noise: Noise | None, codecs: tuple[int, ...]
    ) -> None:
        super().__init__(impairments, noise)
        self._codecs = codecs
        self._dialog: SipDialog | None = None
        self._media: RemoteMedia | None = None
        self._rtp: socket.socket | None = None
        self._rtcp: socket.socket | None = None
        self._held = False
        self._paused = False
        """The far end sends nothing because one of us holds the other, or has only just begun."""
        self._resumed = False
        self._version = 0
        self._listener = KeyListener()
        self._keys: deque[tuple[bytes, bool] | None] = deque()
        self._pressed: asyncio.Event | None = None
        """Set once all keys are on the wire; ``None`` when there are none."""
        self._key_began = 0
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._ssrc = secrets.randbits(32)
        self._first = True

    async def ring(self, uri: str, far_end: tuple[str, int], timeout_s: float) -> None:
        """
        Raises:
            CallError: the call does not come about.
        """
        host = local_address(far_end)
        self._rtp, self._rtcp = port_pair(host)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._rtp, self._receive, self._rtp)
        loop.add_reader(self._rtcp, discard, self._rtcp)
        dialog = self._dialog = SipDialog(uri, far_end, self)
        await loop.create_datagram_endpoint(lambda: dialog, local_addr=(host, 0))
        answer = await dialog.invite(self._description("sendrecv"), timeout_s)
        self._media = read_description(answer)
        self._answered(leg_id_of(dialog.call_id))

    # --- doing ---------------------------------------------------------------------------------

    async def press(self, digits: str) -> None:
        """Press keys, 0.22 s each; returns when the last release is on the wire. What is said
        meanwhile is not heard, as on any telephone.

        Raises:
            CallError: no such key, or the far end takes none.
        """
        if not digits or any(digit.upper() not in KEYS for digit in digits):
            raise CallError(f"there is no such key among {digits!r}")
        if self._media is None or not self._media.keys_type:
            raise CallError("the far end takes no keys (telephone-event)")
        for digit in digits:
            self._keys.extend(key_events(digit))
            self._keys.extend([None] * KEY_PAUSE_PACKETS)
        if self._pressed is None:
            self._pressed = asyncio.Event()
        await self._until_over(self._pressed.wait())

    async def hold(self, held: bool) -> None:
        """Put the far end on hold or take it back, again while another offer is under way. A
        telephone that holds sends nothing.

        Raises:
            CallError: the far end does not want that.
        """
        if self._dialog is None or self.ended.is_set():
            return
        self._paused = self._paused or held
        for attempt in range(HOLD_ATTEMPTS):
            try:
                answer = await self._dialog.offer(
                    self._description("sendonly" if held else "sendrecv")
                )
                self._media = read_description(answer)
                break
            except CallError as error:
                if error.status != 491 or attempt == HOLD_ATTEMPTS - 1:
                    raise
            await self.wait_for_end(GLARE_PAUSE_S)
        self._held, self._resumed = held, not held

    async def _leave(self) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            await dialog.bye()
            self.garbage += dialog.unreadable
            dialog.close()
        for place in (self._rtp, self._rtcp):
            if place is not None:
                asyncio.get_running_loop().remove_reader(place)
                place.close()
        self._rtp = self._rtcp = None

    # --- for the dialog ------------------------------------------------------------------------

    def offered(self, description: bytes) -> bytes:
        """The far end changes the media: hold, resume, another address."""
        if not description:
            return self._description("sendonly" if self._held else "sendrecv")
        self._media = read_description(description)
        self.far_end_holds = self._media.direction in ("sendonly", "inactive")
        self._paused = self._paused or self.far_end_holds
        self._resumed = not self.far_end_holds and not self._held
        return self._description(MIRRORED.get(self._media.direction, self._media.direction))

    def answered(self, description: bytes) -> None:
        self._media = read_description(description)

    def left(self, reason: str) -> None:
        self._end(reason)

    def _description(self, direction: str) -> bytes:
        if self._rtp is None:
            raise CallError("the call is over", 480)
        self._version += 1
        host, port = self._rtp.getsockname()[:2]
        return describe(host, port, direction, self._version, self._codecs)

    # --- sound ---------------------------------------------------------------------------------

    def _transmit(self, frame: Frame, tick: int) -> None:
        media, now = self._media, self._timestamp + tick * PACKET_SAMPLES
        if media is None or self._held:
            self._first = True
            return
        key = self._keys.popleft() if self._keys else None
        if not self._keys and self._pressed is not None:
            self._pressed.set()
            self._pressed = None
        if key is None:
            sound = encoded(frame.narrow, media.payload_type)
            packet = self._packet(media.payload_type, now, sound, self._first)
            self._first = False
        else:
            payload, first = key
            self._key_began = now if first else self._key_began
            packet = self._packet(media.keys_type, self._key_began, payload, first)
        data, to = packet.encode(), (media.host, media.port)
        self._carried(self._there, lambda _: self._send(data, to))

    def _packet(self, kind: int, timestamp: int, payload: bytes, marker: bool) -> RtpPacket:
        self._sequence += 1
        return RtpPacket(kind, self._sequence, timestamp, self._ssrc, payload, marker)

    def _send(self, data: bytes, to: tuple[str, int]) -> None:
        if self._rtp is not None:
            with contextlib.suppress(OSError):  # a full buffer loses a packet, as networks do
                self._rtp.sendto(data, to)

    def _receive(self, place: socket.socket) -> None:
        while (arrival := datagram(place)) is not None:
            data, at_s = arrival
            packet = read_packet(data)
            if packet is None:
                self.garbage += 1
                continue
            late_s = time.monotonic() - at_s
            self._carried(self._back, functools.partial(self._hear_packet, packet, late_s))

    def _hear_packet(self, packet: RtpPacket, late_s: float, seen_s: float) -> None:
        arrived_s = seen_s - late_s
        if packet.payload_type in (PCMU, PCMA):
            samples = decoded(packet.payload, packet.payload_type)
            begins = packet.marker or self._paused
            self._paused = self._paused and not self._resumed
            self._hear(arrived_s, packet.ssrc, packet.sequence, samples, begins)
        elif self._media is not None and packet.payload_type == self._media.keys_type:
            self.digits += self._listener.hear(packet)
            self._ear.pass_over(packet.sequence)
        else:
            self.garbage += 1
