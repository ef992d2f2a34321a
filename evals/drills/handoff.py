"""``voice-agent drill handoff``: 500 scripted handoffs, and how soon a person's telephone rings.

The scripts run through the real gateway and the agent's real handoff desk, with virtual time and
telephones at the edge of the SIP stack; the rings are measured on real lines with real models.
"""

from __future__ import annotations

import asyncio
import logging
import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from evals.drills.handoff_calls import Result, run_scripts
from evals.drills.handoff_script import kinds, scripts
from voice_agent.config import Settings

REACH = {"ended_well_share": 1.0, "ring_p95_s": 2.0}


@dataclass(frozen=True, slots=True)
class HandoffFigures:
    """Every figure, in the order it is told; ``None``: not measured."""

    outcomes: int
    ended_well_share: float
    """Ended with a person, a call-back, or with the agent again (a message taken counts so)."""
    person: int
    transferred: int
    """By their own line: sent to a person, or with one who had accepted."""
    call_back: int
    """Promised, rung by the gateway, and put through to somebody."""
    agent: int
    message: int
    """Spoken on the line, and on disk with its words."""
    lost: int
    people: dict[str, int]
    """What people did in the scripts, and how often."""
    ring_calls: int
    ring_p95_s: float | None
    """From the caller's last voiced sample to the INVITE at the person's telephone."""
    ring_median_s: float | None
    lost_scripts: tuple[int, ...] = ()
    missed: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> bool:
        """No figure is missed."""
        return not self.missed

    def as_dict(self) -> dict[str, Any]:
        """One key a figure."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        shown = self.as_dict()
        shown["people"] = ", ".join(f"{name} {count}" for name, count in self.people.items())
        return [
            f"{name}: {value}" + (f" (to reach: {REACH[name]:g})" if name in REACH else "")
            for name, value in shown.items()
            if name != "missed"
        ] + [f"missed: {', '.join(self.missed) or 'nothing'}"]


def run(
    settings: Settings, *, outcomes: int, rings: int, report: Callable[[str], None]
) -> HandoffFigures:
    """Hold the drill. ``rings`` 0: nothing is measured on real lines.

    Raises:
        ServeError: the product for the real lines does not start.
    """
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        report(f"{outcomes} scripted handoffs")
        with structlog.testing.capture_logs():  # thousands of failures, all of them wanted
            logging.getLogger("aiohttp").setLevel(logging.ERROR)
            results = asyncio.run(run_scripts(scripts(outcomes), folder / "scripts"))
        waits: list[float | None] = []
        if rings:
            from evals.drills.handoff_ring import measure

            report(f"{rings} callers ask for a person on a real line")
            waits = measure(settings, folder / "rings", rings, report)
    return judged(results, waits)


def judged(results: Sequence[Result], waits: Sequence[float | None]) -> HandoffFigures:
    """The figures, and which of them are missed. Pure."""
    ended = Counter(result.ended for result in results)
    share = (len(results) - ended["lost"]) / len(results) if results else 0.0
    ordered = sorted(math.inf if wait is None else wait for wait in waits)
    p95 = ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)] if ordered else math.inf
    heard = [wait for wait in waits if wait is not None]
    missed = ["ended_well_share"] if share < REACH["ended_well_share"] else []
    if waits and p95 > REACH["ring_p95_s"]:
        missed.append("ring_p95_s")
    return HandoffFigures(
        outcomes=len(results),
        ended_well_share=round(share, 4),
        person=ended["person"],
        transferred=ended["transferred"],
        call_back=ended["call_back"],
        agent=ended["agent"],
        message=ended["message"],
        lost=ended["lost"],
        people=kinds([result.script for result in results]),
        ring_calls=len(waits),
        ring_p95_s=round(p95, 3) if math.isfinite(p95) else None,
        ring_median_s=round(statistics.median(heard), 3) if heard else None,
        lost_scripts=tuple(each.script.number for each in results if each.ended == "lost"),
        missed=tuple(missed),
    )
