"""How the SIP stack is set up: settings in, configuration and accounts of baresip out. Pure but for
``check_ports`` and ``check_certificate``, which look before the stack fails in its own words.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from pathlib import Path
from typing import Literal, TypeAlias

from baresip import Account, Config

from telephony.errors import LineUnavailable
from telephony.settings import SipSettings, TrunkSettings

_CODECS = {"PCMU": "pcmu", "PCMA": "pcma", "G722": "g722/16000/1", "OPUS": "opus/48000/2"}
_MEDIA_ENCRYPTION = {"off": None, "optional": "srtp", "mandatory": "srtp-mand"}
_SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
Transport: TypeAlias = Literal["udp", "tcp", "tls"]
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def codec_names(codecs: tuple[str, ...]) -> tuple[str, ...]:
    """The stack's names of the codecs a configuration names.

    Raises:
        LineUnavailable: a codec the stack does not have.
    """
    unknown = [codec for codec in codecs if codec.upper() not in _CODECS]
    if unknown or not codecs:
        known = ", ".join(_CODECS)
        raise LineUnavailable(f"gateway.sip.codecs: {unknown or 'none'}: choose from {known}")
    return tuple(_CODECS[codec.upper()] for codec in codecs)


def account_parameters(settings: SipSettings) -> tuple[str, ...]:
    """What every account needs: an offered video stream would be answered with a second offer that
    restarts the audio, and without ``catchall`` a number we do not know gets 404. Whoever may send
    us anywhere by a REFER may ring at our expense: without ``call_transfer`` it gets 501."""
    parameters = ["video_codecs=none", "catchall=yes", "call_transfer=no"]
    if encryption := _MEDIA_ENCRYPTION[settings.srtp]:
        parameters.append(f"mediaenc={encryption}")
    return tuple(parameters)


def configuration(settings: SipSettings, max_legs: int) -> Config:
    """The stack's configuration. Audio is exchanged with us (driver ``aumem``), never a device.

    Raises:
        LineUnavailable: a setting the stack cannot have.
    """
    least_ms, most_ms = settings.jitter_buffer_ms
    first, last = settings.rtp_ports
    if last - first < 3 or least_ms < 0 or most_ms < least_ms:
        raise LineUnavailable("gateway.sip: rtp_ports or jitter_buffer_ms is not a range")
    lines = [
        f"sip_listen {settings.host}:{settings.port}",
        "sip_transports udp,tcp,tls" if settings.tls else "sip_transports udp,tcp",
        f"rtp_ports {first}-{last}",
        "audio_jitter_buffer_type adaptive",
        f"audio_jitter_buffer_ms {least_ms}-{most_ms}",
    ]
    if settings.tls:
        if settings.tls.port != settings.port + 1:
            raise LineUnavailable(
                f"gateway.sip.tls.port: must be {settings.port + 1}, one above gateway.sip.port"
            )
        lines.append(f"sip_certificate {_one_word(settings.tls.certificate)}")
    # Our own calls over TLS only go to peers whose certificate somebody vouches for.
    authorities = settings.tls.authorities if settings.tls else None
    if authorities or _SYSTEM_AUTHORITIES.is_file():
        lines.append(f"sip_cafile {_one_word(authorities or _SYSTEM_AUTHORITIES)}")
    lines.append("sip_verify_server yes")
    return Config(
        # Interface discovery skips loopback unless it is named.
        net_interface=None if settings.host in ("0.0.0.0", "::") else settings.host,  # noqa: S104
        max_concurrent_calls=max_legs,
        rtp_timeout=settings.rtp_timeout_s,
        native_log_level="error",
        expose_headers=("To",),
        extra_config_text="\n".join(lines) + "\n",
    )


def transports(settings: SipSettings) -> tuple[Transport, ...]:
    """The transports calls come and go by; the first is used when an address names none."""
    return ("udp", "tcp", "tls") if settings.tls else ("udp", "tcp")


def own_account(settings: SipSettings, transport: Transport) -> Account:
    """Our own address on one transport; it never registers.

    Raises:
        LineUnavailable: a name or codec the stack cannot have.
    """
    port = settings.tls.port if transport == "tls" and settings.tls else settings.port
    try:
        return Account(
            user=settings.user,
            domain=f"{settings.host}:{port}",
            password="",
            reg_interval=0,
            transport=transport,
            audio_codecs=codec_names(settings.codecs),
            extra_params=account_parameters(settings),
        )
    except ValueError as error:
        raise LineUnavailable(f"gateway.sip: {error}") from error


def trunk_account(settings: SipSettings, trunk: TrunkSettings, password: str) -> Account:
    """Our address at the trunk.

    Raises:
        LineUnavailable: a value the stack cannot have; never quotes the password.
    """
    try:
        return Account(
            user=trunk.user,
            domain=trunk.domain,
            password=password,
            registrar=trunk.registrar,
            reg_interval=trunk.expires_s,
            transport=trunk.transport,
            audio_codecs=codec_names(settings.codecs),
            auth_user=trunk.auth_user,
            extra_params=account_parameters(settings),
        )
    except ValueError as error:
        reason = str(error)
        if reason.startswith("password"):
            reason = "the password has a character the SIP stack cannot carry"
        raise LineUnavailable(f"gateway.sip.trunk: {reason}") from None


def check_ports(settings: SipSettings) -> None:
    """Find out before the stack does whether our ports are free.

    Raises:
        LineUnavailable: one is in use, or the address is not ours.
    """
    wanted = [(settings.port, socket.SOCK_DGRAM), (settings.port, socket.SOCK_STREAM)]
    if settings.tls:
        wanted.append((settings.tls.port, socket.SOCK_STREAM))
    for port, kind in wanted:
        name = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        try:
            family = socket.getaddrinfo(settings.host, port, type=kind)[0][0]
            with socket.socket(family, kind) as probe:
                if kind is socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "is in use: stop the other program or set gateway.sip.port"
            else:
                why = f"cannot be opened: {error.strerror}"
            raise LineUnavailable(f"SIP {name} port {settings.host}:{port} {why}") from error


def check_certificate(settings: SipSettings) -> None:
    """Find out before the stack does whether the TLS certificate can be used.

    Raises:
        LineUnavailable: it is missing, or holds no certificate with its key.
    """
    if settings.tls is None:
        return
    path = settings.tls.certificate
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "no certificate with its key in it"
        raise LineUnavailable(f"gateway.sip.tls.certificate: {path}: {reason}") from error


def leg_id_of(sip_call_id: str) -> str:
    """A SIP Call-ID as an id that is safe in logs, file names and URLs: both ends can make it."""
    return _UNSAFE.sub("-", sip_call_id)[:80].strip("-.") or "call"


def address_in(header: str) -> str:
    """The address in a From or To header, without a display name and parameters."""
    inner = header.partition("<")[2].partition(">")[0] or header
    return inner.strip("<> ").partition(";")[0]


def _one_word(path: Path) -> str:
    """The stack's parser reads one word a line."""
    if re.search(r"\s", str(path)):
        raise LineUnavailable(f"{path}: the SIP stack cannot read paths with spaces")
    return str(path)
