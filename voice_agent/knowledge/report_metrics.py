"""The knowledge report as Prometheus metrics, for a textfile collector."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from voice_agent.knowledge.report import Report


def as_metrics(report: Report) -> str:
    """The exposition format; every figure is of the days that the report covers."""
    registry = CollectorRegistry()

    def gauge(name: str, what: str, value: float) -> None:
        Gauge(f"voice_agent_knowledge_{name}", what, registry=registry).set(value)

    gauge("turns", "Turns that looked something up", report.turns)
    gauge("turns_found_nothing", "Turns that found nothing", report.found_nothing)
    gauge("turns_late", "Turns for which retrieval was late", report.late)
    gauge("documents", "Documents in the current version", report.documents)
    gauge("passages", "Passages in the current version", report.passages)
    gauge("passages_never_found", "Passages that no turn found", len(report.never))
    gauge("documents_unusable", "Documents refused or not fetched", len(report.dead_letters))
    gauge("documents_expired", "Documents in the index past their last day", len(report.expired))
    gauge("built_timestamp_seconds", "When the current version was built", report.built_at)
    if report.shift is not None:
        gauge("score_shift", "Stability index of best scores; beyond 0.2: shifted", report.shift)
    if report.runs:
        gauge("completeness", "Share of what is offered that is usable, last run",
              report.runs[0]["completeness"])  # fmt: skip
        gauge("freshness_lag_seconds", "Longest time from change to version, last run",
              report.runs[0]["freshness_lag_s"])  # fmt: skip
    answered = Gauge(
        "voice_agent_knowledge_source_answered_timestamp_seconds",
        "When a source last answered",
        ["source"],
        registry=registry,
    )
    for source in report.sources:
        answered.labels(source=source["name"]).set(source["answered_at"])
    return generate_latest(registry).decode()
