"""The engines all calls of one agent process share, loaded and warmed before the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from voice_agent import first_words
from voice_agent.answering.actions.systems import CompanySystems
from voice_agent.answering.language_model import LanguageModel
from voice_agent.answering.language_model_errors import LanguageModelError
from voice_agent.answering.pace import Pace
from voice_agent.answering.phrases import prepared_phrases
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.answering.road_chooser import RoadChooser
from voice_agent.answering.writer import Writer, first_clause_s
from voice_agent.background import repeat
from voice_agent.config import ActionsSettings, ConfigError, LanguageModelSettings, Settings, secret
from voice_agent.handoff.phrases import FIXED
from voice_agent.handoff.reasons import Reasons, default_reasons, read_reasons
from voice_agent.knowledge.index import Knowledge, load_embedder
from voice_agent.knowledge.remembered import RememberedVectors
from voice_agent.records.outbox import Outbox, Webhook
from voice_agent.records.store import Records
from voice_agent.safety.policy import Policy, default_policy, read_policy
from voice_agent.safety.record_mask import record_mask
from voice_agent.safety.semantic import ModelJudge, Nearness
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
    policy: Policy = field(default_factory=default_policy)
    reasons: Reasons = field(default_factory=default_reasons)
    pace: Pace = field(default_factory=Pace)
    larger: Writer | None = None
    roads: RoadChooser | None = None
    meanings: Nearness | None = None
    judge: ModelJudge | None = None
    actions: CompanySystems | None = None
    webhook: Webhook | None = None
    warm: bool = False

    @classmethod
    def load(cls, settings: Settings) -> Engines:
        """Load models from disk; takes seconds, call it from a thread.

        Raises:
            ConfigError, or the stage's own error: one line that says what is missing.
        """
        models = settings.models.folder
        policy = read_policy(settings.safety.policy)
        embedder = RememberedVectors(load_embedder(settings.knowledge, models))
        roads, index = settings.answering.roads, settings.knowledge.index
        model = LanguageModel(settings.answering.model)
        grounding = settings.answering.grounding
        return cls(
            voice=VoiceModel(),
            completeness=CompletenessModel.load(settings.turns, models),
            transcriber=Transcriber.load(settings.speech.transcriber, models),
            knowledge=Knowledge.open(settings.knowledge, models, embedder),
            roads=RoadChooser.open(roads, embedder, index) if roads.enabled else None,
            model=model,
            larger=open_larger(settings.answering.larger_model),
            synthesiser=Synthesiser(settings.speech.synthesiser),
            records=Records.open(settings.records.path, record_mask(settings, policy)),
            prompt=load_prompt(settings.answering.prompt, settings.answering.company),
            policy=policy,
            reasons=read_reasons(settings.handoff.reasons),
            meanings=Nearness(embedder),
            judge=ModelJudge(model, grounding.patience_ms / 1000) if grounding.model else None,
            actions=CompanySystems.open(settings.actions),
            webhook=open_webhook(settings.actions),
        )

    async def warm_up(self, settings: Settings) -> None:
        """Wait for the other processes, keep the usual phrases as sound, read the system prompt."""
        await _until(self.synthesiser.ready)
        sentences = self.roads.sentences if self.roads else ()
        first = first_words.sentences(settings.answering, self.policy)
        own = (self.policy.what_it_is, *first)
        known = (*prepared_phrases(settings.answering), *own, *sentences)
        phrases = [as_spoken(said) for said in known]
        await self.synthesiser.remember(phrases)
        await _until(self.model.ready)
        try:
            await self.model.warm(self.prompt.messages(""))
            self.pace.note(
                await first_clause_s(self.model, self.prompt.messages("What can you do?"))
            )
        except LanguageModelError as error:  # calls are answered from the passages meanwhile
            log.error("language_model_not_warmed", code=error.code, reason=str(error))
        self.warm = True
        log.info("engines_warmed", phrases=len(phrases))
        # Needed later in a call than a first one comes: nobody waits for these at the start.
        later = (*self.reasons.sentences(), *FIXED)
        await self.synthesiser.remember([as_spoken(said) for said in later])

    async def follow_knowledge(self) -> None:
        """Take each newly promoted version, so that it answers the next turn; never ends."""
        # a look is one small read; other processes promote, and cannot wake us
        await repeat(self._look_for_knowledge, _LOOK_FOR_KNOWLEDGE_S)

    async def _look_for_knowledge(self) -> None:
        await self.knowledge.reload_if_changed()
        if self.roads is not None:
            await asyncio.to_thread(self.roads.follow)

    async def ready(self) -> dict[str, bool]:
        """Which engines can serve a call now."""
        model, synthesiser = await asyncio.gather(self.model.ready(), self.synthesiser.ready())
        return {"warm": self.warm, "language_model": model, "synthesiser": synthesiser}

    async def close(self) -> None:
        """Give everything back."""
        if self.actions is not None:
            await self.actions.close()
        if self.webhook is not None:
            await self.webhook.close()
        await self.model.close()
        if self.larger is not None:
            await self.larger.model.close()
        if self.meanings is not None:
            self.meanings.close()
        await self.synthesiser.close()
        if self.roads is not None:
            await asyncio.to_thread(self.roads.close)
        await asyncio.to_thread(self.knowledge.close)
        await asyncio.to_thread(self.records.close)


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


def open_larger(settings: LanguageModelSettings | None) -> Writer | None:
    """The model for hard requests, where one is configured."""
    return Writer(LanguageModel(settings), settings.model) if settings else None


def open_webhook(settings: ActionsSettings) -> Webhook | None:
    """Where outcomes of calls are sent; ``None``: nowhere.

    Raises:
        ConfigError: there is no key to sign them with.
    """
    if settings.webhook_url is None:
        return None
    key = secret(settings.webhook_secret_env)
    if not key:
        raise ConfigError(f"actions.webhook_url: set {settings.webhook_secret_env} to sign with")
    return Webhook(Outbox(settings.outbox), settings.webhook_url, key)
