"""Which prompt a caller hears while nobody speaks, from when on, and when it is over. Pure."""

from __future__ import annotations

import asyncio

from telephony.media_stream import FRAME_MS
from telephony.playout import Prompt

TAIL_MS = 200
"""Silence after the last words before hanging up: the far jitter buffer still holds some."""


class PromptPlayer:
    """At most one prompt at a time, a frame whenever the caller would hear nothing else."""

    def __init__(self) -> None:
        self.finished = asyncio.Event()
        """The prompt has been played to its end, and the leg has sent it."""
        self._prompt: Prompt | None = None
        self._wait_ms = 0
        self._silent_ms = 0
        """Since the prompt's last frame."""

    @property
    def has_prompt(self) -> bool:
        return self._prompt is not None

    def play(self, prompt: Prompt | None, after_ms: int) -> None:
        """Take the place of any other prompt, after so much silence."""
        self._prompt = prompt
        self._wait_ms = after_ms
        self._silent_ms = 0
        self.finished.clear()

    def stop(self) -> None:
        """Somebody speaks: forget the prompt."""
        self._prompt = None

    def next_frame(self, unsent_ms: int) -> bytes | None:
        """20 ms of the prompt; ``None`` when it waits or is over. ``unsent_ms`` is what the leg
        holds."""
        if self._prompt is None:
            return None
        if self._wait_ms > 0:
            self._wait_ms -= FRAME_MS
            return None
        if (frame := self._prompt.pop_frame()) is not None:
            return frame
        self._silent_ms += FRAME_MS
        if self._silent_ms > max(TAIL_MS, unsent_ms):
            self.finished.set()
        return None
