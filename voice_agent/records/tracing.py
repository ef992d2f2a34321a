"""OpenTelemetry spans of calls, turns and stages; nothing at all unless an endpoint is configured.

Spans carry identifiers and times, never what was said. They are exported in batches from a thread
of their own with a bounded queue, so an exporter that hangs or fails loses spans and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span

from voice_agent.config import TelemetrySettings

log = structlog.get_logger(__name__)

EXPORT_TIMEOUT_S = 5
MAX_WAITING_SPANS = 2_048

_provider: TracerProvider | None = None


def configure(settings: TelemetrySettings, *, exporter: SpanExporter | None = None) -> None:
    """Turn tracing on when an endpoint (or, in tests, an exporter) is given; else off."""
    global _provider
    shutdown()
    if exporter is None:
        if settings.otlp_endpoint is None:
            return
        exporter = OTLPSpanExporter(
            endpoint=traces_url(settings.otlp_endpoint), timeout=EXPORT_TIMEOUT_S
        )
    _provider = TracerProvider(resource=Resource.create({"service.name": "voice-agent"}))
    _provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=MAX_WAITING_SPANS,
            schedule_delay_millis=2_000,
            export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
        )
    )
    log.info("tracing_configured", endpoint=settings.otlp_endpoint)


def flush() -> None:
    """Send what waits now. Blocking; safe to call when tracing is off."""
    if _provider is not None:
        _provider.force_flush(EXPORT_TIMEOUT_S * 1000)


def shutdown() -> None:
    """Send what waits and stop. Blocking; safe to call when tracing is off."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        try:
            provider.shutdown()
        except Exception as error:  # exporters raise what they like, and nobody needs it any more
            log.warning("tracing_shutdown_failed", reason=type(error).__name__)


def call_span(call_id: str, line: str) -> AbstractContextManager[Span | None]:
    """The span of a call; use it as a context, turns recorded inside become its children."""
    if _provider is None:
        return nullcontext()
    tracer = _provider.get_tracer(__name__)
    return tracer.start_as_current_span("call", attributes={"call_id": call_id, "line": line})


def record_turn(
    call: Span | None,
    turn_id: str,
    stages_ms: Mapping[str, float],
    marks: Mapping[str, tuple[float, float]],
    attributes: Mapping[str, str | int | float | bool],
) -> None:
    """Write the spans of a turn that is over.

    ``marks`` gives each stage's begin and end as ``time.perf_counter`` seconds; ``stages_ms`` goes
    onto the turn's own span, so that stages without marks are not lost.
    """
    if _provider is None or not marks:
        return
    tracer = _provider.get_tracer(__name__)
    offset_ns = time.time_ns() - time.perf_counter_ns()

    def wall_ns(seconds: float) -> int:
        return int(seconds * 1e9) + offset_ns

    parent = trace.set_span_in_context(call) if call is not None else None
    span = tracer.start_span(
        "turn",
        context=parent,
        start_time=wall_ns(min(begin for begin, _ in marks.values())),
        attributes={
            "turn_id": turn_id,
            **{f"stage.{stage}_ms": ms for stage, ms in stages_ms.items()},
            **attributes,
        },
    )
    inside = trace.set_span_in_context(span)
    for stage, (begin, end) in marks.items():
        child = tracer.start_span(stage, context=inside, start_time=wall_ns(begin))
        child.end(wall_ns(end))
    span.end(wall_ns(max(end for _, end in marks.values())))


def traces_url(endpoint: str) -> str:
    """The address that takes traces, of a collector given with or without its path."""
    endpoint = endpoint.rstrip("/")
    return endpoint if endpoint.endswith("/v1/traces") else f"{endpoint}/v1/traces"
