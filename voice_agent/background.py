"""Tasks that nobody waits for: what fails is logged, and what must go on for ever does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

import structlog

log = structlog.get_logger(__name__)


class Background:
    """The tasks of one owner, cancelled together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin it beside the rest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_done)
        return task

    def cancel(self) -> None:
        """Have all end; does not wait for them."""
        for task in self._tasks:
            task.cancel()

    def _note_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", exc_info=error)


async def repeat(work: Callable[[], Awaitable[object]], every_s: float) -> NoReturn:
    """Do it now and ``every_s`` after it has ended, for ever. A failure is logged and is no reason
    to stop: nobody would notice."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("repeated_work_failed", work=getattr(work, "__qualname__", ""))
        await asyncio.sleep(every_s)
