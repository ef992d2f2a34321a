"""The engines all calls of one agent process share, loaded and warmed before the first call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from voice_agent.answering.language_model import LanguageModel
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.pace import Pace
from voice_agent.answering.phrases import prepared_phrases
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import ConfigError, Settings
from voice_agent.knowledge.index import Knowledge
from voice_agent.records.store import Records
from voice_agent.speech.spoken_text import as_spoken
from voice_agent.speech.synthesiser import Synthesiser
from voice_agent.speech.transcriber import Transcriber
from voice_agent.turns.completeness import CompletenessModel
from voice_agent.turns.voice import VoiceModel

log = structlog.get_logger(__name__)

_LOOK_FOR_KNOWLEDGE_S = 1.0


@dataclass(slots=True)
class Engines:
    """Everything a call needs that costs time to build."""

    voice: VoiceModel
    completeness: CompletenessModel
    transcriber: Transcriber
    knowledge: Knowledge
    model: LanguageModel
    synthesiser: Synthesiser
    records: Records
    prompt: AnswerPrompt
    pace: Pace = field(default_factory=Pace)
    warm: bool = False

    @classmethod
    def load(cls, settings: Settings) -> Engines:
        """Load models from disk; takes seconds, call it from a thread.

        Raises:
            ConfigError, or the stage's own error: one line that says what is missing.
        """
        models = settings.models.folder
        return cls(
            voice=VoiceModel(),
            completeness=CompletenessModel(),
            transcriber=Transcriber.load(settings.speech.transcriber, models),
            knowledge=Knowledge.open(settings.knowledge, models),
            model=LanguageModel(settings.answering.model),
            synthesiser=Synthesiser(settings.speech.synthesiser),
            records=Records.open(settings.records.path),
            prompt=load_prompt(settings.answering.prompt, settings.answering.company),
        )

    async def warm_up(self, settings: Settings) -> None:
        """Wait for the other processes, keep the usual phrases as sound, read the system prompt."""
        await _until(self.synthesiser.ready)
        phrases = [as_spoken(phrase) for phrase in prepared_phrases(settings.answering)]
        await self.synthesiser.remember(phrases, for_good=True)
        await _until(self.model.ready)
        try:
            await self.model.warm(self.prompt.messages(""))
            self.pace.note(await _first_clause_s(self.model, self.prompt))
        except LanguageModelError as error:  # calls are answered from the passages meanwhile
            log.error("language_model_not_warmed", code=error.code, reason=str(error))
        self.warm = True
        log.info("engines_warmed", phrases=len(phrases))

    async def follow_knowledge(self) -> None:
        """Take each newly promoted version, so that it answers the next turn; never ends."""
        while True:  # a look is one small read; other processes promote, and cannot wake us
            await asyncio.sleep(_LOOK_FOR_KNOWLEDGE_S)
            await self.knowledge.reload_if_changed()

    async def ready(self) -> dict[str, bool]:
        """Which engines can serve a call now."""
        model, synthesiser = await asyncio.gather(self.model.ready(), self.synthesiser.ready())
        return {"warm": self.warm, "language_model": model, "synthesiser": synthesiser}

    async def close(self) -> None:
        """Give everything back."""
        await self.model.close()
        await self.synthesiser.close()
        await asyncio.to_thread(self.knowledge.close)
        await asyncio.to_thread(self.records.close)


async def _first_clause_s(model: LanguageModel, prompt: AnswerPrompt) -> float:
    """How long the model takes to say something short, its instructions being read: seconds."""
    began = time.perf_counter()
    async with aclosing(model.stream(prompt.messages("What can you do?"), max_tokens=12)) as items:
        async for _ in items:
            pass
    return time.perf_counter() - began


async def _until(ready: Callable[[], Awaitable[bool]]) -> None:
    while not await ready():  # noqa: ASYNC110 - the other process has nothing to wake us with
        await asyncio.sleep(0.2)


def load_prompt(path: Path, company: str) -> AnswerPrompt:
    """The system prompt from its file.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    try:
        template = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"answering.prompt: {path} cannot be read") from error
    if not template.strip():
        raise ConfigError(f"answering.prompt: {path} is empty")
    return AnswerPrompt(template, company)
