"""`voice-agent eval actions`: 1,000 callers, and an agent without its safeguards beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from evals.actions.control import CarelessAgent
from evals.actions.simulate import TIMEOUT_S, Agent, FlowReport, Offices, simulate
from evals.trust.part import Part, Table, Tell, counted
from voice_agent.answering.actions.declaration import Declarations, read_declarations
from voice_agent.config import Settings

FLOWS, CONTROL_FLOWS = 1000, 200
AT_ONCE = 16
DECLARATIONS = Path("configs/actions.yaml")


def run(data: Path, settings: Settings, tell: Tell) -> Part:
    """Measure; needs no material."""
    del data, settings
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet, cache_logger_on_first_use=False)
    return asyncio.run(_run(int(os.environ.get("VOICE_AGENT_EVAL_FLOWS", FLOWS)), tell))


async def _run(flows: int, tell: Tell) -> Part:
    reports = await _simulate(range(flows), Agent, tell)
    control = await _simulate(range(min(flows, CONTROL_FLOWS)), CarelessAgent, tell)
    part = Part("actions")
    part.figures = {
        "writes_done_twice": float(sum(each.twice for each in reports)),
        "writes_without_confirmation": float(sum(each.unconfirmed for each in reports)),
        "flows_simulated": float(len(reports)),
        "flows_interrupted": float(sum(_interrupted(each) for each in reports)),
        "yeses_taken_back_while_sending": float(sum(each.too_late for each in reports)),
        "writes_done": float(sum(len(each.effects) for each in reports)),
        "control_writes_done_twice": float(sum(each.twice for each in control)),
        "control_writes_without_confirmation": float(sum(each.unconfirmed for each in control)),
    }
    part.tables = [
        _outcomes(reports),
        counted("what happened on the way", sum((each.events for each in reports), Counter())),
    ]
    part.notes = [
        f"control: {len(control)} of the same callers with an agent that keeps no journal, tries "
        "again without a key and takes any words with a yes in them for one",
        *(f"seed {each.seed}: {each.action}, {each.effects}" for each in reports if _bad(each)),
    ]
    return part


async def _simulate(seeds: Sequence[int], agent_class: type[Agent], tell: Tell) -> list[FlowReport]:
    offices = Offices()
    await offices.start()
    keyed, unkeyed = _declared("header"), _declared("none")
    gate = asyncio.Semaphore(AT_ONCE)
    ended = 0

    async def one(seed: int, folder: Path) -> FlowReport:
        nonlocal ended
        async with gate:
            report = await simulate(
                seed, offices, lambda keys: keyed if keys else unkeyed, folder, agent_class
            )
        ended += 1
        if ended % 250 == 0:
            tell(f"{ended} of {len(seeds)} callers")
        return report

    try:
        with tempfile.TemporaryDirectory() as folder:
            return await asyncio.gather(*(one(seed, Path(folder)) for seed in seeds))
    finally:
        await offices.stop()


def _declared(idempotency: str) -> Declarations:
    """The actions as declared, with the patience of a simulation."""
    declared = read_declarations(DECLARATIONS)
    actions = {
        name: action.model_copy(
            update={"timeout_s": TIMEOUT_S}
            | ({"idempotency": idempotency} if action.effect == "write" else {})
            | ({"identity": True} if action.effect == "write" else {})
        )
        for name, action in declared.actions.items()
    }
    return declared.model_copy(update={"actions": actions})


def _interrupted(report: FlowReport) -> bool:
    cuts = ("speaks_over", "hangs_up", "agent_dies", "coughs")
    return any(report.events[cut] for cut in cuts)


def _bad(report: FlowReport) -> bool:
    return bool(report.twice or report.unconfirmed)


def _outcomes(reports: Sequence[FlowReport]) -> Table:
    """Confirmed or not, done how often: a confusion table of callers."""
    counts = Counter(
        (
            "confirmed"
            if any(each.taken_back_at is None for each in report.confirmed)
            else "taken back"
            if report.confirmed
            else "not confirmed",
            min(len(report.effects), 2),
        )
        for report in reports
    )
    rows = tuple(
        (said, *(counts[said, done] for done in range(3)))
        for said in ("confirmed", "taken back", "not confirmed")
    )
    return Table("callers: what they said \\ what was done", ("", "not done", "once", "more"), rows)
