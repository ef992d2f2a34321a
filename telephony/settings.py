"""The gateway's part of the settings tree. Every field says what it is for; see ``configs/``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of the settings tree: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    rtp_timeout_s: int = Field(20, ge=0, description="Free a caller unheard for so long; 0: never")
    jitter_buffer_ms: tuple[int, int] = Field(
        (0, 200), description="Least and most delay of the adaptive jitter buffer"
    )
    trunk: TrunkSettings | None = Field(None, description="Register with this trunk; absent: none")


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


class HumanLineSettings(Section):
    """Where people answer."""

    uri: str = Field("sip:human@127.0.0.1:5070", description="SIP address of the human line")
    ring_timeout_s: float = Field(20.0, gt=0, description="Ring so long before giving up")
    lines: dict[str, str] = Field({}, description="Further lines an agent may name: name to URI")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts (host or host:port) where an agent may ring anybody; beware of fraud"
    )
    after_hang_up: Literal["end", "agent"] = Field(
        "end", description="When the person hangs up: end the call, or back to the agent"
    )


class RecordingSettings(Section):
    """Stereo recordings: the caller left, everything the caller hears right."""

    enabled: bool = Field(False, description="Record calls; off unless you say so")
    folder: Path = Field(Path("var/recordings"), description="Where recordings are written")


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
    prompts: Path = Field(
        Path("var/prompts"),
        description="Folder of WAV files played when no agent answers (hold, trouble, goodbye)",
    )
