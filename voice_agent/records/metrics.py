"""Prometheus metrics of the agent. Import the module and use its counters; names are stable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from voice_agent.reply import Reply

STAGES = (
    "end_of_turn", "transcribe", "retrieve", "first_token", "first_sentence", "first_audio",
    "gate", "total",
)  # fmt: skip
_STAGE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 4.0, 8.0)
_VOICE_BUCKETS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)

stage_seconds = Histogram(
    "voice_agent_stage_seconds", "Time a stage of a turn took", ["stage"], buckets=_STAGE_BUCKETS_S
)
voice_to_voice_seconds = Histogram(
    "voice_agent_voice_to_voice_seconds",
    "Estimate, seen from the agent: from the caller's last voiced sample to the first audio sent",
    buckets=_VOICE_BUCKETS_S,
)
turns = Counter("voice_agent_turns", "Turns answered, by how they ended", ["end_reason"])
interruptions = Counter("voice_agent_interruptions", "Answers stopped by the caller's voice")
false_interruptions = Counter(
    "voice_agent_false_interruptions", "Answers stopped and taken up again: nobody had spoken"
)
speculations = Counter("voice_agent_speculations", "Answers begun before the turn was over")
dropped_speculations = Counter(
    "voice_agent_dropped_speculations", "Answers thrown away because the caller went on"
)
live_calls = Gauge("voice_agent_live_calls", "Calls being answered now")
handoffs = Counter("voice_agent_handoffs", "Callers handed to a person", ["reason"])
errors = Counter("voice_agent_errors", "Failures by stable code", ["code"])
repairs = Counter(
    "voice_agent_repairs", "Answers replaced by a passage's own words, by reason", ["reason"]
)
guarded = Counter(
    "voice_agent_guarded", "Requests and sentences a guard stopped", ["side", "reason"]
)
tokens = Counter("voice_agent_tokens", "Tokens read, found in the cache, and written", ["kind"])
retrievals = Counter(
    "voice_agent_retrievals", "Turns that looked something up: found, nothing, late", ["outcome"]
)
best_scores = Histogram(
    "voice_agent_retrieval_best_score",
    "Score of the best passage a turn found",
    buckets=tuple(step / 20 for step in range(1, 21)),
)
records_lost = Counter("voice_agent_records_lost", "Records that were not written", ["reason"])


class CountedTokens(Protocol):
    """The end of an answer, with what it cost; ``None`` where the server does not say."""

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of the prompt, cached ones included."""

    @property
    def cached_tokens(self) -> int | None:
        """Tokens of the prompt that need not be read again."""

    @property
    def completion_tokens(self) -> int | None:
        """Tokens written."""


def count_tokens(finished: CountedTokens) -> None:
    """Add what an answer cost."""
    tokens.labels(kind="prompt").inc(finished.prompt_tokens or 0)
    tokens.labels(kind="cached").inc(finished.cached_tokens or 0)
    tokens.labels(kind="completion").inc(finished.completion_tokens or 0)


def observe_turn(reply: Reply) -> None:
    """Add a turn that is over: its stages, its latency, and how it ended."""
    turns.labels(end_reason=reply.end_reason or "unknown").inc()
    if (retrieval := reply.retrieval) is not None:
        scores = [passage.score for passage in retrieval.passages]
        outcome = "late" if retrieval.late else "found" if scores else "nothing"
        retrievals.labels(outcome=outcome).inc()
        if outcome == "found":
            best_scores.observe(max(scores))
    stages_ms = reply.stages_ms()
    for stage in STAGES:
        if stage in stages_ms:
            stage_seconds.labels(stage=stage).observe(stages_ms[stage] / 1000)
    if "total" in stages_ms:
        voice_to_voice_seconds.observe(stages_ms["total"] / 1000)
