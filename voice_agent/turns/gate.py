"""The stage nothing passes before its turn is committed; it also knows what has been heard."""

from __future__ import annotations

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telephony import media_stream
from voice_agent.frames import (
    AgentAudio,
    AgentHeard,
    ClauseVoiced,
    ClauseWritten,
    LineOrdered,
    LineReported,
    ReplyBegun,
    ReplyCommitted,
    ReplyDropped,
    ReplyOver,
    ReplyResumed,
    ReplyStopped,
    ReplyWritten,
)
from voice_agent.reply import EndReason, Reply
from voice_agent.turns.playback import Playback


class SpeechGate(FrameProcessor):
    """Holds a reply's audio until it is committed, then sends it and follows its playing.

    At most one reply is let through at a time. ``clear`` is answered by ``cleared``; between the
    two nothing is sent, so the timeline of what was played never mixes two replies.
    """

    def __init__(self) -> None:
        super().__init__()
        self._playback: Playback | None = None
        self._waiting: Reply | None = None
        self._line_ms = 0
        self._played_ms = 0
        self._clearing = False
        self._stopped = False
        self._ending: EndReason = ""
        self._audible = self._asking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Replies end here; reports about playing are noted and passed on."""
        await super().process_frame(frame, direction)
        match frame:
            case ClauseWritten() | ClauseVoiced() | ReplyWritten():
                await self._pump()
            case ReplyCommitted(reply=reply):
                await self._commit(reply)
            case ReplyDropped(reply=reply):
                await self._drop(reply)
            case ReplyStopped(reply=reply):
                await self._stop(reply)
            case ReplyResumed(reply=reply):
                await self._resume(reply)
            case LineReported(message=media_stream.Playout() as report):
                await self._note_played(report)
            case LineReported(message=media_stream.Cleared() as report):
                await self._note_cleared(report.played_ms, report.at_ms)
            case _:
                await self.push_frame(frame, direction)

    async def _commit(self, reply: Reply) -> None:
        if reply.dropped:
            return
        if self._playback is not None:
            # The one before is on its way out: wait for the gateway to say what was heard of it.
            self._waiting = reply
            return
        self._playback = Playback(reply, self._line_ms)
        self._stopped, self._ending = False, ""
        await self._pump()

    async def _drop(self, reply: Reply) -> None:
        if reply is self._waiting:
            self._waiting = None
        if self._playback is None or reply is not self._playback.reply:
            if not reply.end_reason:
                await self._report_over(reply, "dropped")
            return
        self._ending = "interrupted" if reply.heard or self._playback.sent else "dropped"
        if self._playback.line_ms > self._played_ms and not self._stopped:
            await self._clear()
        if not self._clearing:
            await self._close(self._ending)

    async def _stop(self, reply: Reply) -> None:
        if self._playback is None or reply is not self._playback.reply or self._stopped:
            return
        self._stopped = True
        await self._clear()

    async def _resume(self, reply: Reply) -> None:
        if self._playback is None or reply is not self._playback.reply:
            return
        self._stopped = False
        await self._pump()

    async def _clear(self) -> None:
        if not self._clearing:
            self._clearing = True
            await self.push_frame(LineOrdered(media_stream.Clear()))

    async def _pump(self) -> None:
        """Send what is ready; end the reply when all of it has been played."""
        if self._playback is None or self._clearing or self._stopped or self._ending:
            return
        playback = self._playback
        while audio := playback.next_audio():
            begins = "sent" not in playback.reply.marks
            playback.reply.mark("sent")
            await self.push_frame(AgentAudio(audio))
            if begins:
                await self.push_frame(ReplyBegun(playback.reply), FrameDirection.UPSTREAM)
            await self._set_audible(True, asking=playback.asking)
            await self._caption(playback)
        self._line_ms = playback.line_ms
        if playback.all_sent and self._played_ms >= playback.line_ms:
            failed = bool(playback.reply.failure) and not playback.sent
            await self._close("failed" if failed else "completed")

    async def _note_played(self, report: media_stream.Playout) -> None:
        played_ms = self._played_ms = report.played_ms
        if self._playback is not None:
            self._playback.note_played(played_ms, report.at_ms)
            await self._pump()
        if report.buffered_ms == 0 and (
            self._playback is None or self._played_ms >= self._playback.line_ms
        ):
            await self._set_audible(False)

    async def _note_cleared(self, played_ms: int, at_ms: int) -> None:
        self._clearing = False
        self._played_ms = self._line_ms = played_ms
        await self._set_audible(False)
        if self._playback is None:
            return
        self._playback.note_played(played_ms, at_ms)
        self._playback.rewind(played_ms)
        if self._ending:
            await self._close(self._ending)
        else:
            await self._pump()

    async def _close(self, reason: EndReason) -> None:
        if self._playback is None:
            return
        reply = self._playback.reply
        self._line_ms = self._playback.line_ms
        self._playback, self._ending, self._stopped = None, "", False
        await self._report_over(reply, reason)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            await self._commit(waiting)

    async def _report_over(self, reply: Reply, reason: EndReason) -> None:
        reply.end_reason = reason
        await self.push_frame(ReplyOver(reply), FrameDirection.UPSTREAM)

    async def _set_audible(self, audible: bool, *, asking: bool = False) -> None:
        if (audible, asking) != (self._audible, self._asking):
            self._audible, self._asking = audible, asking
            await self.push_frame(AgentHeard(audible, asking), FrameDirection.UPSTREAM)

    async def _caption(self, playback: Playback) -> None:
        shown = playback.reply.sayings[: playback.clause_index + 1]
        caption = media_stream.Caption(
            "agent",
            f"agent-{playback.reply.reply_id}",
            " ".join(clause.text for clause in shown),
            playback.all_sent,
        )
        await self.push_frame(LineOrdered(caption))
