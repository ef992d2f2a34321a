"""The stage that takes what a caller says to an offer, or while they wait for a person."""

from __future__ import annotations

from pipecat.frames.frames import Frame

from voice_agent.frames import ReplyAsked, ReplyCommitted, ReplyDropped
from voice_agent.handoff.desk import HandoffDesk
from voice_agent.reply_stage import ReplyStage


class PersonTalk(ReplyStage):
    """Sits before everything that reads words: "yes" is for what was asked last.

    It gives the reply its sentence and lets it go on; the router says it.
    """

    def __init__(self, desk: HandoffDesk, language: str) -> None:
        super().__init__()
        self._desk = desk
        self._language = language

    async def handle(self, frame: Frame) -> bool:
        """Look at what is said; every frame goes on."""
        match frame:
            case ReplyAsked(reply=reply) if not reply.fixed_text:
                if reply.language == self._language:
                    self._desk.hear(reply)
            case ReplyCommitted(reply=reply):
                self._desk.commit(reply)
            case ReplyDropped(reply=reply):
                self._desk.drop(reply)
        return False
