"""A caller's page without a browser: WebRTC with Opus, joined as the page joins, and measured.

Sound is measured at the packet: its arrival is when this process has it decrypted, before any
jitter buffer (aiortc's is stood in for), and its samples are what Opus makes of it, brought to the
axis's rate without delay. What is said is encoded from 16 kHz. Position 0 is when the connection
stands: a page is told that it has been answered over a channel that opens after sound does. A page
has no hold: a caller who is asked to hold is silent instead.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import Any

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtpPacket

from evals.latency.impairments import Impairments
from evals.latency.mouth import Frame, Noise
from evals.latency.opus_wire import Microphone, OpusDecoder, impair, tap
from evals.latency.packet_call import PacketCall
from evals.latency.packet_line import PacketLine
from evals.wire_call import CallError
from telephony.page_messages import CHANNEL, DIGITS

KEY_S = 0.1


class WebLine(PacketLine["WebCall"]):
    """A place to call a gateway's page (http://HOST:PORT) from."""

    def _new_call(self, impairments: Impairments) -> WebCall:
        return WebCall(impairments, self._noise)

    async def _ring(self, call: WebCall, uri: str) -> None:
        if not uri.startswith(("http://", "https://")):
            raise CallError("that is not a page's address (http://somewhere)")
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                await call.ring(uri.rstrip("/"))
        except TimeoutError as error:
            raise CallError(f"not answered within {self._answer_timeout_s:g} s", 408) from error


class WebCall(PacketCall):
    """One call of a ``WebLine``."""

    def __init__(self, impairments: Impairments, noise: Noise | None) -> None:
        super().__init__(impairments, noise)
        # An empty list, not None: that would mean a public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._microphone = Microphone()
        self._held = False
        self._taken = asyncio.Event()
        self._connected_s: float | None = None
        self._closed = False
        sender = self._connection.addTrack(self._microphone)
        impair(sender.transport, self._there)
        self._channel = self._connection.createDataChannel(CHANNEL)
        self._channel.on("message", self._on_message)
        self._channel.on("close", functools.partial(self._end, "the far end hung up"))
        self._connection.on("connectionstatechange", self._on_connection_state)
        self._connection.on("track", self._on_track)

    async def ring(self, url: str) -> None:
        """
        Raises:
            CallError: the call does not come about.
        """
        await self._connection.setLocalDescription()
        local = self._connection.localDescription
        answer = await _offered(url, {"sdp": local.sdp, "type": local.type})
        try:
            description = RTCSessionDescription(answer["sdp"], answer["type"])
            await self._connection.setRemoteDescription(description)
        except Exception as error:  # aiortc raises whatever an odd description makes it raise
            raise CallError("the page's answer is no session description") from error
        await self._until_over(self._taken.wait())
        if self.ended.is_set():
            raise CallError(f"the gateway ended the call: {self.end_reason}")
        self.call_id = str(answer.get("leg_id", ""))

    # --- doing ---------------------------------------------------------------------------------

    async def press(self, digits: str) -> None:
        """Press keys on the page, 0.1 s each.

        Raises:
            CallError: no such key.
        """
        if not digits or any(digit.upper() not in DIGITS for digit in digits):
            raise CallError(f"there is no such key among {digits!r}")
        for digit in digits:
            self._tell({"event": "digit", "digit": digit.upper()})
            await self.wait_for_end(KEY_S)

    async def hold(self, held: bool) -> None:
        """Be silent, or speak again."""
        self._held = held

    async def _leave(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._tell({"event": "hang_up"})
        self._microphone.stop()
        await self._connection.close()

    # --- what the gateway does -----------------------------------------------------------------

    def _on_message(self, message: object) -> None:
        fields = _fields(message)
        match fields.get("event"), fields.get("state"):
            case "state", "answered" | "held" as state:
                self.far_end_holds = state == "held"
                if not self._taken.is_set():
                    stood_s = self._connected_s
                    self._answered("", time.monotonic() - stood_s if stood_s else 0.0)
                    self._taken.set()
            case "state", "ended":
                self._end(str(fields.get("reason") or "ended"))
            case "digits", _:
                self.digits += str(fields.get("digits", ""))

    def _on_connection_state(self) -> None:
        match self._connection.connectionState:
            case "connected" if self._connected_s is None:
                self._connected_s = time.monotonic()
            case "failed" | "closed":
                self._end("the connection is lost")

    def _on_track(self, _: MediaStreamTrack) -> None:
        for receiver in self._connection.getReceivers():
            tap(receiver, self._on_packet)

    def _on_packet(self, packet: RtpPacket) -> None:
        self._carried(self._back, functools.partial(self._hear_packet, packet))

    def _hear_packet(self, packet: RtpPacket, arrived_s: float) -> None:
        samples = self._decoder.decode(packet.payload)
        if samples is None:
            self.garbage += 1
        else:
            # The resampler's delay is ours, not the line's.
            at_s = arrived_s - self._decoder.delay_s
            self._hear(at_s, packet.ssrc, packet.sequence_number, samples, False)

    @functools.cached_property
    def _decoder(self) -> OpusDecoder:
        return OpusDecoder()

    # --- sound ---------------------------------------------------------------------------------

    def _transmit(self, frame: Frame, tick: int) -> None:
        self._microphone.send(np.zeros_like(frame.wide) if self._held else frame.wide, tick)

    def _tell(self, message: dict[str, Any]) -> None:
        if self._channel.readyState == "open":
            self._channel.send(json.dumps(message))


async def _offered(url: str, offer: dict[str, str]) -> dict[str, Any]:
    """The gateway's answer to an offer.

    Raises:
        CallError: there is none; ``status`` is the HTTP status, if there was one.
    """
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/offer", json=offer) as response,
        ):
            answer = _fields(await response.text())
            status = response.status
    except (aiohttp.ClientError, ValueError, OSError) as error:
        raise CallError(f"nothing answers at {url} ({type(error).__name__})") from error
    if status != 200 or not isinstance(answer.get("sdp"), str):
        told = answer.get("error")
        why = told.get("message") if isinstance(told, dict) else "no answer to an offer"
        raise CallError(f"{status} {why}", status)
    return answer | {"type": "answer"}


def _fields(message: object) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        fields = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
