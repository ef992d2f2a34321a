"""The stages of one call, in the order in which sound becomes an answer. Read this first.

::

    gateway ─▶ LineInput      20 ms of the caller, on an audio clock
                 ▼
               VoiceDetector  is it a voice?                    webrtcvad, Silero
                 ▼
               TurnTaker      words, whose turn, interruptions  Whisper, smart-turn, TurnEngine
                 ▼
               PaymentWatch   pauses the recording              rules
                 ▼
               RecordingTalk  "yes" to being recorded           rules, policy.yaml
                 ▼
               Candour        "are you a machine?"              rules, policy.yaml
                 ▼
               PersonTalk     waiting, call-back, message       TalkRules
                 ▼
               ActionsUnderWay  "yes" is for what asked         FlowRules
                 ▼
               InputGuard     attacks refused, cards masked     rules, policy.yaml
                 ▼
               Router         which road; person, excuse        rules, MiniLM
                 ▼
               Actions        done once, told from data         back office, journal
                 ▼
               Retriever      passages                          Qdrant, MiniLM
                 ▼
               Answerer       clauses, as they are written      llama.cpp or vLLM
                 ▼
               OutputGuard    what may not be said              rules, policy.yaml
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
from voice_agent.answering.action_stage import Actions, ActionsUnderWay
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.answerer import Answerer
from voice_agent.answering.conversation import Conversation
from voice_agent.answering.router import Router
from voice_agent.config import Settings, secrets_of
from voice_agent.engines import Engines
from voice_agent.first_words import FirstWords
from voice_agent.first_words_stage import RecordingTalk
from voice_agent.handoff.desk import HandoffDesk
from voice_agent.handoff.person_stage import PersonTalk
from voice_agent.knowledge.retriever import Retriever
from voice_agent.line import LineInput, LineOutput
from voice_agent.safety.candour_stage import Candour
from voice_agent.safety.input_guard_stage import InputGuard
from voice_agent.safety.output_guard import OutputGuard
from voice_agent.safety.output_guard_stage import OutputGuardStage
from voice_agent.safety.payment_stage import PaymentWatch
from voice_agent.safety.safe_library import SafeLibrary
from voice_agent.speech.speaker import Speaker
from voice_agent.turns.gate import SpeechGate
from voice_agent.turns.turn_taker import TurnTaker
from voice_agent.turns.voice import VoiceDetector


@dataclass(frozen=True, slots=True)
class CallPipeline:
    """A call's pipeline, and those parts of it that its session talks to."""

    pipeline: Pipeline
    line_input: LineInput
    turn_taker: TurnTaker
    handoffs: HandoffDesk
    first_words: FirstWords
    payment_watch: PaymentWatch
    desk: ActionDesk | None = None


def build_pipeline(
    settings: Settings,
    engines: Engines,
    conversation: Conversation,
    send_audio: Callable[[bytes], Awaitable[None]],
    send_message: Callable[[Message], Awaitable[None]],
) -> CallPipeline:
    """The stages of one call; nothing is loaded here."""
    line_input = LineInput()
    systems = engines.actions
    desk = systems.desk() if systems else None
    turn_taker = TurnTaker(
        settings.turns,
        settings.speech.transcriber.language,
        engines.transcriber,
        engines.completeness,
        conversation,
        keys_are_secret=lambda: desk is not None and desk.wants_secret_keys,
    )
    first_words = FirstWords(settings.answering, engines.policy, send_message)
    handoffs = HandoffDesk(settings, engines, conversation)
    payment_watch = PaymentWatch(send_message, turn_taker)
    language = settings.speech.transcriber.language
    pinned = settings.knowledge.pin_calls
    library = engines.knowledge.for_call() if pinned else engines.knowledge
    stages = [
        line_input,
        VoiceDetector(engines.voice),
        turn_taker,
        payment_watch,
        RecordingTalk(first_words),
        Candour(engines.policy),
        PersonTalk(handoffs, language),
        *([ActionsUnderWay(desk, language)] if desk else []),
        InputGuard(engines.policy),
        Router(settings, conversation, engines.roads, handoffs),
        *([Actions(desk, systems.known, settings.handoff.enabled)] if systems and desk else []),
        Retriever(SafeLibrary(library)),
        Answerer(
            settings.answering,
            engines.model,
            engines.prompt,
            conversation,
            engines.pace,
            engines.meanings,
            engines.judge,
            engines.larger,
        ),
        OutputGuardStage(
            OutputGuard(engines.policy, engines.prompt.system, secrets_of(settings)), conversation
        ),
        Speaker(engines.synthesiser),
        SpeechGate(),
        LineOutput(send_audio, send_message),
    ]
    return CallPipeline(
        Pipeline(stages), line_input, turn_taker, handoffs, first_words, payment_watch, desk
    )
