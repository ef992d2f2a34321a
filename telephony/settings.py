"""The gateway's part of the settings tree. Every field says what it is for; see ``configs/``."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from telephony.media_stream import SUPERVISOR
from telephony.switch_file import DEFAULT_PATH

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class Section(BaseModel):
    """A part of the settings tree: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"`{value}` is no time zone this machine knows") from error
    return value


def _span(value: str) -> str:
    begins, dash, ends = value.partition("-")
    if not dash or not (_TIME.fullmatch(begins) and _TIME.fullmatch(ends)) or begins >= ends:
        raise ValueError(f"`{value}` is no span of time within a day, such as 08:00-17:30")
    return value


def _with_number(value: str) -> str:
    if value and ("{number}" not in value or not value.startswith(("sip:", "sips:"))):
        raise ValueError("no SIP address with {number} in it")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no pattern: {error}") from error
    return value


TransferMeans: TypeAlias = Literal["bridge", "refer", "replaces"]
"""How a caller gets to a person: both legs stay here; the caller's line is asked to ring them
(REFER); or to take over the call we have with them (REFER with Replaces)."""


class TrunkSettings(Section):
    """A SIP trunk or PBX to register with."""

    user: str = Field(description="User part of our address at the trunk")
    domain: str = Field(description="The trunk's domain, with a port if it is not 5060")
    registrar: str | None = Field(None, description="Outbound proxy, when it is not the domain")
    auth_user: str | None = Field(None, description="Digest user name, when it is not `user`")
    password_env: str = Field(
        "VOICE_AGENT_TRUNK_PASSWORD", description="Environment variable that holds the password"
    )
    transport: Literal["udp", "tcp", "tls"] = Field("udp", description="SIP transport to the trunk")
    expires_s: int = Field(300, ge=30, description="Seconds between registrations")
    transfers: TransferMeans = Field(
        "bridge", description="What it can do for its callers: nothing, `refer`, or also `replaces`"
    )


class TlsSettings(Section):
    """SIP over TLS."""

    port: int = Field(
        5061, ge=1, le=65535, description="Port for SIP over TLS; must be `gateway.sip.port` + 1"
    )
    certificate: Path = Field(description="PEM file with the certificate and its key")
    authorities: Path | None = Field(
        None, description="PEM file of authorities our own TLS calls trust; absent: the system's"
    )


class SipSettings(Section):
    """The gateway's SIP side."""

    enabled: bool = Field(True, description="Take calls over SIP")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say so")
    port: int = Field(5060, ge=1, le=65535, description="Port for SIP over UDP and TCP")
    user: str = Field("agent", description="Name the agent answers to; other names are taken too")
    tls: TlsSettings | None = Field(None, description="SIP over TLS; absent means off")
    srtp: Literal["off", "optional", "mandatory"] = Field("off", description="SRTP with SDES keys")
    codecs: tuple[str, ...] = Field(
        ("PCMU", "PCMA"), description="Audio codecs offered and accepted, best first"
    )
    rtp_ports: tuple[int, int] = Field((20000, 20999), description="First and last RTP port")
    rtp_source: Literal["agreed", "any"] = Field(
        "agreed",
        description="Whose RTP is heard: from the addresses that the call's SIP messages name or "
        "come from only, or anybody's (for trunks that send sound from elsewhere)",
    )
    rtp_timeout_s: int = Field(20, ge=0, description="Free a caller unheard for so long; 0: never")
    jitter_buffer_ms: tuple[int, int] = Field(
        (0, 200), description="Least and most delay of the adaptive jitter buffer"
    )
    trunk: TrunkSettings | None = Field(None, description="Register with this trunk; absent: none")
    transfers: TransferMeans = Field(
        "bridge", description="As `trunk.transfers`, for callers who come any other way"
    )


class WebSettings(Section):
    """The page, WebRTC, health and metrics."""

    enabled: bool = Field(True, description="Serve the page and take calls over WebRTC")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say so")
    port: int = Field(8080, ge=1, le=65535, description="HTTP port")
    names: tuple[str, ...] = Field(
        (), description="Host names the page may be asked for by, besides addresses and localhost"
    )
    ice_servers: tuple[str, ...] = Field((), description="STUN or TURN URLs for callers elsewhere")
    turn_secret_env: str = Field(
        "VOICE_AGENT_TURN_SECRET",
        description="Environment variable with the TURN servers' shared secret, if they want one",
    )
    media_host: str | None = Field(
        None, description="Only this local address is offered for WebRTC media; absent: all"
    )


class AgentLinkSettings(Section):
    """Where the gateway finds an agent."""

    url: str = Field("ws://127.0.0.1:8090/media", description="The agent's media stream")
    token_env: str = Field(
        "VOICE_AGENT_MEDIA_TOKEN",
        description="Environment variable with the shared token; required beyond loopback",
    )
    connect_timeout_s: float = Field(3.0, gt=0, description="Patience with one connection attempt")
    attempts: int = Field(3, ge=1, description="Attempts before the caller goes to a person")
    first_audio_timeout_s: float = Field(
        10.0, ge=0, description="An agent silent for so long at first counts as dead; 0: never"
    )


Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class HoursSettings(Section):
    """When people are there."""

    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC", description="Name of the zone the times are of, e.g. Europe/London"
    )
    weekly: dict[Weekday, tuple[Annotated[str, AfterValidator(_span)], ...]] = Field(
        {}, description="Times of each day, e.g. mon: [08:00-12:00, 13:00-17:30]; none: always"
    )
    holidays: tuple[date, ...] = Field((), description="Days without anybody, e.g. 2026-12-25")


class QueueSettings(Section):
    """A queue of callers, and the people who take them."""

    targets: tuple[str, ...] = Field(
        (), description="SIP addresses or names of lines; none: the human line"
    )
    strategy: Literal["in_order", "ring_all", "round_robin", "longest_idle"] = Field(
        "in_order", description="Who is rung first"
    )
    calls_each: int = Field(
        1, ge=0, description="Calls one target has at once; 0: as many as come (a PBX)"
    )
    ring_timeout_s: float | None = Field(
        None, gt=0, description="Ring one target so long; absent: as the human line"
    )
    accept: Literal["answer", "key"] = Field(
        "answer", description="Answering is accepting, or 1 is pressed; 2 declines either way"
    )
    wait_s: float = Field(300.0, ge=0, description="Wait so long for somebody to be free; 0: never")
    retry_s: float = Field(10.0, gt=0, description="Ring those who did not take it again after")
    max_waiting: int = Field(20, ge=0, description="Further callers are told that it is full")
    overflow: str = Field("", description="The queue that follows when nobody of this one can")
    transfer: TransferMeans = Field(
        "bridge", description="Let the caller's line transfer, where it can: `refer` or `replaces`"
    )
    hours: HoursSettings = HoursSettings()
    call_back: bool = Field(True, description="Callers may be rung later, through this queue")


class CallBackSettings(Section):
    """Ringing callers later."""

    address: Annotated[str, AfterValidator(_with_number)] = Field(
        "", description="SIP address with {number}; empty: through the trunk, or never"
    )
    numbers: Annotated[str, AfterValidator(_pattern)] = Field(
        r"\+?[0-9]{7,15}",
        description="Pattern of all of a number that may be rung; beware of fraud",
    )
    never: Annotated[str, AfterValidator(_pattern)] = Field(
        r"(\+1|1)?900[0-9]*|(\+44|0)9[0-9]*", description="Pattern of numbers never rung: premium"
    )
    path: Path = Field(Path("var/call_backs.sqlite"), description="SQLite file they are kept in")
    tries: int = Field(3, ge=1, description="Give up after so many calls nobody took")
    retry_s: float = Field(600.0, gt=0, description="Seconds until the next try")
    ring_timeout_s: float = Field(30.0, gt=0, description="Ring the caller so long")
    max_open: int = Field(500, ge=1, description="Call-backs kept at once; more are refused")
    max_each: int = Field(2, ge=1, description="Of which so many for one number")


class HumanLineSettings(Section):
    """Where people answer."""

    uri: str = Field("sip:human@127.0.0.1:5070", description="SIP address of the human line")
    ring_timeout_s: float = Field(20.0, gt=0, description="Ring so long before giving up")
    lines: dict[str, str] = Field({}, description="Further lines an agent may name: name to URI")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts (host or host:port) where an agent may ring anybody; beware of fraud"
    )
    patience_s: float = Field(
        1800.0, ge=0, description="While agents are off the phones a caller waits so long"
    )
    after_hang_up: Literal["end", "agent"] = Field(
        "end", description="When the person hangs up: end the call, or back to the agent"
    )
    queues: dict[str, QueueSettings] = Field(
        {}, description="Queues an agent may name (see `configs/handoff.yaml`)"
    )
    queue: str = Field(
        "", description="Queue of callers who have no agent, or none named; empty: the human line"
    )
    transfer: TransferMeans = Field(
        "bridge", description="As a queue's `transfer`, for lines and addresses without a queue"
    )
    wait_without_agent_s: float = Field(
        0.0, ge=0, description="On the human line without an agent, wait so long for a person"
    )
    hours: HoursSettings = HoursSettings()
    call_backs: CallBackSettings = CallBackSettings()

    @model_validator(mode="after")
    def _queues_known(self) -> HumanLineSettings:
        if SUPERVISOR in self.queues:
            raise ValueError(f"`{SUPERVISOR}` is what takeovers are told by, and no queue's name")
        for name, queue in self.queues.items():
            if queue.overflow and queue.overflow not in self.queues:
                raise ValueError(f"queue `{name}` overflows into `{queue.overflow}`: no such queue")
            for target in queue.targets:
                if not target.startswith(("sip:", "sips:")) and target not in self.lines:
                    raise ValueError(f"queue `{name}`: `{target}` is neither a line nor an address")
        if self.queue and self.queue not in self.queues:
            raise ValueError(f"`{self.queue}` is no queue")
        return self


class RecordingSettings(Section):
    """Stereo recordings: the caller left, everything the caller hears right."""

    enabled: bool = Field(False, description="Record calls; off unless you say so")
    folder: Path = Field(Path("var/recordings"), description="Where recordings are written")


class ControlSettings(Section):
    """The control interface: live calls, supervisors, the switch. For the console alone."""

    enabled: bool = Field(True, description="Serve the control interface")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say so")
    port: int = Field(8070, ge=0, le=65535, description="Port; 0: any free one")
    token_env: str = Field(
        "VOICE_AGENT_CONTROL_TOKEN",
        description="Environment variable with the token; required beyond loopback",
    )
    token_file: Path = Field(
        Path("var/control.token"),
        description="On loopback without that variable a random token is written here at start",
    )
    phones: dict[str, str] = Field(
        {}, description="Telephones supervisors may be rung on: name to SIP address"
    )


class GatewaySettings(Section):
    """Everything the gateway needs to know."""

    max_calls: int = Field(20, ge=1, description="Further calls hear busy")
    answering: Literal["agent", "human", "closed"] = Field(
        "agent", description="Who answers new calls"
    )
    realtime: bool = Field(
        True, description="Ask the system for a turn before other processes, where it allows that"
    )
    drain_timeout_s: float = Field(
        15.0, ge=0, description="On shutdown, let live calls go on for so long before ending them"
    )
    sip: SipSettings = SipSettings()
    web: WebSettings = WebSettings()
    agent: AgentLinkSettings = AgentLinkSettings()
    human: HumanLineSettings = HumanLineSettings()
    recording: RecordingSettings = RecordingSettings()
    law: Path = Field(
        Path("configs/law.yaml"),
        description="What comes before a recording, and when the agent says what it is, by place",
    )
    control: ControlSettings = ControlSettings()
    kill_switch: Path = Field(
        DEFAULT_PATH,
        description="The switch that takes agents off the phones; read at start and all the time",
    )
    routes: dict[str, str] = Field(
        {}, description="Queue of people behind a dialled name: name to queue; others: `main`"
    )
    silent_assistant: bool = Field(
        False, description="The agent goes on listening, in silence, while a person has the caller"
    )
    prompts: Path = Field(
        Path("var/prompts"),
        description="Folder of WAV files played when no agent answers (hold, trouble, goodbye)",
    )
