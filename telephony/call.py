"""What a call and its legs are, and the states they go through. Pure: no sockets, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias


class LegState(StrEnum):
    """A leg rings, is answered, and ends."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """Media flows."""


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """One DTMF key, duplicates already removed."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The far end put us on hold, or took us back."""

    held: bool


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The leg is over; last event. ``code`` is the SIP status where there is one, else 0."""

    reason: str
    code: int = 0


LegEvent: TypeAlias = LegAnswered | DigitPressed | HoldChanged | LegEnded


class Leg(Protocol):
    """One party on the line, SIP or WebRTC. Audio is frames of the media stream's format.

    Audio methods never block and never raise: a leg that has ended gives ``None`` and drops what
    it is sent. The call's clock pulls and pushes one frame every 20 ms.
    """

    leg_id: str
    kind: Literal["sip", "webrtc"]
    remote: str
    """Who is at the far end (SIP URI), personal data."""
    dialled: str
    """What they dialled."""
    state: LegState

    def receive_frame(self) -> bytes | None:
        """The next 20 ms from this party; ``None`` when nothing has arrived."""

    def send_frame(self, frame: bytes) -> None:
        """Queue 20 ms for this party."""

    def flush(self) -> None:
        """Forget frames queued and not yet on the wire."""

    @property
    def unsent_ms(self) -> int:
        """Audio queued and not yet on the wire."""

    async def next_event(self) -> LegEvent:
        """Wait for the next event; after ``LegEnded`` there is none."""

    async def answer(self) -> None:
        """Accept an incoming leg."""

    async def hang_up(self, reason: str = "") -> None:
        """End the leg; harmless when it has ended."""

    async def send_digits(self, digits: str) -> None:
        """Press keys towards this party."""

    async def hold(self, held: bool) -> None:
        """Put this party on hold or take it back."""

    def show_caption(
        self, speaker: Literal["caller", "agent"], caption_id: str, text: str, final: bool
    ) -> None:
        """Show words to a party with a screen; others ignore it."""
