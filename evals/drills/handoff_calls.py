"""Scripted calls through a gateway of the drill's own: what became of each caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aiohttp import web

from evals.drills.handoff_agent import VOICE, DrilledAgent
from evals.drills.handoff_script import LINES, REFUSALS, TARGETS, Person, Script
from evals.drills.virtual import VirtualClock, VirtualLeg
from telephony.call import DigitPressed, Leg, LegAnswered, LegEnded, LegEvent, LegState
from telephony.call_back_dialler import CallBackDialler
from telephony.errors import DialFailed, NotTransferred
from telephony.gateway import Gateway
from telephony.handover import ACCEPT_KEY, DECLINE_KEY
from telephony.media_stream import Start
from telephony.prompts import PromptName, Prompts, soft_tone
from voice_agent.config import Settings
from voice_agent.handoff.voicemail import messages

Ended: TypeAlias = Literal["person", "transferred", "call_back", "message", "agent", "lost"]

RINGS_S, TALK_S = 0.4, 3.0
LIMIT_S = 240.0
"""Of virtual time; a caller who is nowhere by then is lost."""
TRUNK = "trunk.invalid"
RING_BACK_S = 300.0
"""Of virtual time; a promise that is not kept by then is broken."""
LOOK_STEPS = 50
MESSAGE_LEAST_S = 0.9
"""Callers speak for a second; so much of it is on the tape at least."""
TOGETHER = 5
"""Calls at once, which share the people."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one call ended, and what the caller was told last."""

    script: Script
    ended: Ended
    why: str = ""


def settings_of(folder: Path, url: str) -> Settings:
    """Queues of every kind behind the same three people."""
    people = [f"sip:person-{number}@drill.invalid" for number in range(TARGETS)]
    one = {"targets": people, "wait_s": 0.0, "ring_timeout_s": 2.0}
    waiting = {**one, "wait_s": 20.0, "retry_s": 4.0}
    queues: dict[str, Any] = {
        "help": one,
        "all": {**one, "strategy": "ring_all"},
        "round": {**waiting, "strategy": "round_robin"},
        "idle": {**waiting, "strategy": "longest_idle"},
        "keyed": {**one, "accept": "key"},
        "closed": {**one, "hours": {"holidays": [], "weekly": {"mon": []}}},
        "full": {**waiting, "max_waiting": 0},
        "patient": waiting,
        "sent": {**one, "transfer": "refer"},
        "taken_over": {**one, "transfer": "replaces"},
    }
    return Settings.model_validate(
        {
            "gateway": {
                "agent": {"url": url, "attempts": 1},
                "recording": {"enabled": False},
                "kill_switch": str(folder / "kill_switch.json"),
                "human": {
                    "uri": people[0],
                    "queues": queues,
                    "queue": "patient",
                    "call_backs": {
                        "address": f"sip:{{number}}@{TRUNK}",
                        "retry_s": 0.001,
                        "path": str(folder / "call_backs.sqlite"),
                    },
                },
            },
            "handoff": {"voicemail": str(folder / "voicemail")},
        }
    )


async def run_scripts(scripts: Sequence[Script], folder: Path) -> list[Result]:
    """Every script, a few at a time."""
    results = []
    for first in range(0, len(scripts), TOGETHER):
        together = scripts[first : first + TOGETHER]
        results += await _together(together, folder / f"{first}")
    return results


async def _together(scripts: Sequence[Script], folder: Path) -> list[Result]:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with _agents() as agents:
        settings = settings_of(folder, agents.url)
        clock = VirtualClock()
        prompts = Prompts(dict.fromkeys(PromptName, soft_tone()[:5]), soft_tone())
        gateway = Gateway(settings.gateway, clock=clock, prompts=prompts)
        bench = _Bench(gateway, clock, agents)
        agents.settings = settings
        calls = [bench.ring(script) for script in scripts]
        try:
            end_s = clock.now_s() + LIMIT_S
            while clock.now_s() < end_s and not all(call.settled for call in calls):
                await clock.step()
            results = [call.result() for call in calls]
            await bench.ring_back()
            results = [call.checked(result) for call, result in zip(calls, results, strict=True)]
        finally:
            closing = asyncio.ensure_future(gateway.close())
            while not closing.done():
                await clock.step()
            await bench.stop()
        return results


class _Agents:
    """Where the gateway finds agents: one for each script, by the caller's number."""

    def __init__(self) -> None:
        self.url = ""
        self.settings = Settings()
        self.scripts: dict[str, Script] = {}
        self.by_caller: dict[str, DrilledAgent] = {}
        """The latest of each."""
        self.call_ids: dict[str, str] = {}
        self.callers: dict[str, VirtualLeg] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One stream."""
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        await DrilledAgent(self.settings, socket, self._script_of).serve()
        return socket

    def _script_of(self, agent: DrilledAgent, start: Start) -> Script:
        self.by_caller[start.caller] = agent
        leg = self.callers[start.caller]
        agent.leave_message = lambda: leg.speak(VOICE, DigitPressed("#", 100))
        self.call_ids[start.caller] = start.call_id
        return self.scripts[start.caller]


@asynccontextmanager
async def _agents() -> AsyncIterator[_Agents]:
    agents = _Agents()
    app = web.Application()
    app.router.add_get("/media", agents.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    agents.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/media"
    try:
        yield agents
    finally:
        await runner.cleanup()


class _Bench:
    """The gateway, and people who do as each call's script says."""

    def __init__(self, gateway: Gateway, clock: VirtualClock, agents: _Agents) -> None:
        self.gateway, self.clock, self.agents = gateway, clock, agents
        self._tasks: set[asyncio.Task[None]] = set()
        gateway.dial = self.dial
        self._calls: dict[str, _Call] = {}
        self._rung_back: Counter[str] = Counter()

    def ring(self, script: Script) -> _Call:
        number = f"0742{script.number:07d}"
        caller = VirtualLeg(f"sip:{number}@drill.invalid", answers=True)
        self.agents.scripts[number] = script
        self.agents.callers[number] = caller
        call = _Call(script, number, caller, self)
        caller.on_refer = lambda to: self._refer(call, to)
        self._calls[caller.remote] = call
        self.spawn(self._take(call))
        return call

    async def _take(self, call: _Call) -> None:
        await self.gateway.take(call.caller)
        call.over = True

    async def dial(self, uri: str, headers: dict[str, str]) -> Leg:
        if uri.endswith(TRUNK):
            return self._ring_caller(uri)
        session = self.gateway.calls.get(headers.get("X-Call-ID", ""))
        remote = session.media.caller.remote if session else ""
        if remote.endswith(TRUNK):
            leg = VirtualLeg(uri)  # who is rung back finds somebody there
            self.spawn(self._play(leg, "answers", None))
            return leg
        call = self._calls.get(remote)
        does: Person = call.script.people[_number_of(uri)] if call else "busy"
        if does == "cannot_dial":
            raise DialFailed("no way there")
        leg = VirtualLeg(uri)
        self.spawn(self._play(leg, does, call))
        return leg

    async def _refer(self, call: _Call, to: str | Leg) -> None:
        """What the caller's own line makes of a REFER.

        Raises:
            NotTransferred: it refuses, or the person does.
        """
        await self._pass(RINGS_S)
        status: int | None = LINES[call.script.number % len(LINES)]
        if isinstance(to, str):
            does = call.script.people[_number_of(to)]
            status = None if does == "no_answer" else REFUSALS.get(does, 200)
        if status is None:
            await asyncio.Event().wait()
        elif status != 200:
            raise NotTransferred("as scripted", status)
        call.transferred = True

    async def ring_back(self) -> None:
        """Let the gateway keep what it has promised."""
        store = await asyncio.to_thread(self.gateway.people.call_backs)
        dialling = asyncio.create_task(CallBackDialler(self.gateway, self.gateway.people).run())
        end_s = self.clock.now_s() + RING_BACK_S
        try:
            while self.clock.now_s() < end_s and any(
                each.state in ("waiting", "ringing") for each in await asyncio.to_thread(store.all)
            ):
                for _ in range(LOOK_STEPS):
                    await self.clock.step()
        finally:
            dialling.cancel()
            await asyncio.wait({dialling})

    def _ring_caller(self, uri: str) -> VirtualLeg:
        """Half of the callers are busy the first time."""
        leg = VirtualLeg(uri)
        self._rung_back[uri] += 1
        number = uri.partition("@")[0]
        busy = self._rung_back[uri] == 1 and int(number[-1]) % 2 == 0
        self.spawn(self._pick_up(leg, LegEnded("busy", 486) if busy else LegAnswered()))
        return leg

    async def _pick_up(self, leg: VirtualLeg, then: LegEvent) -> None:
        await self._pass(RINGS_S)
        leg.tell(then)

    async def _play(self, leg: VirtualLeg, does: Person, call: _Call | None) -> None:
        """What the person does, in the call's time."""
        await self._pass(RINGS_S)
        match does:
            case "busy":
                leg.tell(LegEnded("busy", 486))
            case "declines":
                leg.tell(LegEnded("declined", 603))
            case "trunk_error":
                leg.tell(LegEnded("service unavailable", 503))
            case "hangs_up_ringing":
                leg.tell(LegEnded("gone", 480))
            case "no_answer" | "cannot_dial":
                return
            case _:
                leg.tell(LegAnswered())
                await self._talk(leg, does, call)

    async def _talk(self, leg: VirtualLeg, does: Person, call: _Call | None) -> None:
        await self._pass(0.1)
        match does:
            case "declines_by_key":
                leg.tell(DigitPressed(DECLINE_KEY, 100))
                await self._pass(0.5)  # where no agent told a story, they have the caller already
            case "hangs_up_in_announcement":
                leg.tell(LegEnded("bye"))
                return
            case _ if call is not None and call.script.queue == "keyed":
                leg.tell(DigitPressed(ACCEPT_KEY, 100))
        session = call.session if call else None
        while (
            session is not None and not session.people.had_person and leg.state is LegState.ANSWERED
        ):
            await self._pass(0.1)
        match does:
            case "hangs_up_at_once":
                await self._pass(0.2)
                leg.tell(LegEnded("bye"))
            case "breaks_off":
                await self._pass(TALK_S)
                leg.tell(LegEnded("media_lost"))
            case _:
                await self._pass(TALK_S)
                if call is not None and leg.state is LegState.ANSWERED:
                    call.talked = True
                leg.tell(LegEnded("bye"))

    async def _pass(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.now_s() + seconds)

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _number_of(target: str) -> int:
    return int(target.partition("@")[0].rpartition("-")[2])


class _Call:
    """One caller, followed to the end."""

    def __init__(self, script: Script, number: str, caller: VirtualLeg, bench: _Bench) -> None:
        self.script, self.number, self.caller = script, number, caller
        self.talked = self.transferred = self.over = False
        self._bench = bench
        self._killed = False
        self._quiet_since_s: float | None = None

    @property
    def agent(self) -> DrilledAgent | None:
        return self._bench.agents.by_caller.get(self.number)

    @property
    def session(self) -> Any:
        calls = self._bench.gateway.calls.values()
        return next((each for each in calls if each.media.caller is self.caller), None)

    @property
    def settled(self) -> bool:
        """The call is over, or the agent has had the caller for a while with nothing under way."""
        session, agent, now_s = self.session, self.agent, self._bench.clock.now_s()
        dying = self.script.agent == "dies_while_it_rings" and not self._killed
        if (
            dying
            and agent is not None
            and session is not None
            and session.people.hand_over is not None
        ):
            self._killed = True
            agent.kill()
        with_agent = (
            session is not None
            and session.people.hand_over is None
            and session.media.stream is not None
            and agent is not None
            and agent.has_caller
        )
        if not with_agent:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s
        quiet = self._quiet_since_s is not None and now_s - self._quiet_since_s > 1.0
        return self.over or quiet

    def result(self) -> Result:
        said = self.agent.said[-1] if self.agent and self.agent.said else ""
        if self.transferred:
            return Result(self.script, "transferred" if self.over else "lost")
        if self.talked:
            return Result(self.script, "person")
        kept = self._bench.gateway.people.call_backs().all()
        call_id = self._bench.agents.call_ids.get(self.number, "")
        if any(each.of_call == call_id for each in kept):
            return Result(self.script, "call_back", said)
        if self.agent is not None and self.agent.outcome == "voicemail":
            return Result(self.script, "message" if self._is_taped(call_id) else "lost", said)
        if not self.over and self._quiet_since_s is not None:
            return Result(self.script, "agent", said)
        return Result(self.script, "lost", said)

    def checked(self, result: Result) -> Result:
        """A promise counts once the caller has been rung and has talked to somebody."""
        if result.ended != "call_back":
            return result
        call_id = self._bench.agents.call_ids.get(self.number, "")
        kept = self._bench.gateway.people.call_backs().all()
        talked = any(each.of_call == call_id and each.state == "done" for each in kept)
        return result if talked else replace(result, ended="lost", why="not rung back")

    def _is_taped(self, call_id: str) -> bool:
        """What the caller said is on disk, with its words."""
        taped = messages(self._bench.agents.settings.handoff.voicemail)
        return any(
            each.call_id == call_id and each.seconds >= MESSAGE_LEAST_S and each.words
            for each in taped
        )
