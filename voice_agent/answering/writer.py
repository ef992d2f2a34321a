"""A language model as the answering stage knows it: what it writes with, and how quick it has been.

Where two are configured, simple requests go to the small one and hard ones to the larger.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from voice_agent.answering.chat_protocol import Item, Message
from voice_agent.answering.pace import Pace


class Model(Protocol):
    """A language model (see ``answering.language_model``)."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, priority: int = 0
    ) -> AsyncGenerator[Item, None]:
        """Tokens of the answer."""

    async def warm(self, messages: Sequence[Message]) -> None:
        """Let the server read a prompt beforehand."""

    async def close(self) -> None:
        """Give its connections back."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A model, its name for the record, and its pace, which all calls share."""

    model: Model
    name: str
    pace: Pace = field(default_factory=Pace)
