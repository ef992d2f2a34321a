"""One caller after the other, their interruptions, and an agent that dies: what came of it.

The agent's own desk, runner and journal do the work, against the sample back office over HTTP. What
was confirmed is decided here from the caller's script and from what reached their ear, and what was
done is counted in the back office's own rows: neither asks the agent.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from evals.actions.caller import OVER_TALK, RETRACTIONS, WISHES, Answer, Break, Script
from evals.back_office.database import OfficeDatabase
from evals.back_office.service import BackOffice, OfficeTrouble
from voice_agent.answering.actions.declaration import Declarations
from voice_agent.answering.actions.desk import ActionDesk
from voice_agent.answering.actions.flow import FlowRules
from voice_agent.answering.actions.journal import Journal
from voice_agent.answering.actions.runner import Runner
from voice_agent.answering.actions.source_openapi import OpenApiSource
from voice_agent.answering.actions.tools import Call
from voice_agent.reply import AfterReply, Reply

TIMEOUT_S, SLOW_S, GRACE_S, LEASE_MARGIN_S = 0.12, 0.3, 0.02, 0.05
MOMENT_S = 0.008
MOMENT_OF_SENDING_S = 0.01
"""Words that begin in the very moment in which a write is sent come too late."""
MAX_TURNS = 14
TODAY = datetime.date(2026, 11, 21)


@dataclass(slots=True)
class Confirmed:
    """A clear yes of the caller to a whole read-back, and whether they took it back in time."""

    statement: str
    at: float
    call: int
    taken_back_at: float | None = None


@dataclass(slots=True)
class FlowReport:
    """One caller: what they confirmed, what was done, and what happened on the way."""

    seed: int
    action: str
    confirmed: list[Confirmed] = field(default_factory=list)
    effects: list[dict[str, object]] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    """When writes left the agent."""
    too_late: int = 0
    """Yeses taken back in the moment in which the write was sent."""
    events: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    unconfirmed: int = 0
    course: list[str] = field(default_factory=list)
    """What happened, with times in ms, for whoever looks into a fault."""
    began_at: float = field(default_factory=time.perf_counter)

    def note(self, what: str) -> None:
        """Add to the course."""
        self.course.append(f"{(time.perf_counter() - self.began_at) * 1000:.0f} {what}")


class Offices:
    """Two back offices, one that knows a write by its key and one that does not."""

    def __init__(self) -> None:
        self._scripts: dict[str, tuple[Script, FlowReport]] = {}
        self.kind = {honours: OfficeDatabase(lenient=True) for honours in (True, False)}
        self.servers: dict[bool, TestServer] = {}

    async def start(self) -> None:
        """Listen on loopback."""
        for honours, database in self.kind.items():
            office = BackOffice(
                database, trouble=self._trouble, slow_s=SLOW_S, honours_keys=honours
            )
            self.servers[honours] = TestServer(office.app)
            await self.servers[honours].start_server()

    async def stop(self) -> None:
        """Stop listening."""
        for server in self.servers.values():
            await server.close()

    def expect(self, script: Script, report: FlowReport) -> None:
        """Have this caller's customer and order."""
        self._scripts[script.customer.customer_id] = (script, report)
        customer, order = script.customer.rows()
        self.kind[script.honours_keys].add([customer], [order])

    def _trouble(self, request: web.Request) -> OfficeTrouble:
        known = self._scripts.get(request.headers.get("X-Customer", ""))
        if known is None:
            return OfficeTrouble.NONE
        script, report = known
        trouble = script.trouble()
        report.events[f"office_{trouble}"] += 1
        report.note(f"office gets {request.path}: {trouble}")
        return trouble


class WatchedSource(OpenApiSource):
    """Notes when each write leaves the agent."""

    def __init__(self, url: str, report: FlowReport) -> None:
        super().__init__(Path("evals/back_office/openapi.yaml"), url)
        self._report = report

    async def call(self, tool: str, call: Call) -> Mapping[str, Any]:
        """See :class:`tools.Source`."""
        if call.caller:
            self._report.sent.append(time.perf_counter())
        return await super().call(tool, call)


class Agent:
    """An agent's process as far as actions go; it can die and be begun anew."""

    def __init__(
        self,
        declarations: Declarations,
        rules: FlowRules,
        url: str,
        path: Path,
        report: FlowReport,
    ) -> None:
        self._declarations, self._rules = declarations, rules
        self._report = report
        self._url, self._path = url, path
        self._begin()

    def _begin(self) -> None:
        self._source = WatchedSource(self._url, self._report)
        self.runner = self.make_runner()

    def make_runner(self) -> Runner:
        """A runner on the journal's file."""
        return Runner(
            self._declarations,
            {"back_office": self._source},
            Journal(self._path),
            lease_margin_s=LEASE_MARGIN_S,
        )

    def desk(self, call_id: str) -> ActionDesk:
        """The desk of a call."""
        return ActionDesk(self._rules, self.runner, call_id, grace_s=GRACE_S)

    async def die(self, tasks: set[asyncio.Task[None]]) -> None:
        """End at once, whatever is being done; then a new one takes over."""
        mine = {*tasks, *self.runner.writing}
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        await self._source.close()
        self._begin()
        await asyncio.sleep(2 * TIMEOUT_S + LEASE_MARGIN_S + 0.01)
        await self.runner.recover()

    async def close(self) -> None:
        """End properly."""
        await self.runner.close()


class Line:
    """One call at the level of words: turns, what is heard of them, and what cuts them."""

    def __init__(self, agent: Agent, script: Script, report: FlowReport, number: int) -> None:
        self._agent, self._script, self._report = agent, script, report
        self._number = number
        self._call_id = f"call-{script.customer.number}-{number}"
        self._desk = agent.desk(self._call_id)
        self._replies = 0
        self._statement = ""
        """What was read back last, if the caller heard all of it."""
        self._words = WISHES[script.action]
        self._kind: Answer | None = None

    async def run(self) -> None:
        """Talk until it is done, given up, handed over or cut off."""
        for _ in range(MAX_TURNS):
            if not await self._turn():
                return

    async def _turn(self) -> bool:
        draw = self._script.draw
        if draw.random() < 0.25:  # the first half of it is taken for all of it, and dropped
            await self._speculate(self._words[: max(4, len(self._words) // 2)])
        said: list[str] = []
        reply = self._reply(self._words)
        task = self._answer(reply, said)
        if task is None:
            return False
        await asyncio.sleep(draw.random() * MOMENT_S)
        reply.commit()
        self._desk.commit(reply)
        self._note_confirmed()
        broken = self._script.breaks(confirming=bool(self._statement))
        self._report.events[broken] += 1
        self._report.note(f"said {self._words!r}; {broken}")
        cut_after_s = draw.choice((0.0, MOMENT_S, GRACE_S, GRACE_S + TIMEOUT_S / 2))
        match broken:
            case Break.NONE:
                await task
            case Break.COUGHS:
                await asyncio.sleep(cut_after_s)
                self._desk.halt(reply)
                await asyncio.sleep(draw.random() * MOMENT_S)
                self._desk.go_on(reply)
                await task
            case _:
                await asyncio.wait({task}, timeout=cut_after_s)
                return await self._cut(broken, reply, said, task)
        await self._end(reply, " ".join(said), "completed")
        whole = " ".join(said)
        self._listen(whole, whole)
        return reply.after is AfterReply.LISTEN and "anything else" not in whole.lower()

    async def _cut(
        self, broken: Break, reply: Reply, said: list[str], task: asyncio.Task[None]
    ) -> bool:
        draw = self._script.draw
        spoken_over_at = time.perf_counter()
        self._desk.halt(reply)
        if broken is Break.AGENT_DIES:
            await self._agent.die({task})
            self._desk = self._agent.desk(self._call_id)
            await self._desk.resume(self._call_id)
            self._words, self._kind = self._script.answer_to("")
            self._statement = ""
            return draw.random() < 0.7
        if broken is Break.HANGS_UP:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return False
        await asyncio.sleep(draw.random() * MOMENT_S)  # their words are being heard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        whole = " ".join(said)
        heard = whole[: int(len(whole) * draw.random())]
        await self._end(reply, heard, "interrupted")
        self._listen(whole, heard)
        self._words, self._kind = draw.choice(OVER_TALK), None
        self._report.note(f"speaks over: {self._words!r}, since {spoken_over_at:.3f}")
        if self._words in RETRACTIONS:
            for confirmed in self._report.confirmed:
                if confirmed.taken_back_at is None:
                    confirmed.taken_back_at = spoken_over_at
        return True

    async def _speculate(self, words: str) -> None:
        said: list[str] = []
        reply = self._reply(words)
        task = self._answer(reply, said)
        if task is None:
            return
        await asyncio.sleep(self._script.draw.random() * MOMENT_S)
        reply.dropped = True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._desk.drop(reply)

    def _reply(self, words: str) -> Reply:
        self._replies += 1
        return Reply(self._replies, f"turn-{self._replies}", words)

    def _answer(self, reply: Reply, said: list[str]) -> asyncio.Task[None] | None:
        async def speak(text: str) -> None:
            said.append(text)
            await asyncio.sleep(0)

        if not self._desk.takes(reply):
            self._desk.drop(reply)
            if reply.question != WISHES[self._script.action]:
                return asyncio.create_task(_say_aside(said))
            self._desk.starts(reply, self._script.action)
        return asyncio.create_task(self._desk.answer(reply, speak))

    async def _end(self, reply: Reply, heard: str, reason: str) -> None:
        reply.heard = heard
        reply.end_reason = "completed" if reason == "completed" else "interrupted"
        await self._desk.over(reply)

    def _listen(self, said: str, heard: str) -> None:
        """The caller has heard the first part of what was said, or all of it."""
        statement, asks, _ = said.partition(" Shall I")
        self._statement = statement if asks and heard.startswith(statement) else ""
        self._report.note(f"heard {heard!r}")
        self._words, self._kind = self._script.answer_to(heard)

    def _note_confirmed(self) -> None:
        """A clear yes, right after a read-back that was heard to its end, is a confirmation."""
        if self._statement and (self._kind is Answer.YES or self._words == "Yes."):
            now = time.perf_counter()
            self._report.confirmed.append(Confirmed(self._statement, now, self._number))
            self._report.note(f"confirmed {self._words!r}")


async def _say_aside(said: list[str]) -> None:
    said.append("I'm sorry, I don't have that information.")


async def simulate(
    seed: int,
    offices: Offices,
    declarations: Callable[[bool], Declarations],
    folder: Path,
    agent_class: type[Agent] = Agent,
) -> FlowReport:
    """One caller, in one or two calls."""
    script = Script(seed)
    report = FlowReport(seed, script.action)
    offices.expect(script, report)
    declared = declarations(script.honours_keys)
    rules = FlowRules(declared, lambda: TODAY)
    url = str(offices.servers[script.honours_keys].make_url("/")).rstrip("/")
    agent = agent_class(declared, rules, url, folder / f"{seed}.sqlite", report)
    for number in range(script.calls):
        await Line(agent, script, report, number).run()
    await agent.close()
    if report.events["office_slow_before"]:
        await asyncio.sleep(SLOW_S)  # what was sent may still be done
    customer = script.customer.customer_id
    report.effects = [
        effect
        for effect in offices.kind[script.honours_keys].effects()
        if effect["customer_id"] == customer
    ]
    _judge(report, declared.actions[script.action].once_per)
    return report


def _judge(report: FlowReport, once_per: str) -> None:
    """Count what was done more often than it may be, and what nobody confirmed."""
    effects = {str(sorted(each.items(), key=str)): each for each in report.effects}
    counts = Counter(str(sorted(each.items(), key=str)) for each in report.effects)
    for name, effect in effects.items():
        of_it = [each for each in report.confirmed if _speaks_of(each.statement, effect)]
        calls = {each.call for each in of_it}
        allowed = 1 if once_per == "customer" else max(1, len(calls))
        report.twice += max(0, counts[name] - allowed)
        if not any(_stood(each, report.sent, 0) for each in of_it):
            if any(_stood(each, report.sent, MOMENT_OF_SENDING_S) for each in of_it):
                report.too_late += 1
            else:
                report.unconfirmed += counts[name]


def _stood(confirmed: Confirmed, sent: list[float], moment_s: float) -> bool:
    """Whether a yes was not taken back, or only after the write had been sent."""
    if confirmed.taken_back_at is None:
        return True
    return any(confirmed.at <= each <= confirmed.taken_back_at + moment_s for each in sent)


def _speaks_of(statement: str, effect: dict[str, object]) -> bool:
    """Whether a read-back was of this effect, value by value."""
    match effect["kind"]:
        case "refund":
            amount = f"${float(str(effect['amount'])):.2f}"
            return amount in statement and str(effect["order_number"]) in statement
        case "cancellation":
            return str(effect["order_number"]) in statement
        case "appointment":
            day = datetime.date.fromisoformat(str(effect["day"]))
            return f"{day:%B} {day.day}," in statement and str(effect["part"]) in statement
        case "password_reset":
            name = str(effect["email"]).split("@")[0]
            return ", ".join(name.upper()) in statement
        case _:
            return str(effect["summary"]).rstrip(".") in statement
