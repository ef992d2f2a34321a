"""A telephone of our own: one SIP call, spoken into and listened to with exact positions.

It uses the SIP stack directly, in a process that has no other part in it (the stack allows one
runtime a process), so that what it measures is what a telephone elsewhere would.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np
from baresip import (
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    Call,
    CallState,
    DigitEvent,
    Event,
    StackEvent,
)

from evals.answered_call import AnsweredCall
from evals.wire_audio import RATE_HZ, Chunk, Samples, Span, Utterance, on_one_axis, placed
from telephony.sip_stack import leg_id_of

POLL_S = 0.004
AHEAD_SAMPLES = RATE_HZ * 60 // 1000
"""Written ahead of the wire, so that a busy machine does not make the caller stutter."""
HEARD_RMS = 60.0
MAX_CALL_S = 3_600
HOLD_ATTEMPTS = 10
RELEASE_S = 0.25
"""A key's release goes out three times, with the packets that follow (RFC 4733)."""


class CallError(Exception):
    """The call could not be made or broke; ``status`` is the SIP status where there is one."""

    code = "call_failed"
    retryable = True

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class WireCall(AnsweredCall):
    """One answered call. Time is seconds since it was answered."""

    def __init__(self, call: Call, sip_call_id: str = "") -> None:
        super().__init__(leg_id_of(call.call_id or sip_call_id))
        self._call = call
        self._sent: list[Chunk] = []
        self._received: list[Chunk] = []
        self._to_send = np.zeros(0, dtype=np.int16)
        self._written = np.zeros(0, dtype=np.int16)
        self._drained = asyncio.Event()
        self._drained.set()
        call.on(self._on_event)
        call.on_dtmf(self._on_digit)
        if call.state is CallState.CLOSED:
            self.ended.set()
        self._pump = asyncio.create_task(self._run())

    # --- doing ---------------------------------------------------------------------------------

    async def say(self, utterance: Utterance) -> range:
        """Say it in real time; returns when its last sample has left: which of the sent chunks of
        ``axis`` it was.

        Raises:
            CallError: the call ended before it was said.
        """
        first_chunk = len(self._sent)
        self._to_send = np.concatenate((self._to_send, utterance.samples))
        self._drained.clear()
        await self._until_over(self._drained.wait())
        if not self._drained.is_set():
            raise CallError(f"the call ended while the caller spoke: {self.end_reason}")
        return range(first_chunk, len(self._sent))

    async def press(self, digits: str) -> None:
        """Press keys, about 0.22 s each; returns when the last release is on the wire."""
        with contextlib.suppress(BaresipError):
            await self._call.send_dtmf(digits)
            await self.wait_for_end(RELEASE_S)

    async def hold(self, held: bool) -> None:
        """Put the far end on hold or take it back, again while another offer is under way."""
        for _ in range(HOLD_ATTEMPTS):
            try:
                await (self._call.hold() if held else self._call.resume())
                return
            except BaresipError:
                await self.wait_for_end(RELEASE_S)

    async def wait_for_sound(self, after_s: float, timeout_s: float) -> float | None:
        """When sound begins after ``after_s``; ``None`` on timeout or when the call ends."""
        return await self._wait(
            lambda: began if (began := self.sound_began_s or -1.0) > after_s else None, timeout_s
        )

    async def wait_for_quiet(self, quiet_ms: float, timeout_s: float) -> float | None:
        """Wait until nothing has been heard for so long; ``None`` on timeout or when it ends."""

        def quiet() -> float | None:
            now_s = self.now_s
            last_s = self.last_sound_s or 0.0
            return now_s if (now_s - last_s) * 1000 >= quiet_ms else None

        return await self._wait(quiet, timeout_s)

    async def wait_for_end(self, timeout_s: float) -> None:
        """Let time pass, or the call end."""
        await self._wait(lambda: None, timeout_s)

    async def hang_up(self) -> None:
        """End the call and stop listening; harmless when it has ended."""
        with contextlib.suppress(BaresipError):
            await self._call.hangup()
        self._pump.cancel()
        await asyncio.wait({self._pump})
        self.ended.set()
        if not self._pump.cancelled():
            self._pump.result()

    # --- what was ------------------------------------------------------------------------------

    def axis(self) -> tuple[Samples, Samples, list[Span]]:
        """Sent and received on one axis (equally long), and where each sent chunk lies."""
        sent = placed(self._sent, ends_when_seen=True)
        received = placed(self._received, ends_when_seen=False)
        return *on_one_axis((self._sent, sent), (self._received, received)), sent

    # --- the audio -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self.ended.is_set() and self.now_s < MAX_CALL_S:
            # A negotiation under way; what is said meanwhile is lost, as on any phone.
            with contextlib.suppress(AudioNotActive, AudioRestarted):
                self._receive()
                self._send()
            await asyncio.sleep(POLL_S)

    def _receive(self) -> None:
        info = self._call.audio.info()
        if not info.rx_ready:
            return
        pcm = self._call.audio.read(RATE_HZ * 2)
        if not pcm:
            return
        now_s = self.now_s
        samples = np.frombuffer(pcm, dtype="<i2")
        self._received.append(Chunk(now_s, samples))
        if _rms(samples) > HEARD_RMS:
            self._sounds(now_s)

    def _send(self) -> None:
        info = self._call.audio.info()
        if not info.tx_ready:
            return
        passed = len(self._written) - info.tx_buffered // 2
        if passed > 0:
            self._sent.append(Chunk(self.now_s, self._written[:passed]))
            self._written = self._written[passed:]
        room = AHEAD_SAMPLES - len(self._written)
        if room > 0 and len(self._to_send):
            part = self._to_send[:room]
            accepted = self._call.audio.write(part.tobytes()) // 2
            self._written = np.concatenate((self._written, part[:accepted]))
            self._to_send = self._to_send[accepted:]
        if not len(self._to_send) and not len(self._written):
            self._drained.set()

    async def _wait(self, condition: Callable[[], float | None], timeout_s: float) -> float | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.ended.is_set():
                    if (found := condition()) is not None:
                        return found
                    await asyncio.sleep(POLL_S)
        return None

    # --- events --------------------------------------------------------------------------------

    def _on_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_CLOSED:
            self.end_reason = event.text or "ended"
            self.ended.set()
        elif event.event in (Event.CALL_HOLD, Event.CALL_RESUME):
            self.far_end_holds = event.event is Event.CALL_HOLD

    def _on_digit(self, pressed: DigitEvent) -> None:
        self.digits += pressed.digit


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.square(samples.astype(np.float64)).mean())) if len(samples) else 0.0
