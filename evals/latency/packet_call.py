"""A call whose every packet is seen: what the harness's lines share, whatever carries them.

A steady clock takes 20 ms from the mouth and sends it, speech or silence; packets that come are
timed and given to the ear. Nothing is polled. A packet sent leaves when its last sample has been
spoken; a packet received is heard from its arrival on. Time is seconds since the call was answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from evals.answered_call import AnsweredCall
from evals.latency.ear import Ear, gaps, sounding
from evals.latency.impairments import Impairments, Network
from evals.latency.mouth import Frame, Mouth, Noise
from evals.wire_audio import Chunk, Samples, Span, Utterance, on_one_axis, placed
from evals.wire_call import CallError

PACKET_S = 0.02
STALLED_S = 0.2
"""A sender so late takes up its schedule anew instead of sending all at once."""


class PacketCall(AnsweredCall, ABC):
    """One call; ``evals.telephone.TelephoneCall`` once it is answered."""

    def __init__(self, impairments: Impairments, noise: Noise | None) -> None:
        super().__init__()
        self.garbage = 0
        """Packets that were none, or of a kind nobody asked for."""
        self._ear = Ear()
        self._mouth = Mouth(noise)
        self._there = Network(impairments.seeded(0))
        self._back = Network(impairments.seeded(1))
        self._sent: list[Chunk] = []
        self._worst_late_s = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._said: asyncio.Future[int] | None = None
        """Done with the number of packets sent once everything has been said."""
        self._changed: set[asyncio.Future[None]] = set()
        self._clock: asyncio.Task[None] | None = None

    # --- what each line does -------------------------------------------------------------------

    @abstractmethod
    def _transmit(self, frame: Frame, tick: int) -> None:
        """Put 20 ms on the wire; ``tick`` counts the clock's, also those it missed."""

    @abstractmethod
    async def press(self, digits: str) -> None:
        """Press keys; returns when the last release is on the wire."""

    @abstractmethod
    async def hold(self, held: bool) -> None:
        """Put the far end on hold or take it back."""

    @abstractmethod
    async def _leave(self) -> None:
        """Tell the far end that the call is over, and free everything. Harmless when it is."""

    # --- doing ---------------------------------------------------------------------------------

    async def say(self, utterance: Utterance) -> range:
        """Say it in real time; which of the sent spans of ``axis`` it was.

        Raises:
            CallError: the call ended before it was said.
        """
        async with self._one_at_a_time:
            said = self._said = asyncio.get_running_loop().create_future()
            first = len(self._sent)
            self._mouth.say(utterance)
            try:
                await self._until_over(said)
            finally:
                self._said = None
                self._mouth.hush()
        if said.cancelled():
            raise CallError(f"the call ended while the caller spoke: {self.end_reason}")
        return range(first, said.result())

    async def wait_for_sound(self, after_s: float, timeout_s: float) -> float | None:
        """When sound begins after ``after_s``; ``None`` on timeout or when the call ends."""
        until_s = self.now_s + timeout_s
        while not self.ended.is_set():
            began_s = self.sound_began_s
            if began_s is not None and began_s > after_s:
                return began_s
            if self.now_s >= until_s:
                break
            await self._sleep(until_s)
        return None

    async def wait_for_quiet(self, quiet_ms: float, timeout_s: float) -> float | None:
        """Wait until nothing has been heard for so long; ``None`` on timeout or when it ends."""
        until_s = self.now_s + timeout_s
        while not self.ended.is_set() and (now_s := self.now_s) < until_s:
            quiet_s = (self.last_sound_s or 0.0) + quiet_ms / 1000
            if now_s >= quiet_s:
                return now_s
            await self._sleep(min(quiet_s, until_s))
        return None

    async def wait_for_end(self, timeout_s: float) -> None:
        """Let time pass, or the call end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.ended.wait()

    async def hang_up(self) -> None:
        """End the call and free what it holds; harmless when it has ended."""
        await self._leave()
        self._end("hung up")
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait({self._clock})
            if not self._clock.cancelled():
                self._clock.result()

    # --- what was ------------------------------------------------------------------------------

    def axis(self) -> tuple[Samples, Samples, list[Span]]:
        """Sent and received on one axis (equally long), and where each sent packet lies."""
        sent = placed(self._sent, ends_when_seen=True)
        chunks, received = sounding(self._ear.heard, self._zero_s)
        return *on_one_axis((self._sent, sent), (chunks, received)), sent

    def gaps(self) -> list[Span]:
        """Where nothing was there to be heard, because packets were missing or late."""
        heard = self._ear.heard
        return gaps(heard, sounding(heard, self._zero_s)[1])

    def stream(self) -> tuple[Samples, list[float]]:
        """What was sent to us, packet joined to packet whenever they came (silence for those that
        never did), and when each came: what a telephone with a jitter buffer plays."""
        parts: list[Samples] = []
        came_s: list[float] = []
        for packet in self._ear.heard:
            for samples in [np.zeros_like(packet.samples)] * packet.missing + [packet.samples]:
                parts.append(samples)
                came_s.append(packet.arrived_s - self._zero_s)
        return np.concatenate(parts) if parts else np.zeros(0, np.int16), came_s

    def network(self) -> dict[str, float]:
        """Counts of packets, and by how many ms our own latest packet missed its schedule."""
        ear = self._ear
        return {
            "sent": len(self._sent),
            "received": ear.received,
            "lost": ear.lost,
            "late": ear.late,
            "duplicates": ear.duplicates,
            "garbage": self.garbage,
            "sent_late_ms": round(self._worst_late_s * 1000, 1),
        }

    # --- for the lines -------------------------------------------------------------------------

    def _answered(self, call_id: str, ago_s: float = 0.0) -> None:
        """Position 0 is so long ago; from now on the caller sends."""
        self.call_id = call_id
        before_s = self.now_s - ago_s
        self._zero_s, self.answered_at = time.monotonic() - ago_s, time.time() - ago_s
        if self.sound_began_s is not None and self.last_sound_s is not None:
            self.sound_began_s -= before_s
            self.last_sound_s -= before_s
        self._clock = asyncio.create_task(self._run())

    def _end(self, reason: str) -> None:
        if not self.ended.is_set():
            self.end_reason = reason
            self.ended.set()
            self._wake()

    def _carried(self, network: Network, arrive: Callable[[float], None]) -> None:
        """Let a packet that came or goes now arrive as the impaired network has it."""
        now_s = time.monotonic()
        for delay_s in network.fates():
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, arrive, now_s + delay_s)
            else:
                arrive(now_s)

    def _hear(
        self, arrived_s: float, source: int, sequence: int, samples: Samples, begins: bool
    ) -> None:
        heard = self._ear.hear(arrived_s, source, sequence, samples, begins)
        if heard is None or not heard.loud:
            return
        if self._sounds(arrived_s - self._zero_s):
            self._wake()

    async def _run(self) -> None:
        due_s, tick = time.monotonic() + PACKET_S, 0
        while not self.ended.is_set():
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            late_s = time.monotonic() - due_s
            self._worst_late_s = max(self._worst_late_s, late_s)
            if late_s > STALLED_S:
                missed = math.floor(late_s / PACKET_S)
                due_s, tick = due_s + missed * PACKET_S, tick + missed
            frame = self._mouth.next_frame()
            self._sent.append(Chunk(self.now_s, frame.narrow))
            self._transmit(frame, tick)
            if frame.last and self._said is not None and not self._said.done():
                self._said.set_result(len(self._sent))
            due_s, tick = due_s + PACKET_S, tick + 1

    async def _sleep(self, until_s: float) -> None:
        """Until then, or until something changes."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.add(change)
        try:
            # Rounded up, so that a timer that is a little early does not spin.
            await asyncio.wait({change}, timeout=max(0.001, until_s - self.now_s))
        finally:
            self._changed.discard(change)

    def _wake(self) -> None:
        for change in self._changed:
            if not change.done():
                change.set_result(None)
