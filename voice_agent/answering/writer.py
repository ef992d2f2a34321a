"""A language model as the answering stage knows it: what it writes with, and how quick it has been.

Where two are configured, simple requests go to the small one and hard ones to the larger.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from voice_agent.answering.chat_protocol import Item, Message, Token
from voice_agent.answering.pace import Pace
from voice_agent.speech.clauses import ClauseSplitter


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


async def first_clause_s(model: Model, messages: Sequence[Message]) -> float:
    """How long the model takes to its first clause, in seconds.

    Raises:
        LanguageModelError: it does not answer.
    """
    began, splitter = time.perf_counter(), ClauseSplitter()
    async with aclosing(model.stream(messages)) as items:
        async for item in items:
            if isinstance(item, Token) and splitter.feed(item.text):
                break
    return time.perf_counter() - began
