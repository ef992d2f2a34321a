"""Prometheus metrics of the gateway process; served by the web line's ``/metrics``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS_LIVE = Gauge("gateway_calls_live", "Calls that hold a leg")
CALLS = Counter("gateway_calls", "Calls ended, by the way they ended", ["outcome"])
FRAMES_CONCEALED = Counter("gateway_frames_concealed", "Frames made up for lost audio", ["party"])
FRAMES_SILENCED = Counter("gateway_frames_silenced", "Frames filled with silence", ["party"])
CLOCK_STALLS = Counter("gateway_clock_stalls", "Times a call's clock was three frames late")
AGENT_CONNECTS = Counter("gateway_agent_connects", "Attempts to reach an agent", ["outcome"])
AGENT_STREAMS_LOST = Counter("gateway_agent_streams_lost", "Streams that broke off", ["reason"])
STREAM_BREACHES = Counter("gateway_stream_breaches", "Agent messages that broke the contract")
PLAYOUT_REFUSED_MS = Counter("gateway_playout_refused_ms", "Agent audio refused: buffer full")
TRANSFERS = Counter("gateway_transfers", "Transfers to a person, by outcome", ["outcome"])
LINE_TRANSFERS = Counter(
    "gateway_line_transfers", "Transfers asked of callers' own lines", ["way", "outcome"]
)
RECORDING_DROPPED = Counter("gateway_recording_dropped_frames", "Frames a recording lost")
QUEUE_WAITING = Gauge("gateway_queue_waiting", "Callers who wait for a person", ["queue"])
QUEUE_WAITS = Histogram(
    "gateway_queue_wait_seconds",
    "Time until a person had the caller",
    ["queue"],
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200),
)
CALL_BACKS = Counter("gateway_call_backs", "Call-backs, by what became of them", ["outcome"])
