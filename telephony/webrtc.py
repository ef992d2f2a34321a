"""A caller in a web browser: one leg on aiortc, with a data channel for keys and captions."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import structlog
from aioice.ice import Connection, get_host_addresses
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from telephony.audio import in_frames
from telephony.call import DigitPressed, LegAnswered, LegEnded, LegEvent, LegState
from telephony.media_stream import FRAME_BYTES, FRAME_MS, TransferState
from telephony.page_messages import CHANNEL, HangUpPressed, read_page_message
from telephony.webrtc_audio import LEAD_MS, FrameBacklog, PacedTrack, PacketOrder, SoundDecoder
from telephony.webrtc_offer import AUDIO_CODEC, OfferMalformed, checked_description

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"

_UNHEARD_S = 20.0
"""A browser sends sound all the time, muted or not; one that sends none for so long is gone."""
_GOODBYE_S = 1.0
"""Patience with a browser that does not confirm the end."""
_MAX_EVENTS = 64
_MAX_UNSENT_MESSAGES = 64
_MAX_UNSENT_BYTES = 256 * 1024
_MAX_CAPTION_CHARACTERS = 4_000


def media_addresses(media_host: str | None, web_host: str) -> tuple[str, ...]:
    """Local addresses to offer for media.

    Loopback, which ICE leaves out (RFC 8445, section 5.1.1.1), is added when the page itself is
    on loopback or when there is nothing else: the only callers then are on this machine.
    """
    if media_host is not None:
        return (media_host,)
    addresses = tuple(get_host_addresses(use_ipv4=True, use_ipv6=True))
    if web_host in (LOOPBACK, "localhost", "::1") or not addresses:
        return (*addresses, LOOPBACK)
    return addresses


class WebRtcLeg:
    """A call leg to a browser; see ``telephony.call.Leg``."""

    lead_ms = LEAD_MS

    def __init__(
        self, remote: str, *, addresses: Sequence[str], ice_servers: Sequence[RTCIceServer] = ()
    ) -> None:
        """
        Args:
            remote: who is there, as far as is known (personal data).
            addresses: local addresses to offer for media.
            ice_servers: STUN and TURN servers to find further addresses with.
        """
        self.leg_id = f"web-{secrets.token_hex(8)}"
        self.kind: Literal["sip", "webrtc"] = "webrtc"
        self.remote = remote
        self.dialled = "web"
        self.state = LegState.RINGING
        self._log = log.bind(leg_id=self.leg_id)
        self._addresses = tuple(addresses)
        self._connection = RTCPeerConnection(
            # An empty list, not None: that would mean a public STUN server.
            RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connected: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self._far_end_gone = asyncio.Event()
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self._channel: RTCDataChannel | None = None
        self._unsent: deque[str] = deque(maxlen=_MAX_UNSENT_MESSAGES)
        self._incoming = FrameBacklog()
        self._outgoing = PacedTrack()
        self._listening: asyncio.Task[None] | None = None
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._on_channel)

    # --- setting up ---------------------------------------------------------------------------

    async def accept(self, description: str) -> str:
        """Answer an offer's session description; the answer's.

        Raises:
            OfferRefused: the offer cannot be answered; the leg must still be hung up.
        """
        usable = checked_description(description)
        self._connection.addTrack(self._outgoing)
        _take_only_opus(self._connection)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(usable, "offer"))
            for receiver in self._connection.getReceivers():
                _decode_at_once(receiver)
            for gatherer in self._gatherers():
                _gather_only_on(gatherer, self._addresses)
            await self._connection.setLocalDescription()
        except Exception as error:  # aiortc raises whatever an unusual description makes it raise
            self._log.info("offer_refused", error=type(error).__name__)
            raise OfferMalformed("The offer cannot be answered.") from error
        return self._connection.localDescription.sdp

    async def connected(self, within_s: float) -> bool:
        """True once sound can flow; False when it never could or not in time."""
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._connected)
        except TimeoutError:
            return False

    def _gatherers(self) -> list[Connection]:
        transports = {
            transceiver.receiver.transport.transport
            for transceiver in self._connection.getTransceivers()
        }
        if self._connection.sctp is not None:
            transports.add(self._connection.sctp.transport.transport)
        return [transport.iceGatherer._connection for transport in transports]

    # --- the leg protocol ---------------------------------------------------------------------

    def receive_frame(self) -> bytes | None:
        """The next 20 ms from the browser; ``None`` when nothing has arrived."""
        return None if self.state is LegState.ENDED else self._incoming.take()

    def send_frame(self, frame: bytes) -> None:
        """Queue whole frames for the browser; dropped unless the leg is alive."""
        if self.state is LegState.ENDED or len(frame) % FRAME_BYTES:
            return
        for single in in_frames(frame):
            self._outgoing.push(single)

    def flush(self) -> None:
        """Forget frames queued and not yet with the encoder."""
        self._outgoing.clear()

    @property
    def unsent_ms(self) -> int:
        """Audio queued and not yet with the encoder."""
        return self._outgoing.unsent_ms

    async def next_event(self) -> LegEvent:
        """Wait for the next event; after ``LegEnded`` there is none."""
        return await self._events.get()

    async def answer(self) -> None:
        """Accept the call; sound heard so far is forgotten."""
        if self.state is LegState.RINGING:
            self.state = LegState.ANSWERED
            self._incoming.clear()
            self._events.put_nowait(LegAnswered())
            self.show_state("answered")

    async def hang_up(self, reason: str = "") -> None:
        """End the leg, telling the page why, and free everything it holds."""
        self._end(reason or "hung_up")
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def send_digits(self, digits: str) -> None:
        """Show keys the other party pressed; a browser has no tones to be sent."""
        self._tell({"event": "digits", "digits": digits[:32]})

    async def hold(self, held: bool) -> None:
        """Tell the page; what a held party hears is the gateway's to choose."""
        if self.state is LegState.ANSWERED:
            self.show_state("held" if held else "answered")

    def show_caption(
        self, speaker: Literal["caller", "agent"], caption_id: str, text: str, final: bool
    ) -> None:
        """Show words on the page. When the page does not keep up, interim ones are left out."""
        if not final and self._channel is not None and self._channel.bufferedAmount > FRAME_BYTES:
            return
        self._tell(
            {
                "event": "caption",
                "speaker": speaker,
                "id": caption_id,
                "text": text[:_MAX_CAPTION_CHARACTERS],
                "final": final,
            }
        )

    def show_transfer(self, state: TransferState) -> None:
        """Show how a transfer goes; once it has failed or ended, the agent has the caller again."""
        shown = {"ringing": "transferring", "answered": "transferring", "bridged": "bridged"}
        self.show_state(shown.get(state, "answered"))

    def show_state(self, state: str, reason: str = "") -> None:
        """Tell the page how the call stands."""
        self._tell({"event": "state", "state": state, "reason": reason})

    # --- what the browser does ----------------------------------------------------------------

    def _on_connection_state(self) -> None:
        match self._connection.connectionState:
            case "connected":
                if not self._connected.done():
                    self._connected.set_result(True)
                    self.show_state("ringing")
            case "failed":
                self._far_end_gone.set()
                self._end("connection_lost")
            case "closed":
                self._far_end_gone.set()
                self._end("left")

    def _on_track(self, track: MediaStreamTrack) -> None:
        if self._listening is None and track.kind == "audio":
            self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        decoder = SoundDecoder()
        await asyncio.shield(self._connected)
        try:
            while True:
                async with asyncio.timeout(_UNHEARD_S):
                    frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self._incoming.put(decoder.convert(frame))
        except TimeoutError:
            self._end("vanished")
        except MediaStreamError:
            self._end("left")

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", self._far_end_gone.set)
        while self._unsent:
            channel.send(self._unsent.popleft())

    def _on_message(self, message: object) -> None:
        match read_page_message(message):
            case DigitPressed() as pressed:
                if self.state is LegState.ANSWERED and self._events.qsize() < _MAX_EVENTS:
                    self._events.put_nowait(pressed)
            case HangUpPressed():
                self._end("hung_up")

    def _tell(self, message: dict[str, Any]) -> None:
        """Send to the page, or keep until its channel is open (the last 64 messages)."""
        if self.state is LegState.ENDED:
            return
        text = json.dumps(message, separators=(",", ":"))
        channel = self._channel
        if channel is None:
            self._unsent.append(text)
        elif channel.readyState == "open" and channel.bufferedAmount < _MAX_UNSENT_BYTES:
            channel.send(text)

    # --- the end ------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        """Once: say goodbye, tell the gateway, and free the connection in the background."""
        if self.state is LegState.ENDED:
            return
        self.show_state("ended", reason)
        self.state = LegState.ENDED
        if not self._connected.done():
            self._connected.set_result(False)
        self._events.put_nowait(LegEnded(reason))
        self._closing = asyncio.create_task(self._close())
        self._log.info("web_leg_ended", reason=reason, dropped_ms=self._dropped_ms())

    def _dropped_ms(self) -> dict[str, int]:
        return {
            "from_browser": self._incoming.dropped_frames * FRAME_MS,
            "to_browser": self._outgoing.dropped_frames * FRAME_MS,
        }

    async def _close(self) -> None:
        """Give the page a moment to read why and to close first, for closing discards the rest."""
        if self._connected.result():
            try:
                async with asyncio.timeout(_GOODBYE_S):
                    await self._far_end_gone.wait()
            except TimeoutError:
                pass
        if self._listening is not None:
            self._listening.cancel()
        self._outgoing.stop()
        try:
            await self._connection.close()
        except Exception:  # a half-built connection; whatever it opened has been closed above it
            self._log.exception("web_leg_close_failed")


def _take_only_opus(connection: RTCPeerConnection) -> None:
    """Whatever else the offer has: sound leaves here encoded already."""
    known = RTCRtpReceiver.getCapabilities("audio")
    wanted = [
        codec
        for codec in (known.codecs if known else [])
        if (codec.mimeType.lower(), codec.clockRate) == AUDIO_CODEC
    ]
    for transceiver in connection.getTransceivers():
        transceiver.setCodecPreferences(wanted)


def _decode_at_once(receiver: RTCRtpReceiver) -> None:
    """Take the place of the receiver's jitter buffer; aiortc offers no option for it."""
    place = "_RTCRtpReceiver__jitter_buffer"
    if hasattr(receiver, place):
        setattr(receiver, place, PacketOrder())
    else:
        log.warning("jitter_buffer_not_found")


def _gather_only_on(connection: Connection, addresses: Sequence[str]) -> None:
    """Have ICE gather on these local addresses; aioice offers no option for it."""
    gather = connection.get_component_candidates

    async def gather_on_addresses(component: int, **_: object) -> Any:
        return await gather(component=component, addresses=list(addresses))

    connection.get_component_candidates = gather_on_addresses  # type: ignore[method-assign, assignment]
