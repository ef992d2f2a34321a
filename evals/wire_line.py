"""The line of a telephone of our own: dials, or is rung. One a process (``wire_call``)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from baresip import BaresipError, Call, Runtime, UserAgent

from evals.wire_call import CallError, WireCall
from telephony.settings import SipSettings
from telephony.sip_dialler import Dialler
from telephony.sip_stack import Transport, configuration, own_account, transports


class WireLine:
    """The telephone's line: dials, or takes calls through ``calls``. An async context."""

    def __init__(self, settings: SipSettings, max_calls: int = 4) -> None:
        """
        Raises:
            CallError: a codec other than G.711, whose rate the axis has.
        """
        if not set(settings.codecs) <= {"PCMU", "PCMA"}:
            raise CallError("the test telephone speaks PCMU and PCMA only")
        self.settings = settings
        self._max_calls = max_calls
        self._runtime = Runtime()
        self._dialler = Dialler(self._runtime)
        self._agents: dict[Transport, UserAgent] = {}
        self._arrived: asyncio.Queue[Call] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        """
        Raises:
            CallError: the stack did not start.
            LineUnavailable: a setting the stack cannot have.
        """
        config = configuration(self.settings, self._max_calls)
        try:
            await self._runtime.start(config)
            for transport in transports(self.settings):
                agent = await UserAgent.create(
                    self._runtime, own_account(self.settings, transport), transfer_policy="reject"
                )
                agent.on_incoming(self._arrived.put_nowait)
                self._agents[transport] = agent
        except BaresipError as error:
            await self.__aexit__(None, None, None)
            raise CallError(f"the SIP stack did not start: {error}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(BaresipError):
            await self._runtime.close()

    async def dial(self, uri: str, timeout_s: float = 30.0) -> WireCall:
        """Ring ``uri``; returns when it answers.

        Raises:
            CallError: busy, declined, unreachable, not answered in time.
        """
        try:
            dialled = await self._dialler.dial(self._agents[transport_of(uri)], uri)
            call = dialled.call
            dialled.catch_up()
            await call.wait_established(timeout_s)
        except KeyError:
            raise CallError("this line has no TLS") from None
        except (BaresipError, ValueError) as error:
            raise CallError(str(error), getattr(error, "status", None) or 0) from error
        return WireCall(call, dialled.sip_call_id)

    async def calls(self) -> AsyncIterator[Call]:
        """Calls as they arrive, ringing."""
        while True:
            yield await self._arrived.get()


def transport_of(uri: str) -> Transport:
    """The transport an address asks for."""
    lowered = uri.lower()
    if lowered.startswith("sips:") or ";transport=tls" in lowered:
        return "tls"
    return "tcp" if ";transport=tcp" in lowered else "udp"


def line_towards(uri: str) -> SipSettings:
    """Settings of a throw-away line that can reach ``uri``: free ports, the fitting address.

    Raises:
        CallError: the address has no host we can find a way to.
    """
    rest = uri.partition(":")[2].rpartition("@")[2]
    host = rest.partition(";")[0].partition("?")[0]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not uri.startswith(("sip:", "sips:")) or not host:
        raise CallError("that is not a SIP address (sip:somebody@somewhere)")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 5060, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            local = str(ipaddress.ip_address(probe.getsockname()[0]))
    except (OSError, ValueError) as error:
        raise CallError(f"there is no way to {host}") from error
    return SipSettings(host=local, port=free_port(local), user="caller", rtp_ports=(40_000, 49_998))


def free_port(host: str) -> int:
    """A port that is free for UDP and TCP, and the next one for TCP as well."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind((host, 0))
            port = int(tcp.getsockname()[1])
            if port >= 65_535:
                continue
            try:
                with (
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
                    socket.socket(socket.AF_INET, socket.SOCK_STREAM) as above,
                ):
                    udp.bind((host, port))
                    above.bind((host, port + 1))
                    return port
            except OSError:
                continue
    raise CallError("no free port was found")
