"""The media stream as a pipecat transport on an aiohttp socket, for the stock pipeline.

``MediaStreamSerializer`` turns the contract of ``telephony.media_stream`` into frames and back, in
the way of pipecat's own telephony serializers (``clear`` on an interruption, hang up at the end).
``MediaStreamTransport`` does what pipecat's ``FastAPIWebsocketTransport`` does, chunk sizes and
pacing included; only the socket is aiohttp's, because FastAPI is not a dependency here.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import WSMsgType, web
from loguru import logger
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    AudioRawFrame,
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from telephony.media_stream import (
    SAMPLE_RATE_HZ,
    Clear,
    Dtmf,
    MediaStreamError,
    Stop,
    check_audio,
    encode,
    parse,
)

_KEYS = frozenset(entry.value for entry in KeypadEntry)


class MediaStreamSerializer(FrameSerializer):
    """Frames to messages of the media stream, and messages to frames."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Audio as it is, an interruption as ``clear``, the end as ``stop``; else None."""
        match frame:
            case InterruptionFrame():
                return encode(Clear())
            case AudioRawFrame(audio=audio):
                return audio
            case EndFrame() | CancelFrame():
                return encode(Stop("agent_hung_up"))
            case _:
                return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """The caller's audio and keys; None for what a pipeline has no use for, or is broken."""
        try:
            if isinstance(data, bytes):
                audio = check_audio(data)
                return InputAudioRawFrame(audio, SAMPLE_RATE_HZ, 1) if audio else None
            message = parse(data)
        except MediaStreamError as error:
            logger.warning(f"{self}: contract broken: {error}")
            return None
        if isinstance(message, Dtmf) and message.digit in _KEYS:
            return InputDTMFFrame(KeypadEntry(message.digit))
        return None


class MediaStreamInput(BaseInputTransport):
    """Receives from the socket until the gateway closes it."""

    def __init__(
        self,
        transport: MediaStreamTransport,
        socket: web.WebSocketResponse,
        params: TransportParams,
    ) -> None:
        super().__init__(params)
        self._transport = transport
        self._socket = socket
        self._serializer = MediaStreamSerializer()
        self._receiving: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Tell that a caller is there, then listen."""
        await super().start(frame)
        await self._transport.announce("on_client_connected")
        await self.push_frame(ClientConnectedFrame())
        if self._receiving is None:
            self._receiving = self.create_task(self._receive())
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Listen no longer."""
        await super().stop(frame)
        await self._stop_receiving()

    async def cancel(self, frame: CancelFrame) -> None:
        """Listen no longer, at once."""
        await super().cancel(frame)
        await self._stop_receiving()

    async def cleanup(self) -> None:
        """The call is over, however it ended."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._stop_receiving()

    async def _stop_receiving(self) -> None:
        if self._receiving is not None:
            await self.cancel_task(self._receiving)
            self._receiving = None

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            frame = await self._serializer.deserialize(message.data)
            if isinstance(frame, InputAudioRawFrame):
                await self.push_audio_frame(frame)
            elif frame is not None:
                await self.push_frame(frame)
        await self._transport.announce("on_client_disconnected")


class MediaStreamOutput(BaseOutputTransport):
    """Sends chunks of 40 ms at the pace of speech, as pipecat's WebSocket transports do."""

    def __init__(self, socket: web.WebSocketResponse, params: TransportParams) -> None:
        super().__init__(params)
        self._socket = socket
        self._serializer = MediaStreamSerializer()
        self._interval_s = 0.0
        self._next_send_s = 0.0

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn how long a chunk lasts: ``audio_chunk_size`` is in bytes, two a sample."""
        await super().setup(setup)
        self._interval_s = self.audio_chunk_size / self.sample_rate / 2

    async def start(self, frame: StartFrame) -> None:
        """Ready to speak."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """What is queued has been said; hang up."""
        await super().stop(frame)
        await self._write(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Hang up at once."""
        await super().cancel(frame)
        await self._write(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """An interruption also clears what the gateway holds."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._write(frame)
            self._next_send_s = 0.0

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send one chunk, then wait as long as an audio device would."""
        if not await self._write(frame):
            return False
        wait_s = max(0.0, self._next_send_s - time.monotonic())
        await asyncio.sleep(wait_s)
        if wait_s == 0:
            self._next_send_s = time.monotonic() + self._interval_s
        else:
            self._next_send_s += self._interval_s
        return True

    async def _write(self, frame: Frame) -> bool:
        payload = await self._serializer.serialize(frame)
        if self._socket.closed:
            return False
        try:
            if isinstance(payload, bytes):
                await self._socket.send_bytes(payload)
            elif payload:
                await self._socket.send_str(payload)
        except (ConnectionError, RuntimeError) as error:
            logger.debug(f"{self}: the gateway left: {error}")
            return False
        return True


class MediaStreamTransport(BaseTransport):
    """Both ends of one call's pipeline.

    Events: ``on_client_connected`` and ``on_client_disconnected``, each with the socket.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        super().__init__()
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
        self._socket = socket
        self._input = MediaStreamInput(self, socket, params)
        self._output = MediaStreamOutput(socket, params)
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> MediaStreamInput:
        """First stage of the pipeline."""
        return self._input

    def output(self) -> MediaStreamOutput:
        """The stage that speaks to the gateway."""
        return self._output

    async def announce(self, event: str) -> None:
        """Call what waits for an event."""
        await self._call_event_handler(event, self._socket)
