"""The console's process: its page and its interface on one port, deny by default."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from aiohttp import web

from voice_agent.config import ConfigError, Settings, secret
from voice_agent.console.access import Door, add_security_headers
from voice_agent.console.account_api import AccountApi
from voice_agent.console.accounts import Accounts
from voice_agent.console.answering_api import AnsweringApi
from voice_agent.console.audit import AuditLog, Entry
from voice_agent.console.board_state import BoardState
from voice_agent.console.boards_api import BoardsApi
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import MAX_BODY_BYTES, Endpoint, role_table
from voice_agent.console.gateway_link import GatewayLink
from voice_agent.console.grades import Grades
from voice_agent.console.grading_api import GradingApi
from voice_agent.console.handoff_api import HandoffApi
from voice_agent.console.history import History
from voice_agent.console.history_api import HistoryApi
from voice_agent.console.interventions import Interventions
from voice_agent.console.limits import Lockout
from voice_agent.console.live import LiveBoard
from voice_agent.console.live_api import LiveApi
from voice_agent.console.oidc import OidcApi
from voice_agent.console.people_api import PeopleApi
from voice_agent.console.privacy_api import PrivacyApi, places_of
from voice_agent.console.pruning import Pruning
from voice_agent.console.roles import Permission
from voice_agent.console.sign_in import SignIn
from voice_agent.console.supervision_watch import SupervisionWatch
from voice_agent.errors import exit_code_of_serving

log = structlog.get_logger(__name__)

PAGE_FOLDER = Path(__file__).parent / "page"


def audit_log(settings: Settings, witness: Callable[[Entry], None] | None = None) -> AuditLog:
    """The audit log of a configuration; ``witness`` is told what is added."""
    console = settings.console
    return AuditLog(console.folder / "audit.jsonl", secret(console.audit_key_env), witness)


def _witness(entry: Entry) -> None:
    """Another place than the log's own folder that knows how far it went, and no more of it."""
    log.info("audit_entry", seq=entry.seq, hash=entry.hash)


def accounts(settings: Settings) -> Accounts:
    """The accounts of a configuration.

    Raises:
        Unavailable: the file cannot be used.
    """
    console = settings.console
    return Accounts(
        console.folder / "accounts.sqlite",
        idle_s=console.idle_minutes * 60,
        age_s=console.session_hours * 3600,
    )


class Console:
    """Everything the console answers. ``app`` is the aiohttp application."""

    def __init__(self, settings: Settings) -> None:
        console = settings.console
        people = accounts(settings)
        door = Door(console, people)
        link = GatewayLink(settings.gateway.control)
        self.desk = Desk(
            settings,
            people,
            audit_log(settings, _witness),
            door,
            link,
            LiveBoard(link, BoardState(console.alarms), console.listeners),
            History(settings.records.path, settings.actions.journal, _recordings(settings)),
            Grades(console.folder / "grades.sqlite", console.evaluation, console.verified_answers),
            Interventions(console.folder / "interventions.sqlite"),
            Lockout(),
        )
        self._supervision = SupervisionWatch(self.desk.live, people, link, self.desk.audit)
        sign_in = SignIn(self.desk)
        oidc = OidcApi(self.desk, sign_in)
        self._pruning = Pruning(settings.records, places_of(settings), self.desk.audit)
        self.endpoints = [
            Endpoint("GET", "/", Permission.PUBLIC, self._page),
            Endpoint("GET", "/static/{path}", Permission.PUBLIC, self._static),
            Endpoint("GET", "/healthz", Permission.PUBLIC, self._health),
            Endpoint("GET", "/readyz", Permission.PUBLIC, self._health),
            *sign_in.endpoints(),
            *AccountApi(self.desk, sign_in).endpoints(),
            *oidc.endpoints(),
            *LiveApi(self.desk).endpoints(),
            *HandoffApi(self.desk).endpoints(),
            *AnsweringApi(self.desk).endpoints(),
            *HistoryApi(self.desk).endpoints(),
            *GradingApi(self.desk).endpoints(),
            *BoardsApi(self.desk, self._pruning.pruned).endpoints(),
            *PrivacyApi(self.desk).endpoints(),
            *PeopleApi(self.desk, lambda: role_table(self.endpoints)).endpoints(),
        ]
        door.open_for(self.endpoints)
        self.app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[door.middleware])
        self.app.on_response_prepare.append(add_security_headers)
        for each in self.endpoints:
            path = each.path.replace("{path}", "{path:.+}")
            self.app.router.add_route(each.method, path, each.handler)
        self.app.cleanup_ctx.append(self._following)

    async def _following(self, _: web.Application) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self.desk.live.follow()),
            asyncio.create_task(self.desk.live.look()),
            asyncio.create_task(self._supervision.follow()),
            asyncio.create_task(self._pruning.follow()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.desk.link.close()

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return _file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return _file(request.match_info["path"])

    async def _health(self, _: web.Request) -> web.Response:
        up = self.desk.live.state.gateway_up
        return web.json_response({"status": "ok", "gateway": "up" if up else "down"})


def _file(name: str) -> web.FileResponse:
    """A file of the page; nothing outside its folder, whatever the name says."""
    if "\x00" in name:
        raise web.HTTPNotFound
    path = (PAGE_FOLDER / name).resolve()
    if not path.is_relative_to(PAGE_FOLDER.resolve()) or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path)


def _recordings(settings: Settings) -> Path:
    return settings.gateway.recording.folder


async def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT.

    Raises:
        ConfigError: the port cannot be used.
    """
    console = Console(settings)
    runner = web.AppRunner(
        console.app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0
    )
    await runner.setup()
    try:
        where = settings.console
        try:
            await web.TCPSite(runner, where.host, where.port).start()
        except OSError as error:
            raise ConfigError(
                f"console.port: {where.port} cannot be used: {error.strerror}"
            ) from error
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        log.info("console_listening", host=where.host, port=where.port)
        await stop.wait()
    finally:
        await runner.cleanup()
    log.info("console_stopped")


def run(settings: Settings) -> int:
    """Entry point of the console's process. Returns its exit code."""
    return exit_code_of_serving("voice-agent console", serve(settings))
