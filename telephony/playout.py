"""Paced output of one agent's audio, and the account of what the caller has really heard. Pure.

The agent sends as fast as it likes; the call's clock pops one frame every 20 ms. A frame popped is
still in the leg's send buffer for a while, so what counts as *played* is what was popped less what
the leg says is not on the wire yet.

Overflow rule: a buffer that is full refuses what comes (the newest audio); the agent is far ahead
of the caller then, and what was promised first is heard first.
"""

from __future__ import annotations

from collections import deque

from telephony.audio import SILENCE
from telephony.media_stream import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, Cleared
from telephony.media_stream import Playout as PlayoutReport

LIMIT_MS = 120_000
REPORT_MS = 100
MAX_MARKS = 10_000

_BYTES_PER_MS = SAMPLE_RATE_HZ * 2 // 1000
_LEDGER_FRAMES = 64


class Playout:
    """A bounded buffer of agent audio between the media stream and the caller's leg."""

    def __init__(self, limit_ms: int = LIMIT_MS) -> None:
        self._limit_bytes = limit_ms * _BYTES_PER_MS
        self._buffer = bytearray()
        self._popped_bytes = 0
        self._reported_bytes = 0
        """What was last said to be played; never goes back."""
        self._ledger: deque[int] = deque(maxlen=_LEDGER_FRAMES)
        """Agent bytes in each of the last frames given to the leg, newest last."""
        self._marks: deque[tuple[int, str]] = deque()
        self._since_report_ms = 0
        self._dry_told = True
        self._begins_after: int | None = None
        """Bytes played before a reply of which nothing is on the wire yet."""

    @property
    def begins(self) -> bool:
        """A reply was given to the leg and nothing of it is known to be on the wire."""
        return self._begins_after is not None

    @property
    def buffered_ms(self) -> int:
        """Audio not yet given to the leg."""
        return len(self._buffer) // _BYTES_PER_MS

    def all_heard(self, unsent_ms: int) -> bool:
        """Everything taken so far is on the wire."""
        return not self._buffer and not self._unsent_bytes(unsent_ms)

    def played_ms(self, unsent_ms: int) -> int:
        """Agent audio on the wire so far, given what the leg still holds. Never decreases."""
        played = self._popped_bytes - self._unsent_bytes(unsent_ms)
        self._reported_bytes = max(self._reported_bytes, played)
        return self._reported_bytes // _BYTES_PER_MS

    def add(self, audio: bytes) -> int:
        """Take audio of any length; the number of ms refused because the buffer is full."""
        room = self._limit_bytes - len(self._buffer)
        accepted = audio if len(audio) <= room else audio[:room]
        self._buffer += accepted
        return -(-(len(audio) - len(accepted)) // _BYTES_PER_MS)

    def add_mark(self, name: str) -> bool:
        """Remember a mark behind the audio taken so far; False when there are too many."""
        if len(self._marks) >= MAX_MARKS:
            return False
        self._marks.append((self._popped_bytes + len(self._buffer), name))
        return True

    def pop_frame(self) -> bytes | None:
        """The next frame for the caller, ``None`` when dry; only the last frame is ever padded."""
        if not self._buffer:
            return None
        frame = bytes(self._buffer[:FRAME_BYTES])
        del self._buffer[:FRAME_BYTES]
        if self._dry_told:
            self._begins_after = self._popped_bytes
        self._popped_bytes += len(frame)
        self._ledger.append(len(frame))
        self._dry_told = False
        return frame.ljust(FRAME_BYTES, b"\0")

    def note_leg_dry(self) -> None:
        """The leg has sent all it was given."""
        self._ledger.clear()

    def note_other_frame(self) -> None:
        """A frame without agent audio went to the leg (silence, a prompt)."""
        self._ledger.append(0)

    def marks_reached(self, unsent_ms: int) -> list[str]:
        """Names of marks all of whose audio is on the wire, oldest first; each is given once."""
        if not self._marks:
            return []
        played = self._popped_bytes - self._unsent_bytes(unsent_ms)
        reached = []
        while self._marks and self._marks[0][0] <= played:
            reached.append(self._marks.popleft()[1])
        return reached

    def clear(self, at_ms: int, unsent_ms: int) -> tuple[Cleared, list[str]]:
        """Forget everything not on the wire; the caller of this flushes the leg.

        Returns the answer for the agent and the marks this settles.
        """
        unsent = self._unsent_bytes(unsent_ms)
        dropped_ms = (len(self._buffer) + unsent) // _BYTES_PER_MS
        self._buffer.clear()
        self._popped_bytes = max(self._popped_bytes - unsent, self._reported_bytes)
        self._ledger.clear()
        self._dry_told = True
        self._begins_after = None
        self._since_report_ms = 0
        settled = [name for _, name in self._marks]
        self._marks.clear()
        return Cleared(played_ms=self.played_ms(0), dropped_ms=dropped_ms, at_ms=at_ms), settled

    def first_report(self, at_ms: int, unsent_ms: int) -> PlayoutReport | None:
        """What to tell the agent when the first packet of a reply has just left; else ``None``.

        A packet leaves with its first sample and lasts 20 ms, so the report is dated to its end:
        ``at_ms`` less what of the reply was played is when the reply began.
        """
        if self._begins_after is None:
            return None
        unsent = self._unsent_bytes(unsent_ms)
        if self._popped_bytes - unsent <= self._begins_after:
            return None
        begun_bytes, self._begins_after = self._begins_after, None
        self._since_report_ms = 0
        played_ms = self.played_ms(unsent_ms)
        lasts_ms = min(FRAME_MS, played_ms - begun_bytes // _BYTES_PER_MS)
        buffered_ms = (len(self._buffer) + unsent) // _BYTES_PER_MS
        return PlayoutReport(played_ms, buffered_ms, at_ms + lasts_ms)

    def report(self, at_ms: int, unsent_ms: int) -> PlayoutReport | None:
        """What to tell the agent after this tick: at a reply's first packet, every 100 ms while
        playing, once when dry."""
        if first := self.first_report(at_ms, unsent_ms):
            return first
        unsent = self._unsent_bytes(unsent_ms)
        if not self._buffer and not unsent:
            if self._dry_told:
                return None
            self._dry_told = True
            self._since_report_ms = 0
            return PlayoutReport(self.played_ms(unsent_ms), 0, at_ms)
        self._dry_told = False
        self._since_report_ms += FRAME_MS
        if self._since_report_ms < REPORT_MS:
            return None
        self._since_report_ms = 0
        buffered_ms = (len(self._buffer) + unsent) // _BYTES_PER_MS
        return PlayoutReport(self.played_ms(unsent_ms), buffered_ms, at_ms)

    def _unsent_bytes(self, unsent_ms: int) -> int:
        """How much of what the leg has not sent is agent audio."""
        remaining = max(0, unsent_ms) * _BYTES_PER_MS
        unsent = 0
        for agent_bytes in reversed(self._ledger):
            if remaining <= 0:
                break
            tail = min(FRAME_BYTES, remaining)
            # Agent audio leads its frame, padding follows: the unsent tail is padding first.
            unsent += max(0, tail - (FRAME_BYTES - agent_bytes))
            remaining -= tail
        return unsent


class Prompt:
    """Frames played in place of an agent: once, or on and on from ``repeat_from``."""

    def __init__(self, frames: list[bytes], *, repeat_from: int | None = None) -> None:
        self._frames = frames or [SILENCE]
        self._repeat_from = repeat_from
        self._next = 0

    def pop_frame(self) -> bytes | None:
        """The next frame, ``None`` when finished."""
        if self._next >= len(self._frames):
            if self._repeat_from is None:
                return None
            self._next = min(self._repeat_from, len(self._frames) - 1)
        frame = self._frames[self._next]
        self._next += 1
        return frame
