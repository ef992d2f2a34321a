"""The control interface: live calls, supervisors and the kill switch, for the console.

Everything is under ``/v1``, takes and gives JSON and needs the token (``control_guard``). It looks
at and acts on the gateway's own calls, never on a pipeline, and so works while every agent hangs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Annotated, Any, Literal, TypeVar

import structlog
from aiohttp import web
from aiortc import RTCIceServer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from telephony.call import Leg, LegAnswered, LegEnded, SupervisorMode
from telephony.call_session import CallSession
from telephony.control_guard import ControlRefused, control_token, errors_as_json, token_only
from telephony.errors import DialFailed, GatewayError, SupervisionRefused
from telephony.events import Listener, TooManyListeners
from telephony.gateway import Gateway
from telephony.http_port import HttpPort
from telephony.ice_servers import for_gateway
from telephony.kill_switch import Scope, SwitchState, as_rows
from telephony.settings import ControlSettings
from telephony.supervision import Visit
from telephony.webrtc import WebRtcLeg
from telephony.webrtc_offer import MAX_OFFER_BYTES

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = MAX_OFFER_BYTES + 8 * 1024
BODY_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 15.0
HEARTBEAT_S = 15.0
WRITE_TIMEOUT_S = 5.0

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Body(BaseModel):
    """What a request must hold: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SuperviseBody(Body):
    mode: SupervisorMode
    name: Name
    sdp: Annotated[str, StringConstraints(max_length=MAX_OFFER_BYTES)] | None = None
    uri: Annotated[str, StringConstraints(max_length=500)] | None = None


class ModeBody(Body):
    mode: SupervisorMode
    name: Name


class NameBody(Body):
    name: Name


class HandBackBody(Body):
    name: Name
    agreed: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""


class SteerBody(Body):
    name: Name
    text: Words
    say: bool = False


class RecordingBody(Body):
    paused: bool
    name: Name
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)] = ""


class HandoffBody(Body):
    decision: Literal["accept", "decline"]
    name: Name


class ToPersonBody(Body):
    name: Name
    queue: Annotated[str, StringConstraints(max_length=120)] = ""


class EndBody(Body):
    name: Annotated[str, StringConstraints(max_length=120)] = ""


class AnsweringBody(Body):
    scope: Scope
    name: Annotated[str, StringConstraints(max_length=120)] = ""
    on: bool
    reason: Annotated[str, StringConstraints(max_length=500)]
    by: Name = Field(description="Who throws the switch")


AnyBody = TypeVar("AnyBody", bound=Body)


class ControlServer:
    """Serves the control interface of one gateway."""

    def __init__(
        self, settings: ControlSettings, gateway: Gateway, media_addresses: tuple[str, ...]
    ) -> None:
        """
        Args:
            settings: where to listen.
            gateway: whose calls these are.
            media_addresses: local addresses offered to supervisors' browsers for sound.
        """
        self._settings = settings
        self._gateway = gateway
        self._addresses = media_addresses
        own = for_gateway(gateway.settings.web.ice_servers)
        self._ice_servers = [RTCIceServer(urls=url) for url in own]
        self._port = HttpPort(settings.host, settings.port)
        self._listeners: set[Listener] = set()

    @property
    def url(self) -> str:
        """Where the interface is."""
        return self._port.url

    async def start(self) -> None:
        """Open the port.

        Raises:
            GatewayError: the token is missing, the port in use, the address not ours.
        """
        token = await asyncio.to_thread(control_token, self._settings)
        app = web.Application(
            client_max_size=MAX_BODY_BYTES, middlewares=[errors_as_json, token_only(token)]
        )
        app.add_routes(
            [
                web.get("/v1/calls", self._calls),
                web.get("/v1/events", self._events),
                web.get("/v1/answering", self._answering),
                web.put("/v1/answering", self._switch),
                web.post("/v1/calls/{call_id}/supervise", self._supervise),
                web.post("/v1/calls/{call_id}/mode", self._mode),
                web.post("/v1/calls/{call_id}/hand-back", self._hand_back),
                web.post("/v1/calls/{call_id}/leave", self._leave),
                web.post("/v1/calls/{call_id}/steer", self._steer),
                web.post("/v1/calls/{call_id}/recording", self._recording),
                web.post("/v1/calls/{call_id}/handoff", self._handoff),
                web.post("/v1/calls/{call_id}/to-person", self._to_person),
                web.post("/v1/calls/{call_id}/end", self._end),
            ]
        )
        await self._port.open(app, called="gateway.control", shutdown_timeout_s=1.0)
        self._gateway.switch.on_change(self._tell_answering)
        log.info("control_opened", url=self.url)

    async def stop(self) -> None:
        """Close the port; listeners are sent away."""
        for listener in self._listeners:
            listener.drop()
        await self._port.close()

    # --- looking -------------------------------------------------------------------------------

    async def _calls(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": self._views()})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, the first a snapshot. A listener that is too slow gets
        ``reconnect`` as its last event."""
        words = request.query.get("words") == "1"
        snapshot = {"calls": self._views(), "answering": self._switches()}
        try:
            listener = self._gateway.feed.listen(words=words, snapshot=snapshot)
        except TooManyListeners as error:
            raise ControlRefused(429, "too_many_listeners", "Too many listeners.") from error
        self._listeners.add(listener)
        try:
            return await self._stream(request, listener)
        finally:
            self._listeners.discard(listener)
            self._gateway.feed.leave(listener)

    async def _stream(self, request: web.Request, listener: Listener) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        try:
            while not listener.dropped:
                await self._write(response, await _next_event(listener))
            await self._write(response, 'data: {"event":"reconnect"}\n\n')
        except TimeoutError:
            log.warning("control_listener_hung")
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log.debug("control_listener_left")
        return response

    @staticmethod
    async def _write(response: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(text.encode())

    # --- supervising ---------------------------------------------------------------------------

    async def _supervise(self, request: web.Request) -> web.Response:
        session, wish = self._session(request), await _body(request, SuperviseBody)
        if (wish.sdp is None) == (wish.uri is None):
            raise ControlRefused(422, "invalid", "Give either sdp or uri.")
        if wish.uri is not None:
            return self._ring_supervisor(session, wish, self._phone(wish.uri))
        visit = session.supervision.expect(wish.name, wish.mode)
        leg = WebRtcLeg(
            f"supervisor:{secrets.token_hex(4)}",
            addresses=self._addresses,
            ice_servers=self._ice_servers,
        )
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                answer = await leg.accept(wish.sdp or "")
        except BaseException:
            session.supervision.give_up(visit)
            await leg.hang_up("refused")
            raise
        try:
            self._begin(session, visit, self._connected(leg))
        except ControlRefused:
            await leg.hang_up("call_over")
            raise
        return web.json_response({"sdp": answer, "type": "answer"})

    def _ring_supervisor(self, session: CallSession, wish: SuperviseBody, uri: str) -> web.Response:
        visit = session.supervision.expect(wish.name, wish.mode)
        self._begin(session, visit, self._answered(uri, session.call_id))
        return web.json_response({"state": "ringing"}, status=202)

    def _phone(self, uri: str) -> str:
        """Only telephones the settings name are rung."""
        phones = self._settings.phones
        if uri in phones.values():
            return uri
        if uri in phones:
            return phones[uri]
        raise ControlRefused(403, "phone_unknown", "That telephone is not in the settings.")

    def _begin(
        self, session: CallSession, visit: Visit, connecting: Coroutine[Any, Any, Leg]
    ) -> None:
        attending = self._attend(session, visit, connecting)
        try:
            session.start(attending)
        except RuntimeError as error:  # the call has ended since it was looked up
            attending.close()
            connecting.close()
            raise ControlRefused(404, "no_such_call", "That call is over.") from error

    async def _attend(
        self, session: CallSession, visit: Visit, connecting: Coroutine[Any, Any, Leg]
    ) -> None:
        session.clear("supervisor_not_reached")
        try:
            await session.supervision.attend(visit, connecting)
        except (SupervisionRefused, GatewayError) as error:
            log.info("supervisor_not_connected", code=error.code, reason=str(error))
            if not visit.left:
                session.alarm("supervisor_not_reached", str(error))

    @staticmethod
    async def _connected(leg: WebRtcLeg) -> Leg:
        """The browser's leg once sound can flow; freed when it cannot.

        Raises:
            SupervisionRefused: it could not.
        """
        try:
            if await leg.connected(CONNECT_TIMEOUT_S):
                await leg.answer()
                return leg
        except BaseException:
            await leg.hang_up("cancelled")
            raise
        await leg.hang_up("never_connected")
        raise SupervisionRefused("The browser's sound did not connect.")

    async def _answered(self, uri: str, call_id: str) -> Leg:
        """The supervisor's telephone once it is picked up.

        Raises:
            SupervisionRefused: it was not.
        """
        if self._gateway.dial is None:
            raise SupervisionRefused("There is no telephone line.")
        try:
            leg = await self._gateway.dial(uri, {"X-Call-ID": call_id})
        except DialFailed as error:
            raise SupervisionRefused("The telephone cannot be rung.") from error
        try:
            while True:
                match await leg.next_event():
                    case LegAnswered():
                        return leg
                    case LegEnded():
                        raise SupervisionRefused("The telephone was not answered.")
        except BaseException:
            await leg.hang_up("not_wanted")
            raise

    async def _mode(self, request: web.Request) -> web.Response:
        session, wish = self._session(request), await _body(request, ModeBody)
        session.supervision.change(wish.name, wish.mode)
        return self._done(session)

    async def _hand_back(self, request: web.Request) -> web.Response:
        session, wish = self._session(request), await _body(request, HandBackBody)
        session.supervision.hand_back(wish.name, wish.agreed)
        return self._done(session)

    async def _leave(self, request: web.Request) -> web.Response:
        session, wish = self._session(request), await _body(request, NameBody)
        await session.supervision.leave(wish.name)
        return self._done(session)

    async def _steer(self, request: web.Request) -> web.Response:
        session, wish = self._session(request), await _body(request, SteerBody)
        accepted, reason = await session.agents.steer(wish.text, say=wish.say)
        return web.json_response({"accepted": accepted, "reason": reason})

    async def _recording(self, request: web.Request) -> web.Response:
        """Pause the recording, or end every pause; asked again, ``changed`` is false."""
        session, wish = self._session(request), await _body(request, RecordingBody)
        if wish.paused and not wish.reason:
            raise ControlRefused(422, "invalid", "reason: say why the recording is paused.")
        changed = session.recording.supervise(paused=wish.paused, reason=wish.reason, by=wish.name)
        return web.json_response({"call": session.view().as_dict(), "changed": changed})

    async def _handoff(self, request: web.Request) -> web.Response:
        """The person who is asked to take the caller says so by click."""
        session, wish = self._session(request), await _body(request, HandoffBody)
        if not session.people.decide(accept=wish.decision == "accept"):
            raise ControlRefused(409, "nobody_asked", "Nobody is being asked to take this call.")
        return self._done(session)

    async def _to_person(self, request: web.Request) -> web.Response:
        """A supervisor wants a person to have the caller."""
        session, wish = self._session(request), await _body(request, ToPersonBody)
        await session.agents.send_to_person(wish.queue)
        return self._done(session)

    async def _end(self, request: web.Request) -> web.Response:
        session, _ = self._session(request), await _body(request, EndBody)
        session.end("supervisor_ended")
        return web.json_response({"ended": True})

    # --- the switch ----------------------------------------------------------------------------

    async def _answering(self, _: web.Request) -> web.Response:
        return web.json_response(self._answers())

    async def _switch(self, request: web.Request) -> web.Response:
        wish = await _body(request, AnsweringBody)
        await self._gateway.switch.throw(
            on=wish.on, scope=wish.scope, name=wish.name, reason=wish.reason, by=wish.by
        )
        return web.json_response(self._answers())

    def _answers(self) -> dict[str, Any]:
        return {"switches": self._switches(), "kept": self._gateway.switch.kept}

    def _tell_answering(self, state: SwitchState) -> None:
        self._gateway.feed.publish("answering_changed", switches=as_rows(state.switches))

    # --- parts ---------------------------------------------------------------------------------

    def _views(self) -> list[dict[str, Any]]:
        return [session.view().as_dict() for session in self._gateway.calls.values()]

    def _switches(self) -> list[dict[str, Any]]:
        return as_rows(self._gateway.switch.state.switches)

    def _session(self, request: web.Request) -> CallSession:
        session = self._gateway.calls.get(request.match_info["call_id"])
        if session is None:
            raise ControlRefused(404, "no_such_call", "That call is over, or never was.")
        return session

    @staticmethod
    def _done(session: CallSession) -> web.Response:
        return web.json_response({"call": session.view().as_dict()})


async def _next_event(listener: Listener) -> str:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            encoded = await listener.next_event()
    except TimeoutError:
        return ": still here\n\n"
    return f"data: {encoded}\n\n" if encoded is not None else ""


async def _body(request: web.Request, kind: type[AnyBody]) -> AnyBody:
    if request.content_type != "application/json":
        raise ControlRefused(415, "not_json", "Send application/json.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return kind.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise ControlRefused(422, "invalid", f"{where}: {first['msg']}") from error
    except TimeoutError as error:
        raise ControlRefused(408, "too_slow", "The request did not arrive in time.") from error
