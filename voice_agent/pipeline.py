"""The stages of one call, in the order in which sound becomes an answer. Read this first.

::

    gateway ─▶ LineInput      20 ms of the caller, on an audio clock
                 ▼
               VoiceDetector  is it a voice?                    webrtcvad, Silero
                 ▼
               TurnTaker      words, whose turn, interruptions  Whisper, smart-turn, TurnEngine
                 ▼
               Router         answer, person, goodbye, excuse   pure rules
                 ▼
               Retriever      passages                          Qdrant, MiniLM
                 ▼
               Answerer       clauses, as they are written      llama.cpp or vLLM
                 ▼
               Speaker        sound, clause by clause           Piper
                 ▼
               SpeechGate     held until the turn is committed; knows what was heard
                 ▼
    gateway ◀─ LineOutput     audio and orders

Work on a reply starts while its turn is not over yet; ``ReplyCommitted`` lets it through the
gate, ``ReplyDropped`` undoes it everywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.pipeline.pipeline import Pipeline

from telephony.media_stream import Message
from voice_agent.answering.answerer import Answerer
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.router import Router
from voice_agent.config import Settings
from voice_agent.engines import Engines
from voice_agent.knowledge.retriever import Retriever
from voice_agent.line import LineInput, LineOutput
from voice_agent.speech.speaker import Speaker
from voice_agent.turns.gate import SpeechGate
from voice_agent.turns.turn_taker import TurnTaker
from voice_agent.turns.voice import VoiceDetector


@dataclass(frozen=True, slots=True)
class CallPipeline:
    """A call's pipeline, and the two stages its session talks to."""

    pipeline: Pipeline
    line_input: LineInput
    turn_taker: TurnTaker


def build_pipeline(
    settings: Settings,
    engines: Engines,
    conversation: Conversation,
    send_audio: Callable[[bytes], Awaitable[None]],
    send_message: Callable[[Message], Awaitable[None]],
) -> CallPipeline:
    """The stages of one call; nothing is loaded here."""
    line_input = LineInput()
    turn_taker = TurnTaker(
        settings.turns,
        settings.speech.transcriber.language,
        engines.transcriber,
        engines.completeness,
        conversation,
    )
    stages = [
        line_input,
        VoiceDetector(engines.voice),
        turn_taker,
        Router(settings, conversation),
        Retriever(engines.knowledge),
        Answerer(settings.answering, engines.model, engines.prompt, conversation, engines.pace),
        Speaker(engines.synthesiser),
        SpeechGate(),
        LineOutput(send_audio, send_message),
    ]
    return CallPipeline(Pipeline(stages), line_input, turn_taker)
