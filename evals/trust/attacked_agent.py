"""The stages of a call that decide what is said and done, given words instead of sound.

The same classes in the same order as ``voice_agent.pipeline``, from the caller's words to the last
guard before the voice. The language model is whatever answers one wants it to give; every tool of
the company's systems is replaced by one that only notes that it was called.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from voice_agent.answering.action_stage import Actions, ActionsUnderWay
from voice_agent.answering.actions.declaration import read_declarations
from voice_agent.answering.actions.journal import Journal
from voice_agent.answering.actions.runner import Runner
from voice_agent.answering.actions.systems import CompanySystems
from voice_agent.answering.actions.tools import Call, Tool
from voice_agent.answering.answerer import Answerer
from voice_agent.answering.chat_protocol import Finished, Item, Message, Token, ToolCall
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.pace import Pace
from voice_agent.answering.prompt import AnswerPrompt
from voice_agent.answering.road_chooser import RoadChooser
from voice_agent.answering.router import Router
from voice_agent.config import Settings, secrets_of
from voice_agent.frames import ReplyAsked, ReplyWritten
from voice_agent.knowledge.index import Knowledge
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.retriever import Retriever
from voice_agent.reply import Clause, Reply
from voice_agent.reply_stage import ReplyStage
from voice_agent.safety.input_guard_stage import InputGuard
from voice_agent.safety.masking import mask_identifiers
from voice_agent.safety.output_guard import OutputGuard
from voice_agent.safety.output_guard_stage import OutputGuardStage
from voice_agent.safety.policy import Policy
from voice_agent.safety.safe_library import SafeLibrary
from voice_agent.safety.semantic import Nearness

TURN_TIMEOUT_S = 30.0
_SURE = 0.9
_WORDS_FOR_LANGUAGE = 4
_FOREIGN_LETTERS = 0.3


@dataclass(slots=True)
class Heard:
    """What a caller heard in answer, and what was done."""

    reply: Reply
    asked_model: Sequence[Message] = ()
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    passages: tuple[Passage, ...] = ()

    @property
    def clauses(self) -> list[Clause]:
        """What was said, in order."""
        return self.reply.clauses


class ScriptedModel:
    """Says what it is told to, and calls a tool beside, as an obedient model would."""

    def __init__(self, answer: str, tool: ToolCall | None) -> None:
        self._answer = answer
        self._tool = tool
        self.asked: Sequence[Message] = ()

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,  # noqa: ARG002 - the model's signature
        priority: int = 0,  # noqa: ARG002
    ) -> AsyncGenerator[Item, None]:
        """The scripted answer, in pieces."""
        self.asked = messages
        if self._tool is not None:
            yield self._tool
        for word in self._answer.split(" "):
            yield Token(f"{word} ")
        yield Finished(
            reason="stop", prompt_tokens=None, cached_tokens=None, completion_tokens=None
        )

    async def warm(self, messages: Sequence[Message]) -> None:
        """Nothing to read."""

    async def close(self) -> None:
        """Nothing is open."""


class NotingSource:
    """Tools that do nothing but note that they were called."""

    def __init__(self, name: str, noted: list[tuple[str, Mapping[str, Any]]]) -> None:
        self._name = name
        self._noted = noted

    async def tools(self) -> Sequence[Tool]:
        """None of its own: the declarations name them."""
        return ()

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """Note the call."""
        self._noted.append((f"{self._name}.{tool}", dict(call.arguments)))
        return {"status": "ok"}

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class AttackedAgent:
    """Everything that calls share; one call an attack."""

    settings: Settings
    policy: Policy
    prompt: AnswerPrompt
    knowledge: Knowledge
    roads: RoadChooser | None
    meanings: Nearness | None
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="attacked-")))

    async def answer(
        self,
        words: str,
        answer: str,
        *,
        tool: ToolCall | None = None,
        planted: str = "",
        language: str = "",
    ) -> Heard:
        """One call with one request. ``planted`` is added to the agent's instructions."""
        model = ScriptedModel(answer, tool)
        noted: list[tuple[str, Mapping[str, Any]]] = []
        stages = self._stages(model, noted, planted)
        written = asyncio.Event()

        def link(at: int) -> Any:
            async def push(
                frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
            ) -> None:
                if direction is FrameDirection.UPSTREAM:
                    for stage in reversed(stages[:at]):
                        if await stage.handle_upstream(frame):
                            return
                    return
                await feed(at + 1, frame)

            return push

        async def feed(at: int, frame: Frame) -> None:
            for number in range(at, len(stages)):
                if await stages[number].handle(frame):
                    return
            if isinstance(frame, ReplyWritten):
                written.set()

        for number, stage in enumerate(stages):
            stage.push_frame = link(number)  # type: ignore[method-assign]
        reply = Reply(1, "attack", words, language=language or language_of(words))
        await feed(0, ReplyAsked(reply, ()))
        async with asyncio.timeout(TURN_TIMEOUT_S):
            await written.wait()
        for stage in stages:
            stage._cancel_all_work()
        found = reply.retrieval.passages if reply.retrieval else ()
        return Heard(reply, model.asked, noted, (*found, *reply.read))

    def _stages(
        self, model: ScriptedModel, noted: list[tuple[str, Mapping[str, Any]]], planted: str
    ) -> list[ReplyStage]:
        settings = self.settings
        conversation = Conversation(
            settings.answering.history_turns, mask_identifiers(self.policy.mask.prompts)
        )
        prompt = AnswerPrompt(f"{self.prompt.system}\n{planted}".strip(), "")
        declared = read_declarations(settings.actions.declarations)
        sources = {name: NotingSource(name, noted) for name in declared.sources}
        journal = Journal(self.scratch / "journal.sqlite")
        systems = CompanySystems(settings.actions, Runner(declared, sources, journal))
        desk = systems.desk()
        return [
            ActionsUnderWay(desk, settings.speech.transcriber.language),
            InputGuard(self.policy),
            Router(settings, conversation, self.roads),
            Actions(desk, systems.known, settings.handoff.enabled),
            Retriever(SafeLibrary(self.knowledge)),
            Answerer(settings.answering, model, prompt, conversation, Pace(), self.meanings),
            OutputGuardStage(
                OutputGuard(self.policy, prompt.system, secrets_of(settings)), conversation
            ),
        ]


def language_of(words: str) -> str:
    """What the recogniser would say of them: the language, where there are enough words."""
    letters = [sign for sign in words if sign.isalpha()]
    foreign = sum(not sign.isascii() for sign in letters) > len(letters) * _FOREIGN_LETTERS
    if len(words.split()) < _WORDS_FOR_LANGUAGE and not foreign:
        return "en"
    language, probability = _identifier().classify(words)
    if foreign:
        return "und" if language == "en" else str(language)
    return str(language) if probability > _SURE else "en"


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
