"""The SIP line: takes calls, rings people, registers with a trunk.

The stack is baresip (alpha bindings), kept behind this interface: one ``Runtime`` a process, one
user agent a transport, its thread apart from our loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable

import structlog
from baresip import (
    Account,
    BaresipError,
    Call,
    NoLocalAddressError,
    Runtime,
    UserAgent,
)

from telephony.call import Leg
from telephony.errors import DialFailed, LineUnavailable
from telephony.settings import SipSettings, TransferMeans
from telephony.sip_dialler import Dialler
from telephony.sip_leg import SipLeg
from telephony.sip_sound_guard import SoundGuard, keep_for_dns, open_sockets
from telephony.sip_stack import (
    address_in,
    check_certificate,
    check_ports,
    configuration,
    leg_id_of,
    own_account,
    transports,
    trunk_account,
)
from telephony.sip_trunk import Registration, TrunkRegistration

log = structlog.get_logger(__name__)

OnIncoming = Callable[[Leg], Awaitable[None]]

_URI = re.compile(
    r"sips?:(?:(?P<user>[^@\s<>\"]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:;?<>@\"]+)"
    r"(?::\d{1,5})?(?P<parameters>(?:;[^\s?<>\"]*)?)"
)
_TRANSPORT = re.compile(r";transport=(udp|tcp|tls)(?:;|$)", re.IGNORECASE)
_STOP_TIMEOUT_S = 3.0


class SipLine:
    """All SIP legs of this process. Start it once; a stopped line is not started again."""

    def __init__(self, settings: SipSettings, max_legs: int) -> None:
        self.settings = settings
        self.failed = asyncio.Event()
        """Set when the stack's thread has died: only a new process helps."""
        self._max_legs = max_legs
        self._runtime: Runtime | None = None
        self._agents: dict[str, UserAgent] = {}
        self._trunk_agent: UserAgent | None = None
        self._trunk: TrunkRegistration | None = None
        self._legs: dict[str, SipLeg] = {}
        self._dialler: Dialler | None = None
        self._guard = SoundGuard(settings) if settings.rtp_source == "agreed" else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_incoming: OnIncoming | None = None

    @property
    def registration(self) -> Registration:
        """Whether the trunk knows us."""
        return self._trunk.state if self._trunk else Registration.NONE

    @property
    def ready(self) -> bool:
        """Calls can come: the stack runs, and the trunk, if there is one, knows us."""
        up = self._runtime is not None and not self.failed.is_set()
        return up and self.registration in (Registration.NONE, Registration.REGISTERED)

    @property
    def legs(self) -> int:
        """Legs that have not ended."""
        return len(self._legs)

    async def start(self, on_incoming: OnIncoming) -> None:
        """Open the ports and take calls: ``on_incoming`` runs as a task of its own for each leg.

        Raises:
            LineUnavailable: a port in use, a certificate or setting that cannot be used.
        """
        config = configuration(self.settings, self._max_legs)
        accounts = {name: own_account(self.settings, name) for name in transports(self.settings)}
        trunk_accounts = []
        if trunk := self.settings.trunk:
            password = os.environ.get(trunk.password_env, "")
            trunk_accounts.append(trunk_account(self.settings, trunk, password))
        check_certificate(self.settings)
        check_ports(self.settings)
        # The bindings log who rings whom; our own events say what is needed without it.
        logging.getLogger("baresip").setLevel(logging.WARNING)
        logging.getLogger("baresip.native").setLevel(logging.ERROR)
        self._on_incoming = on_incoming
        runtime = Runtime()
        runtime.on_dead = self._stack_died
        opened_before = open_sockets()
        try:
            await runtime.start(config)
            keep_for_dns(opened_before, self.settings.port)
            self._runtime = runtime
            self._dialler = Dialler(runtime)
            if self._guard is not None:
                self._guard.start()
                await runtime.set_sip_trace(True)
            for name, own in accounts.items():
                self._agents[name] = await self._agent(runtime, own, by_trunk=False)
            for ours in trunk_accounts:
                self._trunk_agent = await self._agent(runtime, ours, by_trunk=True)
                self._trunk = TrunkRegistration(self._trunk_agent)
        except BaresipError as error:
            await self.stop()
            raise LineUnavailable(f"the SIP stack did not start: {error}") from error
        log.info("sip_line_opened", host=self.settings.host, port=self.settings.port)

    async def stop(self) -> None:
        """Hang up every leg, leave the trunk, close the ports."""
        for leg in list(self._legs.values()):
            await leg.hang_up("line_closed")
        if self._trunk:
            await self._trunk.close()
            self._trunk = None
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=_STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._guard is not None:
            await self._guard.stop()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            try:
                await runtime.close()
            except BaresipError as error:
                log.error("sip_stack_not_closed", error=str(error))

    async def dial(self, uri: str, headers: dict[str, str] | None = None) -> Leg:
        """Ring somebody; the leg tells how it goes. ``LegEnded.code`` is 486 when busy, 603 when
        declined, 480 when unavailable, 408 when nothing answers at all.

        Raises:
            DialFailed: it could not even begin: a bad address, no way there, no line.
        """
        if self._runtime is None or self._dialler is None or self.failed.is_set():
            raise DialFailed("the SIP line is not open")
        agent = self._agent_for(uri)
        try:
            dialled = await self._dialler.dial(agent, uri, headers)
        except NoLocalAddressError as error:
            raise DialFailed("no network interface leads to that address") from error
        except (BaresipError, ValueError) as error:
            raise DialFailed(f"the SIP stack did not dial: {error}") from error
        leg = self._leg(
            dialled.call,
            dialled.sip_call_id,
            remote=uri,
            dialled=uri,
            transfers=self._transfers(uri, by_trunk=agent is self._trunk_agent),
        )
        dialled.catch_up()
        return leg

    # --- legs ----------------------------------------------------------------------------------

    def _leg(
        self,
        call: Call,
        sip_call_id: str,
        *,
        remote: str,
        dialled: str,
        transfers: TransferMeans = "bridge",
    ) -> SipLeg:
        wanted = leg_id_of(sip_call_id or f"{call.handle:x}")
        leg_id = wanted
        copies = 1
        while leg_id in self._legs:  # Only a caller up to no good uses a Call-ID twice.
            copies += 1
            leg_id = f"{wanted}-{copies}"
        leg = SipLeg(
            call,
            leg_id,
            remote=remote,
            dialled=dialled,
            transfers=transfers,
            on_ended=self._forget,
        )
        if not leg.ended.is_set():
            self._legs[leg_id] = leg
        return leg

    def _transfers(self, remote: str, *, by_trunk: bool) -> TransferMeans:
        """What the line of somebody at this address can do. A trunk may ring us by a number that
        is not our address there: then it is known by its domain."""
        trunk = self.settings.trunk
        found = _URI.match(remote)
        if trunk and (by_trunk or (found and found["host"] == trunk.domain.partition(":")[0])):
            return trunk.transfers
        return self.settings.transfers

    def _forget(self, leg: SipLeg) -> None:
        self._legs.pop(leg.leg_id, None)

    async def _agent(self, runtime: Runtime, account: Account, *, by_trunk: bool) -> UserAgent:
        agent = await UserAgent.create(runtime, account, transfer_policy="manual")
        agent.on_incoming(lambda call: self._take(call, by_trunk=by_trunk))
        return agent

    def _take(self, call: Call, *, by_trunk: bool) -> None:
        leg = self._leg(
            call,
            call.call_id or "",
            remote=call.peer or "",
            dialled=address_in(call.headers.get("To", "")),
            transfers=self._transfers(call.peer or "", by_trunk=by_trunk),
        )
        log.info("sip_leg_arrived", leg_id=leg.leg_id, pii={"remote": leg.remote})
        task = asyncio.create_task(self._serve(leg))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, leg: SipLeg) -> None:
        try:
            if self._on_incoming is not None:
                await self._on_incoming(leg)
        except Exception:
            log.exception("sip_leg_not_served", leg_id=leg.leg_id)
        finally:
            await leg.hang_up("not_served")

    def _agent_for(self, uri: str) -> UserAgent:
        found = _URI.fullmatch(uri)
        if found is None:
            raise DialFailed("that is not a SIP address (sip:somebody@somewhere)")
        trunk = self.settings.trunk
        if trunk and self._trunk_agent and found["host"] == trunk.domain.partition(":")[0]:
            return self._trunk_agent
        named = _TRANSPORT.search(found["parameters"])
        transport = named[1].lower() if named else "tls" if uri.startswith("sips:") else "udp"
        if transport not in self._agents:
            raise DialFailed("SIP over TLS is not configured")
        return self._agents[transport]

    def _stack_died(self) -> None:
        log.critical("sip_stack_died")
        self.failed.set()
        for leg in list(self._legs.values()):
            leg.lose("line_failed")
