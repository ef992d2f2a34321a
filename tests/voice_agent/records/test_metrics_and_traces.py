"""Turns are counted and traced; an exporter that fails takes nothing with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from telephony.media_stream import Start
from voice_agent.config import Settings, TelemetrySettings
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.search import Retrieval
from voice_agent.records import metrics, tracing
from voice_agent.records.turns import call_record, trace_turn, turn_record
from voice_agent.reply import Clause, Reply


def _sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def _reply() -> Reply:
    passage = Passage("d1#2", "d1", "Returns", "Time", "Thirty days.", "returns.md", 0.61237)
    reply = Reply(7, "t7", "how long can I return it")
    reply.speech_end = 100.0
    reply.silence_ms = 320
    reply.transcribe_ms = 90.0
    reply.retrieval = Retrieval((passage,), "return it", 6.0, "v1")
    reply.clauses = [Clause("It costs $5.", audio=b"\x00" * 64, complete=True), Clause("Not said.")]
    reply.marks = {
        "asked": 100.1, "retrieved": 100.15, "first_token": 100.25, "first_clause": 100.35,
        "first_audio": 100.45, "sent": 100.5,
    }  # fmt: skip
    reply.end_reason, reply.heard = "interrupted", "It costs"
    reply.model, reply.prompt_id, reply.prompt_tokens = "small", "p1", 300
    return reply


def test_a_turn_is_counted_with_its_stages_and_latency() -> None:
    names = (
        ("voice_agent_turns_total", {"end_reason": "interrupted"}),
        ("voice_agent_stage_seconds_count", {"stage": "transcribe"}),
        ("voice_agent_voice_to_voice_seconds_count", {}),
    )
    before = [_sample(name, **labels) for name, labels in names]
    metrics.observe_turn(_reply())
    assert [_sample(name, **labels) for name, labels in names] == [each + 1 for each in before]


@pytest.mark.parametrize("outcome", ["found", "nothing", "late"])
def test_what_was_looked_up_is_counted_by_what_came_of_it(outcome: str) -> None:
    reply = _reply()
    assert reply.retrieval is not None
    passages = reply.retrieval.passages if outcome == "found" else ()
    reply.retrieval = replace(reply.retrieval, passages=passages, late=outcome == "late")
    counted = _sample("voice_agent_retrievals_total", outcome=outcome)
    scored = _sample("voice_agent_retrieval_best_score_count")
    metrics.observe_turn(reply)
    assert _sample("voice_agent_retrievals_total", outcome=outcome) == counted + 1
    assert _sample("voice_agent_retrieval_best_score_count") == scored + (outcome == "found")


def test_a_reply_without_any_marks_is_counted_too() -> None:
    before = _sample("voice_agent_turns_total", end_reason="unknown")
    metrics.observe_turn(Reply(1, "t1", ""))
    assert _sample("voice_agent_turns_total", end_reason="unknown") == before + 1


def test_tokens_the_server_does_not_tell_are_none() -> None:
    before = _sample("voice_agent_tokens_total", kind="prompt")
    metrics.count_tokens(
        SimpleNamespace(prompt_tokens=12, cached_tokens=None, completion_tokens=None)
    )
    assert _sample("voice_agent_tokens_total", kind="prompt") == before + 12


def test_a_turn_record_holds_what_the_answer_stood_on_and_what_was_heard() -> None:
    record = turn_record("c1", 3, _reply())
    assert (record.call_id, record.turn_id, record.index) == ("c1", "t7", 3)
    assert record.heard == "how long can I return it"
    assert record.passages == (
        {"document_id": "d1", "passage_id": "d1#2", "score": 0.6124, "source": "returns.md"},
    )
    assert (record.knowledge_version, record.query) == ("v1", "return it")
    assert (record.retrieval["version"], record.retrieval["query"]) == ("v1", "return it")
    assert [(p["passage_id"], p["score"]) for p in record.retrieval["passages"]] == [
        ("d1#2", 0.61237)
    ]
    assert record.answer == "It costs $5. Not said."
    assert record.spoken == "It costs five dollars."
    assert record.heard_by_caller == "It costs"
    assert record.end_reason == "interrupted"
    assert record.stages_ms["total"] == 500.0


def test_a_failed_turn_names_its_error() -> None:
    reply = _reply()
    reply.failure = "language_model_timed_out"
    assert turn_record("c1", 1, reply).end_reason == "failed:language_model_timed_out"


def test_a_turn_that_had_no_time_to_do_anything_has_a_record() -> None:
    record = turn_record("c1", 1, Reply(1, "t1", ""))
    assert record.passages == ()
    assert record.began_at > 1e9


def test_a_call_record_tells_the_configuration() -> None:
    start = Start("c1", caller="sip:x@y")
    record = call_record(start, 5.0, "transferred", Settings(), ended_at=9.0)
    assert (record.started_at, record.ended_at, record.outcome) == (5.0, 9.0, "handed_over")
    other = Settings.model_validate({"answering": {"company": "Another"}})
    assert record.configuration_hash != call_record(start, 5.0, "", other).configuration_hash


@pytest.fixture
def tracing_off_afterwards() -> Iterator[None]:
    yield
    tracing.shutdown()


@pytest.mark.usefixtures("tracing_off_afterwards")
def test_spans_of_a_turn_lie_inside_the_span_of_its_call() -> None:
    exporter = InMemorySpanExporter()
    tracing.configure(TelemetrySettings(), exporter=exporter)
    with tracing.call_span("c1", "sip") as call:
        trace_turn(call, _reply())
    tracing.flush()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {
        "call", "turn", "retrieve", "first_token", "first_sentence", "first_audio", "gate",
    }  # fmt: skip
    turn, retrieve = spans["turn"], spans["retrieve"]
    assert turn.parent is not None
    assert spans["call"].context is not None
    assert turn.parent.span_id == spans["call"].context.span_id
    assert retrieve.parent is not None
    assert retrieve.parent.span_id == turn.context.span_id  # type: ignore[union-attr]
    assert retrieve.end_time - retrieve.start_time == pytest.approx(50e6, rel=0.01)  # type: ignore[operator]


@pytest.mark.usefixtures("tracing_off_afterwards")
def test_spans_carry_no_words() -> None:
    exporter = InMemorySpanExporter()
    tracing.configure(TelemetrySettings(), exporter=exporter)
    with tracing.call_span("c1", "sip") as call:
        trace_turn(call, _reply())
    tracing.flush()
    told = " ".join(str(span.attributes) for span in exporter.get_finished_spans())
    assert "return it" not in told
    assert "five dollars" not in told


def test_without_an_endpoint_nothing_is_traced() -> None:
    tracing.configure(TelemetrySettings())
    with tracing.call_span("c1", "sip") as call:
        assert call is None
        trace_turn(call, _reply())
    tracing.shutdown()


class _Broken(SpanExporter):
    """Fails at everything it is asked."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ConnectionError("no collector")

    def shutdown(self) -> None:
        raise ConnectionError("no collector")


def test_a_broken_exporter_hurts_no_call() -> None:
    tracing.configure(TelemetrySettings(), exporter=_Broken())
    with tracing.call_span("c1", "sip") as call:
        trace_turn(call, _reply())
    tracing.flush()
    tracing.shutdown()
    tracing.shutdown()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("http://c/v1/traces", "http://c/v1/traces"),
    ],
)
def test_the_endpoint_may_be_given_with_or_without_its_path(endpoint: str, url: str) -> None:
    assert tracing.traces_url(endpoint) == url
