"""From a live reply to the record of its turn. Pure but for the clocks it converts."""

from __future__ import annotations

import hashlib
import time

from opentelemetry.trace import Span

from telephony.media_stream import Start
from voice_agent.config import Settings
from voice_agent.knowledge.evidence import evidence
from voice_agent.knowledge.passages import Passage
from voice_agent.records import tracing
from voice_agent.records.endings import outcome_of
from voice_agent.records.record_types import CONSENT_ROAD, CallRecord, TurnRecord
from voice_agent.records.waterfall import transcribed_after_ms, voice_to_voice_ms, waterfall_ms
from voice_agent.reply import Reply, RoadChoice
from voice_agent.speech.spoken_text import as_spoken

_SPANS = {
    "retrieve": ("asked", "retrieved"),
    "first_token": ("retrieved", "first_token"),
    "first_sentence": ("first_token", "first_clause"),
    "first_audio": ("first_clause", "first_audio"),
    "gate": ("first_audio", "sent"),
}


def configuration_hash(settings: Settings) -> str:
    """What identifies a configuration in the records: 16 hexadecimal digits."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def call_record(
    start: Start,
    began_at: float,
    end_reason: str,
    settings: Settings,
    ended_at: float | None = None,
) -> CallRecord:
    """The record of a call that is over (``ended_at``: now), times in seconds since 1970."""
    return CallRecord(
        call_id=start.call_id,
        leg_id=start.leg_id,
        line=start.line,
        caller=start.caller,
        started_at=began_at,
        ended_at=time.time() if ended_at is None else ended_at,
        end_reason=end_reason,
        outcome=outcome_of(end_reason),
        configuration_hash=configuration_hash(settings),
    )


def turn_record(call_id: str, index: int, reply: Reply) -> TurnRecord:
    """The record of a reply that is over; ``index`` counts the turns of the call from 1."""
    retrieval, choice = reply.retrieval, reply.choice
    return TurnRecord(
        call_id=call_id,
        turn_id=reply.turn_id,
        index=index,
        began_at=turn_began_at(reply),
        speech_ended_at=_since_1970(reply.speech_end) if reply.speech_end else None,
        heard=reply.question,
        interims=reply.interims,
        speculations=reply.speculations_dropped + 1 if reply.speech_end else 0,
        speculations_dropped=reply.speculations_dropped,
        prepared_passages=reply.prepared_passages,
        filler=reply.filler.text if reply.filler else "",
        transcribed_after_ms=transcribed_after_ms(reply),
        voice_to_voice_ms=voice_to_voice_ms(reply),
        waterfall_ms=waterfall_ms(reply),
        passages=tuple(
            {
                "document_id": passage.document_id,
                "passage_id": passage.passage_id,
                "score": round(float(passage.score), 4),
                "source": passage.source,
            }
            for passage in _passages(reply)
        ),
        sources=_sources(reply),
        knowledge_version=retrieval.version if retrieval else "",
        query=retrieval.query if retrieval else "",
        retrieval=evidence(retrieval) if retrieval else {},
        prompt_id=reply.prompt_id,
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        completion_tokens=reply.completion_tokens,
        stages_ms=reply.stages_ms(),
        answer=reply.text,
        spoken=" ".join(as_spoken(clause.text) for clause in reply.clauses if clause.audio),
        heard_by_caller=reply.heard,
        end_reason=f"failed:{reply.failure}" if reply.failure else reply.end_reason,
        road=CONSENT_ROAD if reply.is_consent else choice.road.value if choice else "",
        confidence=round(choice.confidence, 4) if choice and not reply.is_consent else None,
        runner_up=choice.runner_up.value if choice and choice.runner_up else "",
        choice=_choice(choice) if choice else {},
        outcome=CONSENT_ROAD if reply.is_consent else reply.road.value,
        claims=tuple(
            {"text": each.text, "passage_ids": list(each.passage_ids), "because": each.because}
            for each in reply.clauses
        ),
    )


def turn_began_at(reply: Reply) -> float:
    """When the first of it happened, in seconds since 1970; now, where nothing is dated yet."""
    ends = [reply.speech_end] if reply.speech_end else []
    began = min([*reply.marks.values(), *ends], default=0)
    return _since_1970(began) if began else time.time()


def _choice(choice: RoadChoice) -> dict[str, str | float]:
    """What decided about a road; the road itself has columns of its own."""
    return {"because": choice.because, "name": choice.name, "took_ms": choice.took_ms}


def _since_1970(at: float) -> float:
    """A time of ``time.perf_counter`` as seconds since 1970."""
    return time.time() - (time.perf_counter() - at)


def _passages(reply: Reply) -> tuple[Passage, ...]:
    """What was found and what the model was given, each once."""
    found = reply.retrieval.passages if reply.retrieval else ()
    given = {passage.passage_id: passage for passage in (*found, *reply.read)}
    return tuple(given.values())


def _sources(reply: Reply) -> tuple[str, ...]:
    """The documents that stand behind the reply's clauses, in the order of their first use."""
    documents = {passage.passage_id: passage.document_id for passage in _passages(reply)}
    used = (documents.get(passage) for clause in reply.clauses for passage in clause.passage_ids)
    return tuple(dict.fromkeys(document for document in used if document))


def trace_turn(call: Span | None, reply: Reply) -> None:
    """Write a reply's spans; nothing when tracing is off."""
    marks = {
        stage: (reply.marks[begin], reply.marks[end])
        for stage, (begin, end) in _SPANS.items()
        if begin in reply.marks and end in reply.marks
    }
    tracing.record_turn(
        call,
        reply.turn_id,
        reply.stages_ms(),
        marks,
        {
            "road": reply.road.value,
            "end_reason": reply.end_reason,
            "model": reply.model,
            "prompt_id": reply.prompt_id,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        },
    )
