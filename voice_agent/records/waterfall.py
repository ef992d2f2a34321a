"""Where the wait for a reply went, in parts that follow one another. Pure.

Stages overlap: transcription, retrieval and synthesis run while the silence that ends the turn is
still being waited for. A stage's part is therefore only what it added: how much later than
everything before it was done.
"""

from __future__ import annotations

import math

from voice_agent.reply import Reply

_STAGES = (
    ("transcription", "transcribed"),
    ("retrieval", "retrieved"),
    ("first_token", "first_token"),
    ("first_clause", "first_clause"),
    ("synthesis", "first_audio"),
    ("gate", "sent"),
)


def waterfall_ms(reply: Reply) -> dict[str, float]:
    """Parts in ms whose sum is ``voice_to_voice_ms``; empty when nothing was asked or heard.

    ``silence`` is what had to pass before the turn was surely over, ``playout`` from sending the
    first audio until the gateway let its first sample out. Where a filler came first, the wait
    ended with it, in the middle of whichever stage was late.
    """
    total_ms = voice_to_voice_ms(reply)
    if total_ms is None or not reply.silence_enough:
        return {}
    done_s = max(reply.speech_end, reply.silence_enough)
    parts = {"silence": (done_s - reply.speech_end) * 1000}
    heard_s = reply.speech_end + total_ms / 1000 if reply.filler else math.inf
    for name, mark in _STAGES:
        until_s = max(done_s, min(heard_s, reply.marks.get(mark, done_s)))
        parts[name] = (until_s - done_s) * 1000
        done_s = until_s
    playout_ms = total_ms - sum(parts.values())
    # Stages are on this process's clock and the total on the call's: while this process lags
    # behind the call, its wait for the silence seems longer than it was.
    parts["silence"] += min(0.0, playout_ms)
    parts["playout"] = max(0.0, playout_ms)
    return {name: round(ms, 1) for name, ms in parts.items()}


def voice_to_voice_ms(reply: Reply) -> float | None:
    """From the caller's last voiced sample, as it came in, to the reply's first one going out, in
    audio time; ``None`` when nothing was asked or heard."""
    if not reply.speech_end or reply.heard_from_ms is None:
        return None
    return float(reply.heard_from_ms - reply.speech_end_ms)


def transcribed_after_ms(reply: Reply) -> float | None:
    """How long after the caller's last voiced sample the final text was there."""
    if not reply.speech_end or "transcribed" not in reply.marks:
        return None
    return round((reply.marks["transcribed"] - reply.speech_end) * 1000, 1)
