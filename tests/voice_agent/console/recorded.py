"""Calls in the records, for tests of what looks back at them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

from voice_agent.config import Settings
from voice_agent.records.record_types import CallRecord, TurnRecord
from voice_agent.records.store import Records

BEGAN = 1_790_000_000.0


def a_turn(call_id: str, index: int, **given: Any) -> TurnRecord:
    """A turn that was answered from a document."""
    fields: dict[str, Any] = {
        "began_at": BEGAN + 10 * index,
        "heard": "How much is delivery?",
        "answer": "Delivery costs five dollars. Orders above fifty are free.",
        "spoken": "Delivery costs five dollars. Orders above fifty are free.",
        "heard_by_caller": "Delivery costs five dollars.",
        "end_reason": "interrupted",
        "passages": (
            {"document_id": "delivery-parcels", "passage_id": "delivery-parcels#1", "score": 0.8},
        ),
        "sources": ("delivery-parcels",),
        "claims": (
            {
                "text": "Delivery costs five dollars.",
                "passage_ids": ["delivery-parcels#1"],
                "because": "follows",
            },
            {"text": "Orders above fifty are free.", "passage_ids": [], "because": "instead: no"},
        ),
        "waterfall_ms": {"silence": 240.0, "synthesis": 160.0},
        "voice_to_voice_ms": 400.0,
        "road": "answer",
        "confidence": 0.93,
        "outcome": "answer",
        "query": "delivery",
        "prompt_tokens": 900,
        "completion_tokens": 100,
        **given,
    }
    return TurnRecord(call_id=call_id, turn_id=f"{call_id}-t{index}", index=index, **fields)


def a_call(call_id: str, **given: Any) -> CallRecord:
    """A call that is over."""
    fields: dict[str, Any] = {
        "line": "sip",
        "caller": "sip:+15551234567@trunk",
        "started_at": BEGAN,
        "ended_at": BEGAN + 120,
        "end_reason": "caller_hung_up",
        "outcome": "ended_by_caller",
        **given,
    }
    return CallRecord(call_id, **fields)


def record(settings: Settings, *records: CallRecord | TurnRecord) -> None:
    """Write them, as the agent does."""
    store = Records.open(settings.records.path)
    for each in records:
        if isinstance(each, CallRecord):
            store.record_call(each)
        else:
            store.record_turn(each)
    store.close()


def a_recording(settings: Settings, call_id: str, seconds: int = 2) -> Path:
    """A stereo file where the gateway would leave it."""
    folder = settings.gateway.recording.folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{call_id}.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(16_000 * 4 * seconds))
    return path
