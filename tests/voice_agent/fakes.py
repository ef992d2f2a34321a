"""Hand-written engines for tests of the stages: they do what they are told, or break as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np

from tests.voice_agent.passages import passage
from voice_agent.answering.chat_protocol import Finished, Item, Message, Token
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.search import Retrieval
from voice_agent.speech.spoken_text import as_spoken
from voice_agent.speech.synthesiser import SynthesiserUnreachable
from voice_agent.speech.transcriber import Transcript

FRAME = 640
MS = 32
"""Bytes of one millisecond of the media stream's audio."""


def voice(ms: int) -> bytes:
    """A sound that both detectors take for a voice: harmonics of 140 Hz that rise and fall."""
    t = np.arange(ms * 16) / 16000
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t)
    tone = sum(np.sin(2 * np.pi * 140 * n * t) / n for n in range(1, 18))
    return (np.asarray(tone) * syllables * 5000).astype("<i2").tobytes()


class FakeVoiceModel:
    """Loud is a voice."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.executor = ThreadPoolExecutor(1)

    def run(self, window: np.ndarray, state: np.ndarray) -> tuple[float, np.ndarray]:
        return (0.95 if np.abs(window).mean() > 0.01 else 0.01), state


class FakeEars:
    """Hears the next of ``says`` at every final transcription; the last one again and again."""

    def __init__(self, *says: str | Exception, language: str = "en") -> None:
        self.says = list(says)
        self.language = language
        self.heard_ms: list[int] = []

    async def transcribe(
        self, samples: np.ndarray, *, final: bool = True, so_far: Transcript | None = None
    ) -> Transcript:
        said = self.says[0] if self.says else ""
        if final:
            self.heard_ms.append(len(samples) // 16)
        if isinstance(said, Exception):
            raise said
        return Transcript(
            text=said,
            no_speech_probability=0.0,
            average_log_probability=-0.2,
            language=self.language,
            took_ms=1.0,
        )

    async def trailing(self, samples: np.ndarray, heard: Transcript) -> float | None:
        return None

    def next(self) -> None:
        """Go on to the next utterance."""
        if len(self.says) > 1:
            self.says.pop(0)


class FakeJudgement:
    """Always as sure as told that the caller is done."""

    def __init__(self, probability: float = 0.95) -> None:
        self.probability = probability

    async def judge(self, samples: np.ndarray) -> float:
        return self.probability


class FakeLibrary:
    """Finds the same passages for everything."""

    version = "test"

    def __init__(self, *passages: Passage, error: Exception | None = None) -> None:
        self.passages = passages or (passage("p1", "Standard delivery costs $4.95."),)
        self.error = error
        self.queries: list[str] = []

    async def search(self, query: Query, limit: int | None = None) -> Retrieval:
        self.queries.append(query.text)
        if self.error:
            raise self.error
        return Retrieval(self.passages, query.text, 1.0, self.version)

    async def reload_if_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


class FakeModel:
    """Writes ``answer`` word by word; raises ``error`` after ``error_after`` words."""

    def __init__(
        self,
        answer: str = "Standard delivery costs $4.95.",
        error: Exception | None = None,
        error_after: int = 0,
    ) -> None:
        self.answer = answer
        self.error = error
        self.error_after = error_after
        self.asked: list[Sequence[Message]] = []
        self.warmed: list[Sequence[Message]] = []
        self.late = False
        self.release = asyncio.Event()
        self.cancelled = 0

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int | None = None, priority: int = 0
    ) -> AsyncGenerator[Item, None]:
        self.asked.append(messages)
        try:
            if self.late:
                await self.release.wait()
            for number, word in enumerate(self.answer.split(" ")):
                if self.error and number >= self.error_after:
                    raise self.error
                await asyncio.sleep(0)
                yield Token(word if number == 0 else f" {word}")
            yield Finished("stop", 10, 5, 7)
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    async def warm(self, messages: Sequence[Message]) -> None:
        self.warmed.append(messages)

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        pass


class FakeMouth:
    """40 ms of tone a character, in pieces; raises ``error`` instead when told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.fails_except: tuple[str, ...] | None = None
        self.spoken: list[str] = []

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        self.spoken.append(text)
        if self.error:
            raise self.error
        if self.fails_except is not None and as_spoken(text) not in map(
            as_spoken, self.fails_except
        ):
            raise SynthesiserUnreachable("gone")
        for _ in range(0, len(text), 10):
            await asyncio.sleep(0)
            yield voice(400)

    async def ready(self) -> bool:
        return self.error is None

    async def foresee(self, text: str) -> None:
        pass

    async def close(self) -> None:
        pass


class FakeRecords:
    """Keeps records in a list."""

    def __init__(self) -> None:
        self.turns: list[Any] = []
        self.calls: list[Any] = []
        self.handoffs: list[Any] = []

    def record_handoff(self, record: Any) -> None:
        self.handoffs.append(record)

    def record_turn(self, record: Any) -> None:
        self.turns.append(record)

    def record_call(self, record: Any) -> None:
        self.calls.append(record)

    def call(self, call_id: str) -> dict[str, Any] | None:
        return None

    def close(self) -> None:
        pass
