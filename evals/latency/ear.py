"""What packets a caller hears, and when: arrivals on an axis. Pure.

An ear without a jitter buffer: the samples of a packet are heard from the moment it arrives, or
from the end of the one before if that is still sounding. Delay gathered in that way is given back
in the first quiet packet, so that a word's first sample always sits at its packet's arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.latency.rtp import Unwrapped
from evals.wire_audio import RATE_HZ, Chunk, Samples, Span

LOUD_RMS = 60.0
"""A packet louder than this holds sound (about -55 dBFS, above G.711's idle noise)."""
RESTART_PACKETS = 100
"""A sequence so far behind is a new one (RFC 3550, appendix A.1, MAX_MISORDER)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet that was heard. ``arrived_s`` on any monotonic clock; ``missing`` packets should
    have come before it and had not."""

    arrived_s: float
    samples: Samples
    missing: int
    begins: bool
    """The far end had paused its sending on purpose before this packet."""
    loud: bool


class Ear:
    """Takes packets as they come; keeps those that are heard, counts the others."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.received = 0
        self.duplicates = 0
        self.late = 0
        """Came after a later packet had been heard."""
        self._source: int | None = None
        self._sequence = Unwrapped(16)
        self._last = 0
        self._lost: set[int] = set()

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return len(self._lost)

    def hear(
        self, arrived_s: float, source: int, sequence: int, samples: Samples, begins: bool = False
    ) -> Heard | None:
        """Take a packet; what is heard of it, ``None`` for one that comes again or too late."""
        self.received += 1
        number = self._sequence.value(sequence) if source == self._source else None
        if number is None or number <= self._last - RESTART_PACKETS:
            self._source, self._sequence = source, Unwrapped(16)
            number = self._sequence.value(sequence)
            self._last, begins = number - 1, True
            self._lost.clear()
        if number <= self._last:
            if number in self._lost:
                self._lost.discard(number)
                self.late += 1
            else:
                self.duplicates += 1
            return None
        missing = number - self._last - 1
        self._lost.update(range(self._last + 1, number))
        self._last = number
        heard = Heard(arrived_s, samples, missing, begins, loudness(samples) > LOUD_RMS)
        self.heard.append(heard)
        return heard

    def pass_over(self, sequence: int) -> None:
        """A packet of the same stream that is no sound (a key): it is not missing."""
        if self._source is not None:
            number = self._sequence.value(sequence)
            if number == self._last + 1:
                self._last = number


def sounding(heard: Sequence[Heard], zero_s: float) -> tuple[list[Chunk], list[Span]]:
    """What sounds of each packet, and where on the axis that begins at ``zero_s``.

    Spans do not overlap; a quiet packet makes way for what comes after it.
    """
    chunks: list[Chunk] = []
    spans: list[Span] = []
    quiet_before = False
    for packet in heard:
        arrived = round((packet.arrived_s - zero_s) * RATE_HZ)
        samples, loud = packet.samples, packet.loud
        start = arrived
        if spans and spans[-1].end > arrived:
            before = spans[-1]
            if quiet_before:
                end = max(before.start, arrived)
                spans[-1] = Span(before.start, end)
                chunks[-1] = Chunk(chunks[-1].seen_s, chunks[-1].samples[: end - before.start])
            start = max(arrived, spans[-1].end)
            if not loud:
                samples = samples[start - arrived :]
        chunks.append(Chunk(packet.arrived_s - zero_s, samples))
        spans.append(Span(start, start + len(samples)))
        quiet_before = not loud
    return chunks, spans


def gaps(heard: Sequence[Heard], spans: Sequence[Span]) -> list[Span]:
    """Where sound broke off because packets were missing or late: not where the far end was
    silent, whose packets came, and not where it had stopped sending on purpose."""
    found: list[Span] = []
    for number in range(1, len(spans)):
        packet, before = heard[number], heard[number - 1]
        start, end = spans[number - 1].end, spans[number].start
        audible = packet.loud or before.loud or packet.missing
        if end > start and audible and not packet.begins:
            found.append(Span(start, end))
    return found


def loudness(samples: Samples) -> float:
    """Root mean square of the samples; 0 for none."""
    return float(np.sqrt(np.square(samples.astype(np.float64)).mean())) if len(samples) else 0.0
