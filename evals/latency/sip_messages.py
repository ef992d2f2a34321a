"""SIP messages and session descriptions, as far as a plain telephone needs them. Pure.

RFC 3261 (messages, dialogs), RFC 3264 (offer and answer), RFC 8866 (SDP), RFC 4733 (keys).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from evals.latency.rtp import PCMA, PCMU
from evals.wire_call import CallError

MAX_MESSAGE_BYTES = 65_535
MAX_PORT = 65_535
MAX_PAYLOAD_TYPE = 127
KEYS_TYPE = 101
"""Our own number for telephone events; any from 96 would do."""
_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_REQUEST = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request or a response; ``headers`` in order, names as they were written."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        found = _STATUS.fullmatch(self.start)
        return int(found[1]) if found else 0

    @property
    def reason(self) -> str:
        found = _STATUS.fullmatch(self.start)
        return (found[2] or "") if found else ""

    @property
    def method(self) -> str:
        """Of a request; empty for a response."""
        found = _REQUEST.fullmatch(self.start)
        return found[1] if found else ""

    def all(self, name: str) -> list[str]:
        """Every value of a header, as one a line."""
        wanted = name.lower()
        return [value for key, value in self.headers if _full_name(key) == wanted]

    def get(self, name: str) -> str:
        """The first value of a header, or nothing."""
        return next(iter(self.all(name)), "")

    @property
    def sequence(self) -> tuple[int, str]:
        """Number and method of CSeq; ``(0, "")`` when there is none."""
        found = re.fullmatch(r"([0-9]{1,10})\s+(\S+)", self.get("CSeq"))
        return (int(found[1]), found[2]) if found else (0, "")

    @property
    def branch(self) -> str:
        """Of the topmost Via: what a response is matched by."""
        return parameter(self.get("Via"), "branch")

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def read_message(data: bytes) -> SipMessage | None:
    """The message in a datagram; ``None`` for what is none."""
    if len(data) > MAX_MESSAGE_BYTES:
        return None
    head, separator, body = data.partition(b"\r\n\r\n")
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return None
    start, *rest = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    if not separator or not (_STATUS.fullmatch(start) or _REQUEST.fullmatch(start)):
        return None
    headers = []
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            return None
        if _full_name(name) != "content-length":
            headers.append((name.strip(), value.strip()))
    message = SipMessage(start, headers, body)
    whole = all(message.get(name) for name in ("Via", "From", "To", "Call-ID"))
    return message if whole and message.sequence[1] else None


def _full_name(name: str) -> str:
    lowered = name.strip().lower()
    return _COMPACT.get(lowered, lowered)


def parameter(header: str, name: str) -> str:
    """A header's own parameter (outside its angle brackets), or nothing."""
    found = re.search(
        rf";\s*{name}=([^;,>\s]+)", header.rpartition(">")[2] or header, re.IGNORECASE
    )
    return found[1] if found else ""


def address(header: str) -> str:
    """The URI in a From, To, Contact or Route header."""
    inner = re.search(r"<([^>]+)>", header)
    return inner[1] if inner else header.partition(";")[0].strip()


def split_routes(headers: Iterable[str]) -> list[str]:
    """Record-Route or Route values, one each."""
    return [part.strip() for value in headers for part in re.split(r",(?=\s*<)", value)]


def host_and_port(uri: str) -> tuple[str, int]:
    """Where a SIP address is.

    Raises:
        CallError: no SIP address, or one that UDP does not reach.
    """
    found = re.fullmatch(
        r"sip:(?:[^@<>\s]*@)?(\[[0-9a-fA-F:.]+\]|[^:;?@<>\s\[\]]+)(?::([0-9]{1,5}))?((?:[;?].*)?)",
        uri,
    )
    if found is None:
        raise CallError("that is not a SIP address (sip:somebody@somewhere)")
    transport = re.search(r";transport=([^;?]+)", found[3], re.IGNORECASE)
    if transport and transport[1].lower() != "udp":
        raise CallError("this telephone speaks SIP over UDP only")
    port = int(found[2] or 5060)
    if not 0 < port <= MAX_PORT:
        raise CallError("that SIP address has no such port")
    return found[1].strip("[]"), port


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """Where the far end wants its sound, and as what. ``keys_type`` 0: it takes no keys."""

    host: str
    port: int
    payload_type: int
    keys_type: int
    direction: str = "sendrecv"
    """As the far end sees it."""


def describe(host: str, port: int, direction: str, version: int, types: Iterable[int]) -> bytes:
    """Our own session description: G.711 of these types, and keys, in 20 ms packets."""
    family = "IP6" if ":" in host else "IP4"
    names = {PCMU: "PCMU", PCMA: "PCMA"}
    chosen = list(types)
    lines = [
        "v=0",
        f"o=caller {version} {version} IN {family} {host}",
        "s=call",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, [*chosen, KEYS_TYPE]))}",
        *(f"a=rtpmap:{kind} {names[kind]}/8000" for kind in chosen),
        f"a=rtpmap:{KEYS_TYPE} telephone-event/8000",
        f"a=fmtp:{KEYS_TYPE} 0-15",
        "a=ptime:20",
        f"a={direction}",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


@dataclass(slots=True)
class _Section:
    host: str = ""
    port: int = 0
    profile: str = ""
    types: list[int] = field(default_factory=list)
    direction: str = ""
    keys: int = 0


def read_description(body: bytes) -> RemoteMedia:
    """What the far end offers or answers.

    Raises:
        CallError: no description, no audio in it, or none that is plain G.711.
    """
    session, audio = _Section(), None
    section: _Section | None = session
    for line in body.decode(errors="replace").splitlines():
        kind, _, value = line.partition("=")
        if kind == "m":
            section = _audio_section(value) if audio is None else None
            audio = audio or section
        elif section is not None:
            _read_line(section, kind, value.strip())
    if audio is None or audio.port == 0:
        raise CallError("the far end has no audio in its session description", 488)
    if audio.profile != "RTP/AVP":
        raise CallError(f"the far end wants {audio.profile}, this telephone speaks RTP/AVP", 488)
    spoken = [kind for kind in audio.types if kind in (PCMU, PCMA)]
    host = audio.host or session.host
    if not spoken or not host:
        raise CallError("the far end speaks neither PCMU nor PCMA", 488)
    direction = audio.direction or session.direction or "sendrecv"
    return RemoteMedia(host, audio.port, spoken[0], audio.keys, direction)


def _audio_section(value: str) -> _Section | None:
    found = re.fullmatch(r"audio ([0-9]{1,5})(?:/[0-9]+)? (\S+)((?: [0-9]{1,3})+)\s*", value)
    if found is None or int(found[1]) > MAX_PORT:
        return None
    return _Section("", int(found[1]), found[2], [int(kind) for kind in found[3].split()])


def _read_line(section: _Section, kind: str, value: str) -> None:
    if kind == "c" and (found := re.fullmatch(r"IN IP[46] ([^/\s]+).*", value)):
        section.host = found[1]
    elif kind == "a" and value in ("sendrecv", "sendonly", "recvonly", "inactive"):
        section.direction = value
    elif kind == "a" and (
        found := re.fullmatch(r"rtpmap:([0-9]{1,3}) telephone-event/8000.*", value, re.IGNORECASE)
    ):
        section.keys = int(found[1]) if int(found[1]) <= MAX_PAYLOAD_TYPE else 0


MIRRORED = {"sendonly": "recvonly", "recvonly": "sendonly"}
"""How an offered direction is answered (RFC 3264, section 6.1); others stay."""
