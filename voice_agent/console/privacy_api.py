"""One caller's data: given out, or erased."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from voice_agent.config import Settings
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, body_of, text_of
from voice_agent.console.errors import BadRequest, NotFound, Unavailable
from voice_agent.console.roles import Permission
from voice_agent.records.privacy import erase, export
from voice_agent.records.traces import Places, number_in


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
        settings.console.folder / "interventions.sqlite",
    )


def fingerprint(settings: Settings, number: str) -> str:
    """What the audit log keeps of a number: enough to show later, here, that it was that one.

    It is made with a key of this console's own: numbers are few enough to try them all otherwise.

    Raises:
        Unavailable: the key cannot be read or made.
    """
    path = settings.console.folder / "fingerprint.key"
    try:
        key = _key_in(path)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be used: {error.strerror}") from error
    return hmac.new(key, number_in(number).encode(), hashlib.sha256).hexdigest()[:16]


def _key_in(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_suffix(f".{secrets.token_hex(8)}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            with suppress(FileExistsError):  # another process was first: its key counts
                os.link(made, path)
        finally:
            made.unlink()
    return path.read_bytes()


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
        async with self._desk.noted(
            request, "exported", await self._fingerprint(number), reason=reason
        ):
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
        async with self._desk.noted(
            request, "erased", await self._fingerprint(number), reason=reason
        ):
            report = await asyncio.to_thread(erase, self._places, number)
        await self._desk.note(
            request,
            "erasure_done",
            await self._fingerprint(number),
            reason=reason,
            **report.as_dict(),
        )
        return web.json_response(report.as_dict())

    async def _fingerprint(self, number: str) -> str:
        return await asyncio.to_thread(fingerprint, self._desk.settings, number)


def _number(given: str) -> str:
    if len(number_in(given)) < 3 or len(given) > 200:
        raise BadRequest("Give the caller's whole `number`.")
    return given
