"""Deleting by the policy, every hour, for as long as the clock can be believed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from voice_agent.config import RecordsSettings
from voice_agent.console.audit import AuditLog
from voice_agent.records.privacy import prune
from voice_agent.records.retention import policy_of
from voice_agent.records.traces import Places

log = structlog.get_logger(__name__)

PRUNE_EVERY_S = 3_600.0
JUMP_S = 600.0
SETTLED_S = 86_400.0
"""A clock that was set and has gone on evenly for so long is believed again."""


class ClockTrust:
    """Whether the time of day may be believed: one that is set ahead makes everything look old.

    Pure. ``now`` is seconds since 1970; ``ran`` seconds of a clock nobody sets and that goes on
    while the machine sleeps.
    """

    def __init__(self, now: float, ran: float) -> None:
        self._offset = now - ran
        self._other: tuple[float, float] | None = None
        """Another offset, and since when the clock has kept to it."""

    def believes(self, now: float, ran: float) -> bool:
        """Whether the clock goes as it did, or has settled after it was set."""
        offset = now - ran
        if abs(offset - self._offset) <= JUMP_S:
            self._offset, self._other = offset, None  # clocks that are steered drift apart slowly
            return True
        if self._other is None or abs(offset - self._other[0]) > JUMP_S:
            self._other = (offset, ran)
            return False
        if ran - self._other[1] < SETTLED_S:
            return False
        self._offset, self._other = offset, None
        return True


@dataclass(slots=True)
class Pruned:
    """How it stands: when the policy was last followed (seconds since 1970), and what is wrong."""

    at: float | None = None
    fault: str = ""


class Pruning:
    """Follows the policy of one configuration; ``pruned`` says how that goes."""

    def __init__(self, kept: RecordsSettings, places: Places, audit: AuditLog) -> None:
        self._kept, self._places, self._audit = kept, places, audit
        self.pruned = Pruned()

    async def follow(self) -> None:
        """Delete what is too old, every hour; never ends, unless everything is kept for ever."""
        if self._kept.keep_days is None and self._kept.keep_recordings_days is None:
            return
        trust = ClockTrust(time.time(), _ran_s())
        while True:
            await self.look(trust)
            await asyncio.sleep(PRUNE_EVERY_S)

    async def look(self, trust: ClockTrust) -> None:
        """Delete what is too old now, if the clock can be believed."""
        now = time.time()
        if not trust.believes(now, _ran_s()):
            self.pruned.fault = "the clock was set: nothing is deleted until it has kept for a day"
            log.error("records_not_pruned", reason=self.pruned.fault)
            return
        keep_days, recordings_days = self._kept.keep_days, self._kept.keep_recordings_days
        try:
            report = await asyncio.to_thread(
                prune, self._places, now=now, keep_days=keep_days,
                keep_recordings_days=recordings_days,
            )  # fmt: skip
            self.pruned.at = now
            self.pruned.fault = "; ".join(report.failed)
            if report.calls or report.recordings or report.other or report.failed:
                await self._audit.note(
                    "policy", "", "pruned", "",
                    policy=policy_of(keep_days, recordings_days), **report.as_dict(),
                )  # fmt: skip
        except Exception as error:
            self.pruned.fault = str(error) or type(error).__name__
            log.exception("records_not_pruned")


def _ran_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
