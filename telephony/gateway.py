"""Entry point of the gateway: takes legs from the lines, runs calls, drains.

Lines (SIP, web) call ``Gateway.take`` with every incoming leg; the gateway rings people through
``dial``. ``run`` is the process.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import signal
import uuid
from types import MappingProxyType
from urllib.parse import urlsplit

import structlog

from telephony import metrics
from telephony.agent_link import AgentLink
from telephony.call import Leg
from telephony.call_back_dialler import CallBackDialler
from telephony.call_backs import KeptCallBack
from telephony.call_session import DEFAULT_QUEUE, CallSession
from telephony.clock import Clock, LoopClock
from telephony.errors import GatewayError, LineFailed, LineUnavailable
from telephony.events import EventFeed
from telephony.kill_switch import KillSwitch, SwitchFile, SwitchState
from telephony.law import Law, read_law
from telephony.people import People
from telephony.prompts import Prompts
from telephony.realtime import ask_for_priority
from telephony.ringing import Dial
from telephony.routing import Answering, Destination, dialled_route, route
from telephony.settings import GatewaySettings, HumanLineSettings

log = structlog.get_logger(__name__)

LEGS_PER_CALL = 3
"""A caller, the person the caller is handed to, and a supervisor's telephone; more where several
people are rung at once."""
CLOSE_TIMEOUT_S = 10.0


class Gateway:
    """Every live call of this process."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        dial: Dial | None = None,
        clock: Clock | None = None,
        prompts: Prompts | None = None,
        law: Law | None = None,
    ) -> None:
        self.settings = settings
        self.dial = dial
        self.answering = Answering(settings.answering)
        """Who answers new calls: an operator's switch."""
        self.feed = EventFeed()
        self.switch = KillSwitch(SwitchFile(settings.kill_switch))
        self.switch.load()
        self.switch.on_change(self._heed)
        self._clock = clock or LoopClock()
        self._prompts = prompts or Prompts.load(settings.prompts)
        self._law = law or Law()
        self._link = AgentLink(settings.agent, os.environ.get(settings.agent.token_env, ""))
        self.people = People(settings, self._clock)
        """The queues of callers who wait for a person, and the call-backs."""
        self._calls: dict[str, CallSession] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def calls(self) -> MappingProxyType[str, CallSession]:
        """Live calls by id, read only."""
        return MappingProxyType(self._calls)

    @property
    def live_calls(self) -> int:
        """Calls that hold a leg right now."""
        return len(self._calls)

    @property
    def ready(self) -> bool:
        """True while one more call would be taken: what ``/readyz`` tells."""
        return not self._draining and self.live_calls < self.settings.max_calls

    @property
    def clock(self) -> Clock:
        """Time as calls see it."""
        return self._clock

    async def take(self, leg: Leg) -> None:
        """Run one incoming leg (``RINGING``) to its end; refuses it when full or draining.

        Never raises but for cancellation: the leg has ended when this returns.
        """
        destination = route(
            answering=self.answering,
            switched_off=self._switched_off(leg),
            live_calls=self.live_calls,
            max_calls=self.settings.max_calls,
            draining=self._draining,
        )
        if destination is Destination.BUSY:
            metrics.CALLS.labels("refused").inc()
            log.warning("call_refused", live_calls=self.live_calls, draining=self._draining)
            await self._refuse(leg)
            return
        await self._run(leg, destination)

    async def call_back(self, leg: Leg, kept: KeptCallBack) -> bool:
        """Run a call we made as promised (``leg`` is ``ANSWERED``); whether a person had it."""
        return (await self._run(leg, Destination.HUMAN, kept)).people.had_person

    async def _run(
        self, leg: Leg, destination: Destination, called_back: KeptCallBack | None = None
    ) -> CallSession:
        call_id = uuid.uuid4().hex
        session = CallSession(
            call_id,
            leg,
            self.settings,
            link=self._link,
            prompts=self._prompts,
            dial=self.dial,
            clock=self._clock,
            feed=self.feed,
            people=self.people,
            called_back=called_back,
            law=self._law,
        )
        session.agents.heed(self.switch.state)
        self._calls[call_id] = session
        self._idle.clear()
        metrics.CALLS_LIVE.set(len(self._calls))
        try:
            with structlog.contextvars.bound_contextvars(call_id=call_id):
                outcome = await session.run(destination)
            metrics.CALLS.labels(outcome).inc()
        finally:
            del self._calls[call_id]
            metrics.CALLS_LIVE.set(len(self._calls))
            if not self._calls:
                self._idle.set()
        return session

    async def follow_switch(self) -> None:
        """Keep in step with the kill switch's file, for ever."""
        await self.switch.follow(self._clock)

    def _switched_off(self, leg: Leg) -> bool:
        dialled = dialled_route(leg.dialled)
        queue = self.settings.routes.get(dialled, DEFAULT_QUEUE)
        return self.switch.state.holding(dialled, queue) is not None

    def _heed(self, state: SwitchState) -> None:
        for session in tuple(self._calls.values()):
            try:
                session.agents.heed(state)
            except Exception:  # a fault of one call leaves no other with its agent
                log.exception("call_not_switched", call_id=session.call_id)

    async def drain(self) -> None:
        """Take no further calls and wait until the live ones have ended.

        Those that last longer than ``drain_timeout_s`` are ended.
        """
        self._draining = True
        log.info("draining", live_calls=self.live_calls)
        try:
            async with asyncio.timeout(self.settings.drain_timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("drain_timed_out", live_calls=self.live_calls)
            self.end_all("gateway_stopped")
            await self._idle.wait()

    def end_all(self, outcome: str) -> None:
        """End every live call now."""
        for session in list(self._calls.values()):
            session.end(outcome)

    async def close(self) -> None:
        """End what is left and free what calls share."""
        self._draining = True
        self.end_all("gateway_stopped")
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._idle.wait()
        except TimeoutError:
            log.error("calls_left_behind", live_calls=self.live_calls)
        await self._link.close()

    @staticmethod
    async def _refuse(leg: Leg) -> None:
        try:
            await leg.hang_up("busy")
        except Exception as error:  # whatever a SIP or WebRTC stack raises
            log.warning("refusal_failed", exc_info=error)


def legs_per_call(human: HumanLineSettings) -> int:
    """How many legs one call may need at once."""
    at_once = [len(each.targets) for each in human.queues.values() if each.strategy == "ring_all"]
    return LEGS_PER_CALL + max([0, *(count - 1 for count in at_once)])


def check_exposure(settings: GatewaySettings) -> None:
    """Callers' voices do not cross a network without the shared token.

    Raises:
        GatewayError: one line that says what to set.
    """
    host = urlsplit(settings.agent.url).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not os.environ.get(settings.agent.token_env):
        raise GatewayError(
            f"gateway.agent.url is not on this machine: set {settings.agent.token_env} to the "
            "token the agent expects"
        )


async def serve(settings: GatewaySettings) -> None:
    """Open the lines, take calls until SIGTERM or SIGINT, drain; a second signal ends live calls.

    Raises:
        GatewayError: the settings or a line cannot be used.
        LineFailed: a line died while serving.
    """
    # Only the process needs the lines' libraries; calls and their tests do not.
    from telephony.control import ControlServer
    from telephony.sip import SipLine
    from telephony.web_server import WebServer
    from telephony.webrtc import media_addresses

    check_exposure(settings)
    if settings.realtime:
        ask_for_priority()
    law = await asyncio.to_thread(read_law, settings.law)
    prompts = await asyncio.to_thread(Prompts.load, settings.prompts)
    gateway = Gateway(settings, prompts=prompts, law=law)
    stop = _signalled(gateway)
    sip: SipLine | None = None
    ringing_back: asyncio.Task[None] | None = None
    web: WebServer | None = None
    control: ControlServer | None = None
    following = asyncio.create_task(gateway.follow_switch())
    try:
        if settings.control.enabled:
            addresses = media_addresses(settings.web.media_host, settings.web.host)
            control = ControlServer(settings.control, gateway, addresses)
            await control.start()
        if settings.sip.enabled:
            sip = SipLine(settings.sip, settings.max_calls * legs_per_call(settings.human))
            gateway.dial = sip.dial  # first: the first call may come at once, and needs people
            await sip.start(gateway.take)
            ringing_back = asyncio.create_task(CallBackDialler(gateway, gateway.people).run())
        if settings.web.enabled:
            web = WebServer(settings.web, gateway)
            await web.start()
        # What is loaded stays loaded: searching it for garbage would only make audio stutter.
        gc.collect()
        gc.freeze()
        log.info("gateway_ready", max_calls=settings.max_calls)
        failed = await _stopped(stop, sip.failed if sip else asyncio.Event())
        if ringing_back is not None:
            ringing_back.cancel()
        await gateway.drain()
    finally:
        if ringing_back is not None:
            ringing_back.cancel()
        await gateway.close()
        following.cancel()
        if control is not None:
            await control.stop()
        if web is not None:
            await web.stop()
        if sip is not None:
            await sip.stop()
    log.info("gateway_stopped")
    if failed:
        raise LineFailed("the SIP stack has died")


async def _stopped(stop: asyncio.Event, line_failed: asyncio.Event) -> bool:
    """Wait for the end; True when it is a line that failed and only a new process helps."""
    waits = [asyncio.ensure_future(event.wait()) for event in (stop, line_failed)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return line_failed.is_set()


def _signalled(gateway: Gateway) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second ends all calls at once."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            gateway.end_all("gateway_stopped")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


def run(settings: GatewaySettings) -> int:
    """Serve until SIGTERM or SIGINT, then drain.

    Returns the process's exit code: 0 after a clean stop, 1 when a line died (start again), 2 when
    the settings or a line cannot be used.
    """
    try:
        asyncio.run(serve(settings))
    except LineFailed as error:
        log.critical("gateway_failed", code=error.code, reason=str(error))
        return 1
    except (GatewayError, OSError) as error:
        reason = str(error) if isinstance(error, GatewayError) else f"cannot listen: {error}"
        code = error.code if isinstance(error, GatewayError) else LineUnavailable.code
        log.error("gateway_not_started", code=code, reason=reason)
        return 2
    return 0
