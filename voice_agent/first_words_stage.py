"""The stage that sees to it that a caller's words about being recorded are heeded."""

from __future__ import annotations

from pipecat.frames.frames import Frame

from voice_agent.first_words import FirstWords
from voice_agent.frames import ReplyAsked, ReplyCommitted, ReplyDropped
from voice_agent.reply_stage import ReplyStage


class RecordingTalk(ReplyStage):
    """Sits before everything that reads words: a yes to being recorded is for nothing else."""

    def __init__(self, first_words: FirstWords) -> None:
        super().__init__()
        self._first_words = first_words

    async def handle(self, frame: Frame) -> bool:
        """Look at what is said; every frame goes on."""
        match frame:
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                self._first_words.look_at(reply)
            case ReplyCommitted(reply=reply):
                await self._first_words.commit(reply)
            case ReplyDropped(reply=reply):
                self._first_words.drop(reply)
        return False
