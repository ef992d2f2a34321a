"""A pipeline stage that works on replies, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog
from pipecat.frames.frames import CancelFrame, EndFrame, Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from voice_agent.errors import as_logged, code_of
from voice_agent.frames import ReplyDropped, ReplyFailed, ReplyFrame
from voice_agent.reply import Reply

log = structlog.get_logger(__name__)


class ReplyStage(FrameProcessor):
    """Passes every frame on, except those ``handle`` takes.

    ``work_on`` runs a stage's work on a reply beside the frames, so that a slow engine never
    holds up a drop; a dropped reply's work is cancelled, a failed one's is reported upstream.
    """

    def __init__(self) -> None:
        super().__init__()
        self._work: dict[int, set[asyncio.Task[None]]] = {}

    async def handle(self, frame: Frame) -> bool:  # noqa: ARG002 - stages override
        """Act on a frame on its way down; true when it must not be passed on."""
        return False

    async def handle_upstream(self, frame: Frame) -> bool:  # noqa: ARG002 - stages may override
        """Act on a frame on its way up; true when it must not be passed on."""
        return False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Route one frame (pipecat calls this, in order)."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ReplyDropped):
            self._cancel_work(frame.reply)
        elif isinstance(frame, EndFrame | CancelFrame):
            self._cancel_all_work()
        if direction is FrameDirection.UPSTREAM:
            taken = await self.handle_upstream(frame)
        else:
            taken = self._stale(frame) or await self.handle(frame)
        if not taken:
            await self.push_frame(frame, direction)

    @staticmethod
    def _stale(frame: Frame) -> bool:
        if isinstance(frame, ReplyDropped):
            return False
        return isinstance(frame, ReplyFrame) and frame.reply.dropped

    async def cleanup(self) -> None:
        """Stop all work; the call is over."""
        self._cancel_all_work()
        await super().cleanup()

    def work_on(self, reply: Reply, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` until it ends or the reply is dropped."""
        task = asyncio.create_task(self._guard(reply, work))
        tasks = self._work.setdefault(reply.reply_id, set())
        tasks.add(task)
        task.add_done_callback(lambda done: self._forget(reply.reply_id, done))

    def _forget(self, reply_id: int, task: asyncio.Task[None]) -> None:
        tasks = self._work.get(reply_id, set())
        tasks.discard(task)
        if not tasks:
            self._work.pop(reply_id, None)

    async def _guard(self, reply: Reply, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            log.warning(
                "stage_failed",
                stage=type(self).__name__,
                turn_id=reply.turn_id,
                **as_logged(error),
            )
            if reply.live:
                reply.failure = code_of(error) or "unexpected"
                await self.push_frame(ReplyFailed(reply), FrameDirection.UPSTREAM)

    def _cancel_work(self, reply: Reply) -> None:
        for task in self._work.get(reply.reply_id, set()):
            task.cancel()

    def _cancel_all_work(self) -> None:
        for tasks in self._work.values():
            for task in tasks:
                task.cancel()
