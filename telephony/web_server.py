"""The web line: the caller's page, the offer endpoint, health and metrics, on one small server.

``POST /offer`` takes ``{"sdp", "type": "offer"}`` and answers ``{"sdp", "type": "answer"}``, or an
error ``{"error": {"code", "message"}}`` whose message may be shown to the caller.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web
from aiortc import RTCIceServer
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

from telephony.call import Leg
from telephony.http_port import HttpPort
from telephony.ice_servers import for_gateway, for_page
from telephony.settings import WebSettings
from telephony.web_guard import (
    LinesBusy,
    OfferForeign,
    OfferNotJson,
    OfferTooLarge,
    TooManyOffers,
    add_security_headers,
    errors_as_json,
    is_own_origin,
    own_names_only,
)
from telephony.webrtc import WebRtcLeg, media_addresses
from telephony.webrtc_offer import (
    MAX_OFFER_BYTES,
    OfferMalformed,
    OfferRefused,
    offered_description,
)

log = structlog.get_logger(__name__)

OFFERS = Counter("gateway_web_offers", "Offers from web pages, by outcome", ["outcome"])
PENDING = Gauge("gateway_web_offers_pending", "Web callers not yet connected")

PAGE_FOLDER = Path(__file__).parent / "web"
MAX_PENDING_OFFERS = 16
CONNECT_TIMEOUT_S = 15.0
_OFFER_TIMEOUT_S = 10.0


class CallTaker(Protocol):
    """What this line needs of the gateway."""

    @property
    def ready(self) -> bool:
        """True while further calls are taken."""

    async def take(self, leg: Leg) -> None:
        """Run a call to its end."""


class WebServer:
    """Serves the page and brings its callers to the gateway."""

    def __init__(self, settings: WebSettings, gateway: CallTaker) -> None:
        self._settings = settings
        self._gateway = gateway
        self._addresses = media_addresses(settings.media_host, settings.host)
        self._turn_secret = os.environ.get(settings.turn_secret_env, "")
        self._ice_servers = [RTCIceServer(urls=u) for u in for_gateway(settings.ice_servers)]
        self._pending = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._port = HttpPort(settings.host, settings.port)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._port.url

    async def start(self) -> None:
        """Open the port.

        Raises:
            LineUnavailable: the port is in use or the address is not ours.
        """
        names = (self._settings.host, *self._settings.names)
        app = web.Application(
            client_max_size=MAX_OFFER_BYTES, middlewares=[errors_as_json, own_names_only(names)]
        )
        app.on_response_prepare.append(add_security_headers)
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/config", self._config),
                web.post("/offer", self._offer),
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._metrics),
                web.static("/static", PAGE_FOLDER),
            ]
        )
        await self._port.open(app, called="gateway.web", shutdown_timeout_s=2.0)
        log.info("web_line_opened", url=self.url, media_addresses=list(self._addresses))

    async def stop(self) -> None:
        """Close the port and end every call that came through it."""
        await self._port.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    # --- the page -----------------------------------------------------------------------------

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE_FOLDER / "index.html")

    async def _config(self, _: web.Request) -> web.Response:
        servers = for_page(self._settings.ice_servers, self._turn_secret, time.time())
        return web.json_response({"ice_servers": servers}, headers={"Cache-Control": "no-store"})

    # --- calls --------------------------------------------------------------------------------

    async def _offer(self, request: web.Request) -> web.Response:
        try:
            leg_id, answer = await self._answer(request)
        except OfferRefused as error:
            OFFERS.labels(error.code).inc()
            raise
        OFFERS.labels("answered").inc()
        return web.json_response({"sdp": answer, "type": "answer", "leg_id": leg_id})

    async def _answer(self, request: web.Request) -> tuple[str, str]:
        if not is_own_origin(request.headers.get("Origin"), request.host):
            raise OfferForeign("Calls can only be made from this server's own page.")
        if request.content_type != "application/json":
            raise OfferNotJson("The offer must be sent as application/json.")
        if not self._gateway.ready:
            raise LinesBusy("All lines are busy. Please try again in a few minutes.")
        if self._pending >= MAX_PENDING_OFFERS:
            raise TooManyOffers("Too many calls are being set up. Please try again in a moment.")
        self._pending += 1
        PENDING.set(self._pending)
        leg: WebRtcLeg | None = None
        try:
            async with asyncio.timeout(_OFFER_TIMEOUT_S):
                description = offered_description(await _body(request))
                leg = WebRtcLeg(
                    f"web:{request.remote}",
                    addresses=self._addresses,
                    ice_servers=self._ice_servers,
                )
                answer = await leg.accept(description)
        except BaseException as error:
            self._no_longer_pending()
            if leg is not None:
                await leg.hang_up("refused")
            if isinstance(error, TimeoutError):
                raise OfferMalformed("The offer did not arrive in time.") from error
            raise
        call = asyncio.create_task(self._call(leg))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return leg.leg_id, answer

    async def _call(self, leg: WebRtcLeg) -> None:
        """From the answer to the end; the leg is freed whatever happens."""
        try:
            try:
                arrived = await leg.connected(CONNECT_TIMEOUT_S)
            finally:
                self._no_longer_pending()
            if arrived:
                await self._gateway.take(leg)
            else:
                log.info("web_caller_never_connected", leg_id=leg.leg_id)
        except Exception:
            log.exception("web_call_failed", leg_id=leg.leg_id)
        finally:
            await leg.hang_up("ended")

    def _no_longer_pending(self) -> None:
        self._pending -= 1
        PENDING.set(self._pending)

    # --- operation ----------------------------------------------------------------------------

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readiness(self, _: web.Request) -> web.Response:
        ready = self._gateway.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise OfferTooLarge(f"An offer has at most {MAX_OFFER_BYTES} bytes.") from error
