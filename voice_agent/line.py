"""Both ends of the pipeline: what comes from the gateway, and what goes back to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telephony.media_stream import FRAME_BYTES, FRAME_MS, Message
from voice_agent.frames import AgentAudio, CallerAudio, LineOrdered, LineReported


class LineInput(FrameProcessor):
    """First stage. The session hands it what arrived; it keeps the caller's audio clock."""

    def __init__(self) -> None:
        super().__init__()
        self._received_ms = 0
        self._pending = b""

    async def take_audio(self, audio: bytes) -> None:
        """Caller audio of any length; passed on in frames of 20 ms."""
        self._pending += audio
        while len(self._pending) >= FRAME_BYTES:
            frame, self._pending = self._pending[:FRAME_BYTES], self._pending[FRAME_BYTES:]
            self._received_ms += FRAME_MS
            await self.push_frame(CallerAudio(frame, self._received_ms))

    async def take_message(self, message: Message) -> None:
        """A control message."""
        await self.push_frame(LineReported(message))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on what the pipeline itself sends (start, end)."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class LineOutput(FrameProcessor):
    """Last stage: audio and orders leave for the gateway."""

    def __init__(
        self,
        send_audio: Callable[[bytes], Awaitable[None]],
        send_message: Callable[[Message], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._send_audio = send_audio
        self._send_message = send_message

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Send what is for the gateway; let the pipeline's own frames pass."""
        await super().process_frame(frame, direction)
        match frame:
            case AgentAudio(audio=audio):
                await self._send_audio(audio)
            case LineOrdered(message=message) if message is not None:
                await self._send_message(message)
            case _:
                await self.push_frame(frame, direction)
