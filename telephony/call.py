"""What a call and its legs are, and the states they go through. Pure: no sockets, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from telephony.errors import CallStateError
from telephony.media_stream import TransferState
from telephony.settings import TransferMeans


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
    it is sent. The call's clock pulls one frame every 20 ms, and pushes as many on the average.
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

    @property
    def lead_ms(self) -> int:
        """How much of what can be had early should stand unsent in the leg; 0: none."""

    def send_frame(self, frame: bytes) -> None:
        """Queue 20 ms for this party, or several frames at once. A leg that is sent nothing is
        silent by itself."""

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


@runtime_checkable
class ScreenLeg(Protocol):
    """A leg whose party can be shown how a transfer goes; test for it with ``isinstance``."""

    def show_transfer(self, state: TransferState) -> None:
        """Show that a person is being rung, has answered, or could not be had."""


TRANSFERRED: Final = "transferred"
"""Why a leg ended, and a call with it, whose line transferred it elsewhere."""

REPLACED: Final = "replaced"
"""Why a leg ended whose place another call took (an INVITE with Replaces)."""


@runtime_checkable
class TransferableLeg(Protocol):
    """A leg whose line can be asked to transfer it; test for it with ``isinstance``."""

    transfers: TransferMeans
    """What the line is able to do, by the settings."""

    async def refer(
        self, to: str | Leg, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Have this party ring an address, or take over our call with another party, and wait for
        the outcome. Once it is done the leg has ended (``TRANSFERRED``). Otherwise it goes on; to
        take over a call both legs are put on hold, and stay so. ``still_wanted`` is asked just
        before the line is.

        Raises:
            NotTransferred: refused, failed, or not possible.
        """


class CallStage(StrEnum):
    """Who has the caller. A call ends from any stage and never leaves ``ENDED``."""

    RINGING = "ringing"
    WITH_AGENT = "with_agent"
    WAITING = "waiting"
    """Answered, and no agent there: the caller hears a prompt."""
    BRIDGED = "bridged"
    CLOSING = "closing"
    """The last prompt plays, then the gateway hangs up."""
    ENDED = "ended"


class HumanStage(StrEnum):
    """How far the human agent's leg is."""

    ABSENT = "absent"
    AWAITED = "awaited"
    """All are busy; the caller waits for a turn."""
    RINGING = "ringing"
    ANNOUNCING = "announcing"
    """Answered, and being told why the caller rings."""
    BRIDGED = "bridged"


class SupervisorMode(StrEnum):
    """What a supervisor does in a call."""

    LISTEN = "listen"
    """Hears everybody, is heard by nobody."""
    WHISPER = "whisper"
    """Is heard by the human agent alone."""
    BARGE = "barge"
    """Is heard by the caller and the human agent; all go on."""
    TAKEOVER = "takeover"
    """Has the caller."""


_STEPS: dict[CallStage, frozenset[CallStage]] = {
    CallStage.RINGING: frozenset({CallStage.WITH_AGENT, CallStage.WAITING}),
    CallStage.WITH_AGENT: frozenset({CallStage.WAITING, CallStage.BRIDGED}),
    CallStage.WAITING: frozenset({CallStage.WITH_AGENT, CallStage.BRIDGED, CallStage.CLOSING}),
    CallStage.BRIDGED: frozenset({CallStage.WITH_AGENT, CallStage.WAITING}),
    CallStage.CLOSING: frozenset(),
    CallStage.ENDED: frozenset(),
}


def next_stage(current: CallStage, wanted: CallStage) -> CallStage:
    """The stage after a step; staying where one is and ending are always allowed.

    Raises:
        CallStateError: a step the table does not have.
    """
    if wanted is current or wanted is CallStage.ENDED or wanted in _STEPS[current]:
        return wanted
    raise CallStateError(f"a call that is {current} cannot become {wanted}")
