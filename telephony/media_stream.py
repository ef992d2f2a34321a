"""The media stream: the only contract between the gateway and an agent.

One WebSocket a call, opened by the gateway. Binary messages carry audio, 16-bit little-endian
mono PCM at ``SAMPLE_RATE_HZ``:

* gateway to agent: the caller, exactly one ``FRAME_BYTES`` frame every 20 ms, without gaps
  (silence and lost packets are filled in), so counting frames is the agent's clock;
* agent to gateway: any whole number of samples, as fast as it likes; the gateway paces it.

Text messages are JSON objects with an ``event`` field. The names are those carriers use on their
own media streams (``start``, ``dtmf``, ``mark``, ``clear``, ``stop``), plus ``transfer`` and
``resume`` for handing the caller to a person, ``playout`` and ``cleared`` for what was really
heard, and ``caption`` for the words on a web caller's page. Unknown events are ignored, so either
side may learn new ones first.

``parse`` and ``encode`` are pure; both sides use them, and so can any other gateway.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

VERSION = 1
SAMPLE_RATE_HZ = 16_000
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * 2
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Room for a one-minute announcement in base64; anything larger closes the stream."""

TransferState: TypeAlias = Literal["ringing", "answered", "bridged", "failed", "ended"]


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
    dialled: str = ""
    line: Literal["sip", "webrtc"] = "sip"
    resumed: bool = False
    """True when this call was already answered by an agent that went away."""
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
class Resume:
    """The agent has the caller again after a transfer that failed or ended."""

    event: ClassVar[str] = "resume"
    reason: str


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

    ``target`` is a SIP URI or the name of a configured line; empty means the default line.
    ``announcement`` is base64 PCM in the stream's format, played to the human agent before the
    bridge. While ``state`` is ``ringing`` the caller still hears the agent; from ``bridged`` on
    caller audio goes to the person and the agent receives silence.
    """

    event: ClassVar[str] = "transfer"
    target: str = ""
    reason: str = ""
    announcement: str = ""
    state: TransferState | Literal[""] = ""


# --- agent to gateway ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop all agent audio not yet played, at once. Answered by ``cleared``."""

    event: ClassVar[str] = "clear"


@dataclass(frozen=True, slots=True)
class Caption:
    """Words to show a caller who has a screen. A later caption with the same id replaces it."""

    event: ClassVar[str] = "caption"
    speaker: Literal["caller", "agent"]
    caption_id: str
    text: str
    final: bool = True


Message: TypeAlias = (
    Start | Playout | Cleared | Resume | Dtmf | Mark | Stop | Transfer | Clear | Caption
)

_PARSERS: dict[str, TypeAdapter[Any]] = {
    kind.event: TypeAdapter(kind)
    for kind in (Start, Playout, Cleared, Resume, Dtmf, Mark, Stop, Transfer, Clear, Caption)
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
    return message


def check_audio(data: bytes) -> bytes:
    """Audio as it may enter a stream: whole samples only.

    Raises:
        MediaStreamError: an odd number of bytes, i.e. a sender that stopped mid-sample.
    """
    if len(data) % 2:
        raise MediaStreamError("audio with half a sample")
    return data
