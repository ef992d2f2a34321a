"""The media stream: the only contract between the gateway and an agent.

One WebSocket a call, opened by the gateway. Binary messages carry audio, 16-bit little-endian
mono PCM at ``SAMPLE_RATE_HZ``:

* gateway to agent: the caller, exactly one ``FRAME_BYTES`` frame every 20 ms, without gaps
  (silence and lost packets are filled in), so counting frames is the agent's clock;
* agent to gateway: any whole number of samples, as fast as it likes; the gateway paces it.

Text messages are JSON objects with an ``event`` field. The names are those carriers use on their
own media streams (``start``, ``dtmf``, ``mark``, ``clear``, ``stop``), plus ``transfer`` and
``resume`` for handing the caller to a person (``announcement``, ``withdraw`` and ``call_back`` go
with them), ``playout`` and ``cleared`` for what was really heard, ``caption`` for the words on a
web caller's page, ``steer`` and ``steered`` for what a supervisor wants said or done, ``note`` for
what only the agent knows of the call, ``overheard`` for an agent that assists a person in silence,
and ``opening``, ``consent`` and ``pause`` for whether a call may be recorded. Unknown events are
ignored, so either side may learn new ones first.

``parse`` and ``encode`` are pure; both sides use them, and so can any other gateway.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

VERSION = 1
SAMPLE_RATE_HZ = 16_000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * 2
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Room for a one-minute announcement in base64; anything larger closes the stream."""

MAX_NOTE_BYTES = 32 * 1024
OVERHEARD_MS = 100

TransferState: TypeAlias = Literal[
    "wanted", "waiting", "ringing", "answered", "bridged", "transferred", "failed", "ended"
]
SUPERVISOR = "supervisor"
"""No queue bears this name: in a `Transfer` that tells of a takeover it is the ``target``, and in
one that a supervisor wants it is the ``cause``."""
Offer: TypeAlias = Literal["call_back"]
"""What the gateway can do for a caller who cannot be put through now."""


class MediaStreamError(ValueError):
    """A message that breaks the contract. ``code`` is stable; nothing of the message is quoted."""

    code = "media_stream_invalid"
    retryable = False


# --- gateway to agent ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """First message of every stream. ``line`` says which kind of leg the caller is on."""

    event: ClassVar[str] = "start"
    call_id: str
    leg_id: str = ""
    """The caller's own name for the call (the SIP Call-ID, made safe), to find its record by."""
    caller: str = ""
    """Their number, else ``user@host``: the same in each of their calls. Personal data."""
    dialled: str = ""
    line: Literal["sip", "webrtc"] = "sip"
    resumed: bool = False
    """True when this call was already answered by an agent that went away."""
    disclose: bool = False
    """The agent's first words say that it is a machine; it tells when they were ``disclosed``."""
    opening: bool = False
    """The gateway speaks first: ``opening`` says when it is the agent's turn to greet."""
    recorded: bool = False
    """The call is being recorded, as far as that is settled."""
    paused: bool = False
    """An earlier agent's ``pause`` lasts: this one ends it, once the talk is of something else."""
    elapsed_ms: int = 0
    """How long the caller has been on the line: where the call is in its recording."""
    turns: int = 0
    """How many turns earlier agents have told of, by the ``index`` in their notes."""
    sample_rate_hz: int = SAMPLE_RATE_HZ
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Playout:
    """What the caller has really heard: agent audio played since ``start``, in ms of audio.

    ``at_ms`` is the caller's audio clock (frames sent up, times 20) when this was true.
    ``buffered_ms`` has been received from the agent and is not yet played. Sent at once when the
    first packet of a reply into silence has left, every 100 ms while anything plays, and once when
    the buffer runs dry.

    Audio leaves in packets, the first sample with its packet. In the first report of a reply
    ``at_ms`` is the end of that packet's time, so ``at_ms`` less the reply's part of ``played_ms``
    is when its first sample left, within 10 ms (a packet more when the SIP stack lags by one). In
    later reports the packet last sent counts as played: they are up to 20 ms ahead of the ear.
    """

    event: ClassVar[str] = "playout"
    played_ms: int
    buffered_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """Answer to ``clear``: nothing older will be heard any more. ``played_ms`` is final."""

    event: ClassVar[str] = "cleared"
    played_ms: int
    dropped_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Opening:
    """How the gateway's own first words go: ``asked`` when the question whether the call may be
    recorded has been heard to its end, ``over`` when the caller is the agent's.

    What the agent says before ``over`` is kept, and played after it. ``permission`` (with ``over``)
    is how it ended: ``notice_heard``, ``agreed_by_word``, ``agreed_by_key``, ``refused``,
    ``unanswered`` or ``not_heard``; only with the first three the call is ``recorded``.
    """

    event: ClassVar[str] = "opening"
    state: Literal["asked", "over"]
    permission: str = ""
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """The agent has the caller again after a transfer or a takeover that failed or ended.

    ``note`` is what a supervisor who hands back has agreed with the caller, in their own words.
    """

    event: ClassVar[str] = "resume"
    reason: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Steer:
    """A supervisor steers the agent; answered by ``steered`` with the same id.

    ``say`` true: say ``text`` next, word for word. False: ``text`` is an instruction for the
    replies to come. Either way the agent's own guards decide whether they let it pass.
    """

    event: ClassVar[str] = "steer"
    steer_id: str
    text: str
    say: bool = False


@dataclass(frozen=True, slots=True)
class Overheard:
    """What the caller hears while a person has them, for an agent that assists in silence.

    ``audio`` is base64 PCM in the stream's format, ``OVERHEARD_MS`` of it. It never replaces the
    binary frames: those are still the caller, one every 20 ms.
    """

    event: ClassVar[str] = "overheard"
    audio: str


# --- both ways -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key: pressed by the caller (gateway to agent) or to be sent (agent to gateway)."""

    event: ClassVar[str] = "dtmf"
    digit: str
    duration_ms: int = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """Agent to gateway: echo this name when all audio sent so far has been played (or cleared)."""

    event: ClassVar[str] = "mark"
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The call is over, or (from the agent) should be once the audio sent has been played."""

    event: ClassVar[str] = "stop"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Agent to gateway: hand the caller to a person, ``state`` empty.

    Gateway to agent: how it goes, ``state`` set.

    ``target`` is a queue, a configured line or a SIP URI; empty means the default line. ``reason``
    is what the person hears, in words; ``cause`` a code for why, ``link`` the address of a page
    with the story (both travel in SIP headers). ``announcement`` is base64 PCM in the stream's
    format, played to the human agent before the bridge; with ``announced_later`` it comes in a
    message of its own, so that the telephone rings while it is being spoken.

    States: ``wanted`` (a supervisor wants a person to have this caller: the agent is to ask for one
    of ``target`` at once, for the ``cause`` given, and to say so), ``waiting`` (all are busy;
    ``position`` counts from 1, ``wait_s`` is estimated from measured times, ``None`` when there are
    too few), ``ringing``, ``answered``, ``bridged``, ``failed`` (``reason``: ``busy``,
    ``declined``, ``no_answer``, ``unreachable``, ``closed``, ``queue_full``, ``gave_up_waiting``,
    …), ``ended`` (also when the agent has withdrawn its wish), and ``transferred``: the caller's
    own line has put them through, and the call ends. ``offers`` is what can be had instead.
    Until ``bridged`` the caller still hears the agent; from then on caller audio goes to the person
    and the agent receives silence.
    """

    event: ClassVar[str] = "transfer"
    target: str = ""
    reason: str = ""
    announcement: str = ""
    state: TransferState | Literal[""] = ""
    cause: str = ""
    link: str = ""
    announced_later: bool = False
    position: int = 0
    wait_s: float | None = None
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class CallBack:
    """Agent to gateway, ``state`` empty: ring this caller later, through the queue ``target``.

    ``number`` are digits, perhaps after a +; empty: where the caller rings from. The other fields
    are those of a transfer. Gateway to agent: ``kept`` once it is on disk, or ``refused`` with a
    ``reason`` (``number_not_allowed``, ``not_offered``, ``too_many``, ``not_kept``).
    """

    event: ClassVar[str] = "call_back"
    number: str = ""
    target: str = ""
    reason: str = ""
    announcement: str = ""
    cause: str = ""
    link: str = ""
    state: Literal["", "kept", "refused"] = ""


# --- agent to gateway ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop all agent audio not yet played, at once. Answered by ``cleared``."""

    event: ClassVar[str] = "clear"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the person hears of a transfer that was sent ``announced_later``: base64 PCM, perhaps
    empty. A person who has answered waits for it, but not long."""

    event: ClassVar[str] = "announcement"
    audio: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The caller no longer wants the person who is being rung or waited for."""

    event: ClassVar[str] = "withdraw"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """Words to show a caller who has a screen. A later caption with the same id replaces it."""

    event: ClassVar[str] = "caption"
    speaker: Literal["caller", "agent"]
    caption_id: str
    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Consent:
    """What the caller answered to the opening's question, or ``no`` at any later time: they do not
    want to be recorded any more. Only a yes to the whole question, and to nothing else, counts."""

    event: ClassVar[str] = "consent"
    answer: Literal["yes", "no", "unclear"]


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The caller has heard to its end that this is a machine. Without it an agent that comes later
    has to say so again."""

    event: ClassVar[str] = "disclosed"


@dataclass(frozen=True, slots=True)
class Pause:
    """Keep payment data out of the recording: from ``back_ms`` ago (as far as that is not on disk
    yet) until the same message with ``on`` false. The recording keeps time with silence."""

    event: ClassVar[str] = "pause"
    on: bool
    back_ms: int = 0


@dataclass(frozen=True, slots=True)
class Steered:
    """Answer to ``steer``. ``reason`` says why not, in words a supervisor may read."""

    event: ClassVar[str] = "steered"
    steer_id: str
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What the agent knows of the call and the gateway cannot: for supervisors, never for callers.

    ``kind``: ``turn`` (a turn has ended), ``mood``, ``risk``, ``road``, or ``suggestion`` (a silent
    assistant's words and passages). ``data`` may hold words of callers; encoded it has at most
    ``MAX_NOTE_BYTES``, and a larger one is a breach of the contract.
    """

    event: ClassVar[str] = "note"
    kind: Literal["turn", "mood", "risk", "road", "suggestion"]
    data: dict[str, Any]


Message: TypeAlias = (
    Start
    | Playout
    | Cleared
    | Opening
    | Resume
    | Steer
    | Overheard
    | Dtmf
    | Mark
    | Stop
    | Transfer
    | CallBack
    | Announcement
    | Withdraw
    | Clear
    | Caption
    | Consent
    | Disclosed
    | Pause
    | Steered
    | Note
)

_PARSERS: dict[str, TypeAdapter[Any]] = {
    kind.event: TypeAdapter(kind) for kind in get_args(Message)
}


def encode(message: Message) -> str:
    """One message as a JSON text frame."""
    return json.dumps({"event": message.event, **asdict(message)}, separators=(",", ":"))


def parse(text: str) -> Message | None:
    """The message in a text frame; ``None`` for an event this version does not know.

    Raises:
        MediaStreamError: not JSON, not an object, or a known event with wrong fields.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MediaStreamError("a text message that is not JSON") from error
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        raise MediaStreamError("a text message without an event name")
    parser = _PARSERS.get(data.pop("event"))
    if parser is None:
        return None
    try:
        message: Message = parser.validate_python(data)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise MediaStreamError(f"a message with a wrong field: {where or 'unknown'}") from error
    if isinstance(message, Note) and len(text.encode()) > MAX_NOTE_BYTES:
        raise MediaStreamError("a note that is too large")
    return message


def check_audio(data: bytes) -> bytes:
    """Audio as it may enter a stream: whole samples only.

    Raises:
        MediaStreamError: an odd number of bytes, i.e. a sender that stopped mid-sample.
    """
    if len(data) % 2:
        raise MediaStreamError("audio with half a sample")
    return data
