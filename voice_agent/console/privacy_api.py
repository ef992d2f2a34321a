"""One caller's data: given out, or erased; and what the policy deletes by itself."""

from __future__ import annotations

import asyncio
import hashlib
import time

import structlog
from aiohttp import web

from voice_agent.config import Settings
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, text_of
from voice_agent.console.errors import BadRequest, NotFound
from voice_agent.console.roles import Permission
from voice_agent.records.privacy import erase, export, prune
from voice_agent.records.retention import policy_of
from voice_agent.records.traces import Places, number_in

log = structlog.get_logger(__name__)

PRUNE_EVERY_S = 3_600.0
_CLOCK_JUMP_S = 600.0


def places_of(settings: Settings) -> Places:
    """Where a configuration leaves traces of calls."""
    return Places(
        settings.records.path,
        settings.gateway.recording.folder,
        settings.actions.journal,
        settings.actions.outbox,
        settings.gateway.human.call_backs.path,
        settings.console.folder / "grades.sqlite",
        settings.handoff.voicemail,
        settings.console.evaluation,
        settings.console.verified_answers,
    )


def fingerprint(number: str) -> str:
    """What the audit log keeps of an erased number: enough to show later that it was that one."""
    return hashlib.sha256(number_in(number).encode()).hexdigest()[:16]


class PrivacyApi:
    """``/api/export`` and ``/api/erase``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._places = places_of(desk.settings)

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        return [
            Endpoint("POST", "/api/export", Permission.EXPORT, self._export),
            Endpoint("POST", "/api/erase", Permission.ERASE, self._erase),
        ]

    async def _export(self, request: web.Request) -> web.Response:
        """A POST, so that the number is in no address, where proxies would keep it."""
        body = await body_of(request)
        number = _number(text_of(body, "number", most=200))
        reason = text_of(body, "reason", most=300)
        async with self._desk.noted(request, "exported", fingerprint(number), reason=reason):
            packed = await asyncio.to_thread(export, self._places, number)
            if packed is None:
                raise NotFound("Nothing is recorded of that caller.")
        return web.Response(
            body=packed,
            content_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="caller.zip"'},
        )

    async def _erase(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        number = _number(text_of(body, "number", most=200))
        reason = text_of(body, "reason", most=300)
        async with self._desk.noted(request, "erased", fingerprint(number), reason=reason):
            report = await asyncio.to_thread(erase, self._places, number)
        await self._desk.note(
            request, "erasure_done", fingerprint(number), reason=reason, **report.as_dict()
        )
        return web.json_response(report.as_dict())

    async def follow_policy(self) -> None:
        """Delete what is too old, every hour, for as long as the console runs."""
        kept = self._desk.settings.records
        if kept.keep_days is None and kept.keep_recordings_days is None:
            return
        offset = time.time() - time.monotonic()
        while True:
            if abs(time.time() - time.monotonic() - offset) > _CLOCK_JUMP_S:
                # a clock that is set ahead would make everything look old: a person has to look
                log.error("records_not_pruned", reason="the clock has jumped; restart the console")
            else:
                try:
                    report = await asyncio.to_thread(
                        prune,
                        self._places,
                        now=time.time(),
                        keep_days=kept.keep_days,
                        keep_recordings_days=kept.keep_recordings_days,
                    )
                    if report.calls or report.recordings or report.other or report.failed:
                        await asyncio.to_thread(
                            self._desk.audit.add, "policy", "", "pruned", "",
                            policy=policy_of(kept.keep_days, kept.keep_recordings_days),
                            **report.as_dict(),
                        )  # fmt: skip
                except Exception:
                    log.exception("records_not_pruned")
            await asyncio.sleep(PRUNE_EVERY_S)


def _number(given: str) -> str:
    if len(number_in(given)) < 3 or len(given) > 200:
        raise BadRequest("Give the caller's whole `number`.")
    return given
