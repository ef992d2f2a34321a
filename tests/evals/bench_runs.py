"""Runs of the bench, made up, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

SHARES = {
    "silence": 0.4,
    "transcription": 0.05,
    "retrieval": 0.02,
    "first_token": 0.2,
    "first_clause": 0.05,
    "synthesis": 0.05,
    "gate": 0.0,
    "playout": 0.03,
}


def turn(voice_to_voice_ms: float | None, **more: Any) -> dict[str, Any]:
    """One turn as a report has it."""
    return {
        "said": "How long is the guarantee?",
        "interrupts": False,
        "began_s": 4.0,
        "speech_ms": 1500.0,
        "pauses": [],
        "voice_to_voice_ms": voice_to_voice_ms,
        "barge_in_stop_ms": None,
        "cut_ins": [],
        "starved_gap_ms": 0.0,
        "torn_gap_ms": 0.0,
        "heard": "How long is the guarantee?",
        "answer": "Two years.",
        "stages_ms": {"transcribe": 100.0},
        "right": True,
        "agent": {"transcribed_after_ms": 110.0, "prepared_right": True},
        "waterfall": None,
        **more,
    }


def call(part: str, turns: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """One call of a part."""
    return {
        "part": part,
        "stack": "ours",
        "callers": 1,
        "speech": "synthetic",
        "greeting_ms": 80.0,
        "error": "",
        "turns": turns,
        "sounds": [],
        **more,
    }


def sound(*, stopped: bool, ran: bool = True) -> dict[str, Any]:
    """A sound made over the agent."""
    return {
        "sound": "cough",
        "began_s": 6.0,
        "sound_ms": 200.0,
        "agent_ran": ran,
        "silent_for_ms": 240.0,
        "heard": None,
        "stopped_for_good": stopped,
    }


def run(calls: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A run without its summary."""
    return {
        "format": 2,
        "complete": True,
        "date": "2030-01-02T03:04:05+00:00",
        "quick": False,
        "line": "sip",
        "machine": {"processor": "a processor", "cores": "2", "configuration": "abc"},
        "transport": {"median_ms": 80.0, "p95_ms": 90.0},
        "parts": [{"name": "questions", "state": "done", "why": "", "took_s": 9.0}],
        "calls": calls,
        "curve": None,
        "took_s": 100.0,
        **more,
    }


def full_run(seed: int = 1, slower_by: float = 1.0) -> dict[str, Any]:
    """A run with everything in it; ``slower_by`` multiplies the waits of our own stack."""
    chance = np.random.default_rng(seed)

    def waits(count: int, middle: float) -> list[float]:
        drawn = middle * np.exp(0.25 * chance.standard_normal(count))
        return [round(float(ms), 1) for ms in drawn]

    def asked(count: int, middle: float = 430.0) -> list[dict[str, Any]]:
        return [_with_waterfall(ms * slower_by, chance) for ms in waits(count, middle)]

    interrupting = [
        turn(ms, interrupts=True, barge_in_stop_ms=stop)
        for ms, stop in zip(waits(12, 500), waits(12, 200), strict=True)
    ]
    pausing = [
        turn(500.0, pauses=[(0.8, 1.6)], cut_ins=[{"pause": 0}] if number == 3 else [])
        for number in range(16)
    ]
    loads = [
        call("load", asked(4, 430 * (1 + callers / 4)), callers=callers)
        for callers in (1, 2, 4)
        for _ in range(callers)
    ]
    points = [
        {
            "threshold": threshold,
            "end_silence_ms": silence,
            "delay_p50_ms": 200.0 + threshold * 200 + (silence - 320) * 0.7,
            "delay_p95_ms": 600.0,
            "false_cut_in_rate": 0.25 - threshold * 0.2 - (silence - 320) / 4000,
            "pauses": 90,
        }
        for threshold, silence in [
            (0.5, 320),
            *((threshold / 10, 320) for threshold in range(1, 10)),
            *((0.5, silence) for silence in (200, 280, 400, 600, 800)),
        ]
    ]
    stock = [turn(ms) for ms in waits(10, 2100)]
    return run(
        [
            call("questions", asked(25)),
            call("interruptions", interrupting),
            call("sounds", asked(3), sounds=[sound(stopped=n == 5) for n in range(12)]),
            call("pauses", pausing, speech="recorded"),
            *loads,
            call("stock", asked(10)),
            call("stock", stock, stack="stock"),
        ],
        curve={"points": points},
        retrieval={"took_ms": [20.0] * 40},
    )


def _with_waterfall(ms: float, chance: np.random.Generator) -> dict[str, Any]:
    parts = {name: round(ms * share, 1) for name, share in SHARES.items()} | {"line": 80.0}
    rest = round(ms - sum(parts.values()), 1)
    why = "unexplained" if abs(rest) > 30 else ""
    found = {"wire_ms": ms, "parts": parts, "unexplained_ms": rest, "why": why}
    return turn(round(ms, 1), waterfall=found, right=bool(chance.random() < 0.8))
