"""pipecat's own services with the product's model files, loaded once and shared by all calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper import WhisperModel
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService
from pipecat.services.tts_service import TTSService
from pipecat.services.whisper.stt import WhisperSTTService, WhisperSTTSettings
from pipecat.transcriptions.language import Language
from piper import PiperVoice

from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.config import ConfigError, Settings, secret
from voice_agent.engines import load_prompt
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.search import Retrieval
from voice_agent.models import locate

_WARM_UP_S = 1.0


class Library(Protocol):
    """Where passages are found (``voice_agent.knowledge.index.Knowledge``)."""

    async def search(self, query: Query) -> Retrieval:
        """Passages for a query, best first."""


class SharedWhisper(WhisperSTTService):
    """``WhisperSTTService`` on a model that is loaded already, instead of one a call."""

    def __init__(self, whisper: WhisperModel, settings: WhisperSTTSettings) -> None:
        self._whisper = whisper
        super().__init__(settings=settings)

    def _load(self) -> None:
        self._model = self._whisper


class SharedPiper(PiperTTSService):
    """``PiperTTSService`` on a voice that is loaded already, instead of one a call."""

    def __init__(self, voice: PiperVoice, name: str) -> None:
        # PiperTTSService's own constructor, less the loading (WhisperSTTServiceMLX does the same).
        TTSService.__init__(
            self,
            push_start_frame=True,
            push_stop_frames=True,
            settings=self.Settings(model=None, voice=name, language=None),
        )
        self._voice = voice


class LocalLLM(OpenAILLMService):
    """``OpenAILLMService`` for a server that knows no ``developer`` role, like pipecat's Ollama."""

    supports_developer_role = False


@dataclass(frozen=True, slots=True)
class StockServices:
    """What all calls share, and the makers of what each call has for itself."""

    settings: Settings
    whisper: WhisperModel
    voice: PiperVoice
    knowledge: Library
    prompt: AnswerPrompt

    @classmethod
    def load(cls, settings: Settings, knowledge: Library) -> StockServices:
        """Load every model and use it once. Blocking, some seconds.

        Raises:
            ConfigError, ModelsError: one line that says what is missing.
        """
        folder, ears = settings.models.folder, settings.speech.transcriber
        language = language_of(settings)
        whisper = WhisperModel(
            str(locate(folder, ears.model)), device=ears.device, compute_type=ears.compute_type
        )
        hum = np.sin(np.arange(16_000 * _WARM_UP_S) / 20).astype(np.float32) / 10
        list(whisper.transcribe(hum, language=language)[0])
        voice = PiperVoice.load(locate(folder, settings.speech.synthesiser.voice))
        for _ in voice.synthesize("How can I help you with your order today?"):
            pass
        load_analyzers()
        return cls(
            settings=settings,
            whisper=whisper,
            voice=voice,
            knowledge=knowledge,
            prompt=load_prompt(settings.answering.prompt, settings.answering.company),
        )

    def ears(self) -> WhisperSTTService:
        """Speech to text for one call."""
        ears = self.settings.speech.transcriber
        options = WhisperSTTSettings(model=ears.model, language=language_of(self.settings))
        return SharedWhisper(self.whisper, options)

    def mouth(self) -> PiperTTSService:
        """Text to speech for one call."""
        return SharedPiper(self.voice, Path(self.settings.speech.synthesiser.voice).stem)

    def mind(self) -> OpenAILLMService:
        """The language model for one call."""
        model = self.settings.answering.model
        options = OpenAILLMService.Settings(
            model=model.model,
            system_instruction=self.prompt.system,
            temperature=model.temperature,
            max_tokens=model.max_tokens,
        )
        key = secret(model.api_key_env) or "none"
        return LocalLLM(api_key=key, base_url=model.url, settings=options)

    async def warm_model(self) -> None:
        """Let every slot of the language model read the beginning that each call's prompt has.

        Raises:
            openai.OpenAIError: the server does not answer, or answers with an error.
        """
        said: list[Any] = [
            {"role": "assistant", "content": self.settings.answering.greeting},
            {"role": "user", "content": "Hello"},
        ]
        mind = self.mind()
        slots = range(self.settings.answering.model.slots)
        await asyncio.gather(*(mind.run_inference(LLMContext(said), max_tokens=1) for _ in slots))


def language_of(settings: Settings) -> Language:
    """The callers' language as pipecat names it.

    Raises:
        ConfigError: pipecat has no such language.
    """
    name = settings.speech.transcriber.language
    try:
        return Language(name)
    except ValueError as error:
        raise ConfigError(f"speech.transcriber.language: pipecat knows no `{name}`") from error


def load_analyzers() -> tuple[SileroVADAnalyzer, LocalSmartTurnAnalyzerV3]:
    """Voice and turn detection for one call, as pipecat has them. Blocking, about 0.15 s."""
    return SileroVADAnalyzer(), LocalSmartTurnAnalyzerV3()
