"""Does a sentence follow from a statement? By likeness of meaning, or as a model judges it.

``Nearness`` is there on every machine: a few milliseconds a sentence, the statements of a passage
embedded once and kept. ``ModelJudge`` asks a language model, where the hardware allows waiting for
it; both are asked through the same gate (``safety.grounding_gate``).
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Protocol

import numpy as np

from voice_agent.answering.chat_protocol import Item, Message, Token
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.knowledge.embedder import Vectors
from voice_agent.safety.evidence import Evidence, Statement

REMEMBERED = 20_000
"""Statements whose vectors are kept: 30 MB."""
_YES = re.compile(r"^\W*yes\b", re.IGNORECASE)
_JUDGE = (
    "You check whether a statement follows from facts. Answer with one word: yes when the facts "
    "say all of it, no when any part of it is not in the facts or contradicts them."
)


class TextEmbedder(Protocol):
    """Texts to vectors of length one."""

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384)."""


class Nearness:
    """Cosine similarities of sentences to statements; one a process, shared by its calls."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="nearness")

    def close(self) -> None:
        """Stop the thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def prepare(self, evidence: Evidence) -> None:
        """Embed the statements of a turn beforehand, while the answer is being written."""
        if evidence.texts:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, self._vectors, evidence.texts)

    async def measure(self, sentence: str, evidence: Evidence) -> tuple[float, ...]:
        """The similarity of a sentence to each statement, -1 to 1; nothing kept is computed
        again."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self.measure_now, sentence, evidence)

    def measure_now(self, sentence: str, evidence: Evidence) -> tuple[float, ...]:
        """The same, in this thread."""
        if not evidence.statements:
            return ()
        near = self._vectors(evidence.texts) @ self._vectors((sentence,))[0]
        return tuple(float(value) for value in near)

    def likeness(self, one: str, other: str) -> float:
        """The similarity of two texts, -1 to 1, in this thread."""
        first, second = self._vectors((one, other))
        return float(first @ second)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if missing:
            for text, vector in zip(missing, self._embedder.embed(missing), strict=True):
                self._kept[text] = vector
        vectors = np.stack([self._kept[text] for text in texts])
        for text in texts:
            self._kept.move_to_end(text)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        return vectors


class Model(Protocol):
    """A language model (see ``answering.language_model``)."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, priority: int = 0
    ) -> AsyncGenerator[Item, None]:
        """Tokens of the answer."""


class ModelJudge:
    """A language model as a judge of what follows."""

    def __init__(self, model: Model, patience_s: float) -> None:
        self._model = model
        self._patience_s = patience_s

    async def follows(self, sentence: str, statements: Sequence[Statement]) -> bool | None:
        """Whether a sentence follows from statements; ``None``: the model did not say in time."""
        words = ""
        try:
            async with asyncio.timeout(self._patience_s):
                asked = judge_messages(sentence, [each.claim.text for each in statements])
                async with aclosing(self._model.stream(asked, max_tokens=4)) as items:
                    async for item in items:
                        words += item.text if isinstance(item, Token) else ""
        except (LanguageModelError, TimeoutError):
            return None
        return says_yes(words) if words.strip() else None


def says_yes(words: str) -> bool:
    """Whether a judging model's words are a yes."""
    return bool(_YES.match(words))


def judge_messages(sentence: str, facts: Sequence[str]) -> list[Message]:
    """What a judging model is asked."""
    listed = "\n".join(f"- {fact}" for fact in facts)
    return [
        {"role": "system", "content": _JUDGE},
        {
            "role": "user",
            "content": f"Facts:\n{listed}\n\nStatement: {sentence}\n\n"
            "Do the facts say all of the statement? Answer yes or no.",
        },
    ]
