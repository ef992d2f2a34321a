"""One call of the stock pipeline: pipecat's parts in the order of its own quickstart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pipecat.frames.frames import Frame, LLMContextFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
    UserTurnStoppedMessage,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_stop import TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from evals.latency.stock_services import Library, StockServices, load_analyzers
from evals.latency.stock_stream import MediaStreamTransport
from telephony.media_stream import SAMPLE_RATE_HZ
from voice_agent.answering.prompt import ask
from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.query import make_query


class KnowledgeLookup(FrameProcessor):
    """Puts the passages that fit the question before it, for the language model only.

    The conversation keeps the bare question, so that a later prompt does not drag along the
    passages of earlier ones.
    """

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Ground what is on its way to the language model; pass everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            try:
                frame = await self._grounded(frame)
            except KnowledgeError as error:  # an answer without facts is better than none
                await self.push_error(f"knowledge: {error}", exception=error)
        await self.push_frame(frame, direction)

    async def _grounded(self, frame: LLMContextFrame) -> LLMContextFrame:
        messages: list[Any] = frame.context.get_messages()
        if not messages or (question := said_by(messages[-1], "user")) is None:
            return frame
        found = await self._library.search(make_query(turns_of(messages[:-1]), question))
        asked: Any = {"role": "user", "content": ask(question, found.passages)}
        grounded = LLMContext(
            [*messages[:-1], asked],
            tools=frame.context.tools,
            tool_choice=frame.context.tool_choice,
        )
        return LLMContextFrame(grounded, speculation=frame.speculation)


def said_by(message: Any, role: str) -> str | None:
    """The text of a message of this role; None for another's, or when it is not text."""
    if not isinstance(message, dict) or message.get("role") != role:
        return None
    content = message.get("content")
    return content if isinstance(content, str) else None


def turns_of(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """Messages as turns, oldest first, each (what the caller said, what the agent said)."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        if (question := said_by(message, "user")) is not None:
            turns.append((question, ""))
        elif (answer := said_by(message, "assistant")) is not None:
            caller, before = turns.pop() if turns else ("", "")
            turns.append((caller, f"{before} {answer}".strip()))
    return turns


@dataclass(slots=True)
class StockRecord:
    """What was said in one call, for ``GET /calls/ID``; times in seconds since 1970."""

    call_id: str
    began_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    turns: list[dict[str, Any]] = field(default_factory=list)
    _turn_began_at: float | None = None

    def caller_began(self) -> None:
        """The caller has taken the turn."""
        self._turn_began_at = time.time()

    def caller_said(self, text: str) -> None:
        """The caller's turn is over; nothing is kept of one without words."""
        began_at, self._turn_began_at = self._turn_began_at or time.time(), None
        if text:
            self.turns.append({"heard": text, "answer": "", "began_at": began_at, "stages_ms": {}})

    def agent_said(self, text: str) -> None:
        """The agent has spoken, the greeting included, which answers nothing."""
        if self.turns:
            self.turns[-1]["answer"] = f"{self.turns[-1]['answer']} {text}".strip()

    def as_json(self) -> dict[str, Any]:
        """The part of the product's record that a measurement reads."""
        return {
            "call_id": self.call_id,
            "began_at": self.began_at,
            "ended_at": self.ended_at,
            "turns": [dict(turn) for turn in self.turns],
        }


async def serve_call(
    services: StockServices, socket: web.WebSocketResponse, record: StockRecord
) -> None:
    """Run one call's pipeline until the caller or the agent hangs up."""
    voice_activity, turn_end = await asyncio.to_thread(load_analyzers)
    transport = MediaStreamTransport(socket)
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=voice_activity,
            # the default strategies, spelled out because the model was loaded in a thread
            user_turn_strategies=UserTurnStrategies(
                stop=[TurnAnalyzerUserTurnStopStrategy(turn_analyzer=turn_end)]
            ),
        ),
    )
    stages: list[FrameProcessor] = [
        transport.input(),
        services.ears(),
        user,
        KnowledgeLookup(services.knowledge),
        services.mind(),
        services.mouth(),
        transport.output(),
        assistant,
    ]
    worker = PipelineWorker(
        Pipeline(stages),
        params=PipelineParams(
            audio_in_sample_rate=SAMPLE_RATE_HZ,
            audio_out_sample_rate=SAMPLE_RATE_HZ,
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
    )
    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)

    async def greet(_transport: object, _socket: object) -> None:
        await worker.queue_frame(TTSSpeakFrame(services.settings.answering.greeting))

    async def leave(_transport: object, _socket: object) -> None:
        await runner.cancel()

    async def note_began(_aggregator: object, _strategy: object) -> None:
        record.caller_began()

    async def note_heard(_user: object, _strategy: object, said: UserTurnStoppedMessage) -> None:
        record.caller_said(said.content or "")

    async def note_answer(_assistant: object, said: AssistantTurnStoppedMessage) -> None:
        record.agent_said(said.content)

    transport.add_event_handler("on_client_connected", greet)
    transport.add_event_handler("on_client_disconnected", leave)
    user.add_event_handler("on_user_turn_started", note_began)
    user.add_event_handler("on_user_turn_stopped", note_heard)
    assistant.add_event_handler("on_assistant_turn_stopped", note_answer)
    try:
        await runner.run()
    finally:
        record.ended_at = time.time()
