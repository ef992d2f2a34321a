"""The boards, asked for by those whose they are."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from voice_agent.console import boards
from voice_agent.console.desk import Desk
from voice_agent.console.endpoints import Endpoint, number_of
from voice_agent.console.facts import Facts, gather
from voice_agent.console.pruning import Pruned
from voice_agent.console.roles import Permission
from voice_agent.processes import http_url
from voice_agent.records.retention import deletions, policy_of

log = structlog.get_logger(__name__)

KEPT_S = 5.0
"""The same board is made anew at most so often."""
_PATIENCE_S = 1.0
_MAX_METRICS_BYTES = 2_000_000


class BoardsApi:
    """``/api/boards/…``."""

    def __init__(self, desk: Desk, pruned: Pruned) -> None:
        self._desk = desk
        self._pruned = pruned
        self._kept: dict[tuple[str, float], tuple[float, dict[str, Any]]] = {}
        self._making = asyncio.Semaphore(1)

    def endpoints(self) -> list[Endpoint]:
        """What this part answers."""
        p, path = Permission, "/api/boards"
        return [
            Endpoint("GET", f"{path}/operations", p.OPERATIONS, self._answer(self._operations)),
            Endpoint("GET", f"{path}/quality", p.QUALITY, self._answer(self._quality)),
            Endpoint("GET", f"{path}/business", p.BUSINESS, self._answer(self._business)),
            Endpoint("GET", f"{path}/compliance", p.COMPLIANCE, self._answer(self._compliance)),
        ]

    def _answer(self, make: Callable[[Facts], dict[str, Any]]) -> Any:
        async def answer(request: web.Request) -> web.Response:
            hours = number_of(request, "hours", 24, 1, 24 * 366)
            async with self._making:
                key, now = (make.__name__, hours), time.monotonic()
                made = self._kept.get(key)
                if made is None or now - made[0] > KEPT_S:
                    until = time.time()
                    metrics = await self._metrics()
                    board = await asyncio.to_thread(self._make, make, until, hours, metrics)
                    if len(self._kept) > 50:
                        self._kept.clear()
                    made = self._kept[key] = (now, board)
            return web.json_response(made[1])

        return answer

    def _make(
        self,
        make: Callable[[Facts], dict[str, Any]],
        until: float,
        hours: float,
        metrics: dict[str, float],
    ) -> dict[str, Any]:
        return make(gather(self._desk.history, until - hours * 3600, until, metrics))

    def _operations(self, facts: Facts) -> dict[str, Any]:
        calls = list(self._desk.live.state.calls.values())
        return boards.operations(
            facts,
            live=len(calls),
            waiting=sum(call.get("stage") == "waiting" for call in calls),
            capacity=self._desk.settings.gateway.max_calls,
        )

    def _quality(self, facts: Facts) -> dict[str, Any]:
        return boards.quality(facts, self._desk.grades.counts(facts.since))

    def _business(self, facts: Facts) -> dict[str, Any]:
        return boards.business(facts, self._desk.settings.console.costs)

    def _compliance(self, facts: Facts) -> dict[str, Any]:
        verdict = self._desk.audit.verify()
        found = []
        for path in self._desk.history.recordings():
            try:
                stat = path.stat()
            except OSError:
                continue  # deleted meanwhile
            found.append((stat.st_mtime, stat.st_size))
        kept = self._desk.settings.records
        acts = self._desk.audit.since(facts.asked_since)
        return boards.compliance(
            facts,
            recordings=found,
            recording_on=self._desk.settings.gateway.recording.enabled,
            users=[
                (user.name, user.role.value, bool(user.totp) or not user.password, sessions)
                for user, sessions in self._desk.accounts.users()
            ],
            audit=verdict,
            acts=Counter(each.action for each in acts),
            policy=policy_of(kept.keep_days, kept.keep_recordings_days),
            deleted=deletions(acts, facts.asked_since),
            pruned=self._pruned,
        )

    async def _metrics(self) -> dict[str, float]:
        """Counters of gateway and agent; what does not answer is left out."""
        settings = self._desk.settings
        asked = [http_url(settings.media.host, settings.media.port, "/metrics")]
        if settings.gateway.web.enabled:
            asked.append(http_url(settings.gateway.web.host, settings.gateway.web.port, "/metrics"))
        found: dict[str, float] = {}
        for text in await asyncio.gather(*(_text_at(url) for url in asked)):
            found |= counters_in(text)
        return found


async def _text_at(url: str) -> str:
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as response:
            read = await response.content.read(_MAX_METRICS_BYTES)
            return read.decode(errors="replace") if response.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.info("metrics_not_read", url=url, reason=str(error))
        return ""


def counters_in(text: str) -> dict[str, float]:
    """Counters and gauges of a Prometheus page by ``name{label=value}``; of a garbled one none."""
    found: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            if family.type not in ("counter", "gauge"):
                continue
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                labels = ",".join(f"{key}={value}" for key, value in sample.labels.items())
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    except ValueError:
        return {}
    return found
