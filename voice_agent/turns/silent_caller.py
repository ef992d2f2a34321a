"""A caller who says nothing: asked whether they are there, then let go. Pure, in audio time."""

from __future__ import annotations

from voice_agent.config import TurnSettings
from voice_agent.turns.events import AskIfThere, SayGoodbye


class SilentCaller:
    """Counts silence that nothing accounts for."""

    def __init__(self, settings: TurnSettings) -> None:
        self._after_ms = settings.prompt_after_s * 1000
        self._prompts = settings.prompts
        self._since_ms = 0
        self._asked = 0

    def restart(self, now_ms: int) -> None:
        """Something went on until now; the silence begins here."""
        self._since_ms = now_ms

    def answered(self) -> None:
        """The caller is there."""
        self._asked = 0

    def watch(self, now_ms: int) -> list[AskIfThere | SayGoodbye]:
        """What to do about a silence that goes on."""
        if now_ms - self._since_ms < self._after_ms:
            return []
        self._since_ms = now_ms
        self._asked += 1
        return [SayGoodbye()] if self._asked > self._prompts else [AskIfThere(self._asked - 1)]
