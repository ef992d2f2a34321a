"""The test caller and the person's telephone on real calls over loopback, each in a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from aiohttp import web

from evals.wire_line import free_port
from telephony.call import DigitPressed, Leg, LegAnswered, LegEnded, LegState
from tests.telephony.sip_stage import (
    PATIENCE_S,
    ROOT,
    clocked,
    event_of,
    open_line,
    tone_frame,
)

pytestmark = pytest.mark.loopback

RATE_HZ = 8_000
QUIET_AFTER_FRAMES = 15
REPLY_FRAMES = 40


def recording(path: Path, length_ms: int = 600) -> Path:
    at = np.arange(RATE_HZ * length_ms // 1000) / RATE_HZ
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 300 * at), RATE_HZ)
    return path


class ToneAgent:
    """Greets with a tone, answers each utterance with another, stops when spoken over."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.utterances = 0
        self.to_play = REPLY_FRAMES
        self.quiet = QUIET_AFTER_FRAMES

    async def serve(self) -> None:
        await self.leg.answer()
        loop = asyncio.get_running_loop()
        due, number = loop.time(), 0
        while self.leg.state is not LegState.ENDED:
            self.hear(self.leg.receive_frame())
            if self.to_play:
                self.to_play -= 1
            self.leg.send_frame(tone_frame(440 if self.to_play else 0, number))
            number += 1
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def hear(self, frame: bytes | None) -> None:
        if frame and np.abs(np.frombuffer(frame, "<i2")).max() > 500:
            if self.quiet >= QUIET_AFTER_FRAMES and self.to_play:
                self.to_play = 0
                self.leg.flush()
            self.quiet = 0
            return
        self.quiet += 1
        if self.quiet == QUIET_AFTER_FRAMES:
            self.utterances += 1
            self.to_play = REPLY_FRAMES * 3


@contextlib.asynccontextmanager
async def tone_agent() -> AsyncIterator[str]:
    async with open_line() as (_, arrivals, uri):
        tasks: list[asyncio.Task[None]] = []

        async def take() -> None:
            while True:
                tasks.append(asyncio.create_task(ToneAgent(await arrivals.next()).serve()))

        taking = asyncio.create_task(take())
        try:
            yield uri
        finally:
            for task in (taking, *tasks):
                task.cancel()
            await asyncio.wait({taking, *tasks})


async def run_module(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def agent_records(turns: list[dict[str, Any]], token: str) -> AsyncIterator[int]:
    """The agent's address where it tells of calls."""

    async def call(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({}, status=401)
        return web.json_response({"ended_at": 1.0, "turns": turns})

    app = web.Application()
    app.router.add_get("/calls/{call_id}", call)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def config(tmp_path: Path, media_port: int) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(f"media:\n  port: {media_port}\n")
    return path


async def play(
    tmp_path: Path, uri: str, steps: list[dict[str, Any]], media_port: int
) -> tuple[int, dict[str, Any], list[dict[str, Any]], str]:
    scenario, out = tmp_path / "scenario.json", tmp_path / "out.json"
    scenario.write_text(json.dumps(steps))
    code, printed, err = await run_module(
        *("evals.caller", uri, "--scenario", str(scenario), "--json", str(out)),
        *("--record", str(tmp_path / "rec.wav"), "--quiet-ms", "500"),
        *("--config", str(config(tmp_path, media_port))),
    )
    events = [json.loads(line) for line in printed.splitlines()]
    return code, json.loads(out.read_text()) if out.exists() else {}, events, err


async def test_a_caller_who_is_stopped_hangs_up(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    (tmp_path / "scenario.json").write_text(json.dumps([{"say": "a.wav"}]))
    async with open_line() as (_, arrivals, uri):
        caller = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "evals.caller", uri),
            *("--scenario", str(tmp_path / "scenario.json")),
            *("--config", str(config(tmp_path, free_port("127.0.0.1")))),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            leg = await arrivals.next()
            await leg.answer()
            await event_of(leg, LegAnswered)
            assert caller.stdout is not None
            async for line in caller.stdout:
                if json.loads(line)["event"] == "answered":
                    break
            caller.send_signal(signal.SIGTERM)
            await event_of(leg, LegEnded)
            async with asyncio.timeout(PATIENCE_S):
                _, told = await caller.communicate()
        finally:
            if caller.returncode is None:
                caller.kill()
                await caller.wait()
    assert caller.returncode == 1
    assert b"stopped; the call is hung up" in told


async def test_a_caller_asks_interrupts_and_is_answered_each_time(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    steps = [{"say": "a.wav"}, {"interrupt": "a.wav", "after_ms": 400}, {"say": "a.wav"}]
    async with tone_agent() as uri:
        code, report, events, err = await play(tmp_path, uri, steps, free_port("127.0.0.1"))
    assert code == 0, err
    assert report["greeting_ms"] is not None
    turns = report["turns"]
    assert [turn["interrupts"] for turn in turns] == [False, True, False]
    assert all(turn["voice_to_voice_ms"] > 0 for turn in turns)
    assert [turn["barge_in_stop_ms"] is not None for turn in turns] == [False, True, False]
    assert turns[0]["heard"] is None
    assert "no record of the call" in err
    told = [event["event"] for event in events]
    assert told[:3] == ["ringing", "answered", "greeting"]
    assert told[-1] == "ended"
    sound, rate_hz = soundfile.read(tmp_path / "rec.wav", dtype="int16")
    assert (rate_hz, sound.shape[1]) == (RATE_HZ, 2)
    assert np.abs(sound[:, 0]).max() > 3_000
    assert np.abs(sound[:, 1]).max() > 3_000


async def test_what_the_agent_recorded_is_laid_beside_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_MEDIA_TOKEN", "word")
    recording(tmp_path / "a.wav")
    known = {
        "heard": "when do you open",
        "answer": "At nine.",
        "passages": [{"source": "stores.md"}],
        "stages_ms": {"transcribe": 90.0},
    }
    async with tone_agent() as uri, agent_records([known], "word") as media_port:
        code, report, _, err = await play(tmp_path, uri, [{"say": "a.wav"}], media_port)
    assert (code, err) == (0, "")
    turn = report["turns"][0]
    assert turn["heard"] == "when do you open"
    assert turn["answer"] == "At nine."
    assert turn["sources"] == ["stores.md"]
    assert turn["stages_ms"] == {"transcribe": 90.0}


async def test_a_call_that_is_refused_is_exit_code_1_with_the_reason(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    async with open_line() as (_, arrivals, uri):

        async def refuse() -> None:
            await (await arrivals.next()).hang_up("full")

        refusing = asyncio.create_task(refuse())
        code, report, _, err = await play(tmp_path, uri, [{"say": "a.wav"}], free_port("127.0.0.1"))
        await refusing
    assert code == 1
    assert report["status"] == 486
    assert "486" in err


async def test_a_call_that_ends_before_everything_was_said_is_exit_code_1(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    async with open_line() as (_, arrivals, uri):

        async def hang_up_soon() -> None:
            leg = await arrivals.next()
            await leg.answer()
            await event_of(leg, LegAnswered)
            await leg.hang_up("tested")

        hanging_up = asyncio.create_task(hang_up_soon())
        code, report, _, err = await play(tmp_path, uri, [{"say": "a.wav"}], free_port("127.0.0.1"))
        await hanging_up
    assert code == 1
    assert report["ended_by"] == "agent"
    assert "unsaid" in err


async def test_keys_are_pressed(tmp_path: Path) -> None:
    async with open_line() as (_, arrivals, uri):
        call = asyncio.create_task(
            play(tmp_path, uri, [{"press": "42"}, {"hang_up": True}], free_port("127.0.0.1"))
        )
        leg = await arrivals.next()
        await leg.answer()
        async with clocked(leg, hz=440):
            pressed = [(await event_of(leg, DigitPressed)).digit for _ in range(2)]
            await event_of(leg, LegEnded)
        await call
    assert pressed == ["4", "2"]


@pytest.mark.parametrize(
    ("uri", "steps"),
    [
        ("nonsense", [{"say": "a.wav"}]),
        ("sip:agent@127.0.0.1", [{"say": "absent.wav"}]),
        ("sip:agent@127.0.0.1", []),
    ],
)
async def test_wrong_usage_is_exit_code_2_and_one_line(
    tmp_path: Path, uri: str, steps: list[dict[str, Any]]
) -> None:
    recording(tmp_path / "a.wav")
    code, _, _, err = await play(tmp_path, uri, steps, 8090)
    assert code == 2
    assert len(err.splitlines()) == 1


class HumanProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, wanted: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                if event["event"] == wanted:
                    return event
        raise AssertionError(f"the human line ended before {wanted}")


@contextlib.asynccontextmanager
async def human_line(port: int, *options: str) -> AsyncIterator[HumanProcess]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evals.human_line", "--port", str(port), *options),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    human = HumanProcess(process)
    try:
        await human.until("listening")
        yield human
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def test_the_person_hears_the_announcement_speaks_and_reports(tmp_path: Path) -> None:
    said, out, record = recording(tmp_path / "p.wav"), tmp_path / "h.json", tmp_path / "h.wav"
    port = free_port("127.0.0.1")
    options = ("--say", str(said), "--json", str(out), "--record", str(record), "--quiet-ms", "300")
    async with open_line() as (line, _, _), human_line(port, *options) as human:
        leg = await line.dial(f"sip:human@127.0.0.1:{port}")
        await event_of(leg, LegAnswered)
        async with clocked(leg, hz=440) as received:
            await human.until("answered")
            await asyncio.wait_for(_frames(received, 20), PATIENCE_S)
        async with clocked(leg):
            await human.until("saying")
            received.clear()
            await leg.hang_up("tested")
        await human.until("ended")
    assert human.process.returncode == 0
    report = json.loads(out.read_text())["calls"][0]
    assert report["outcome"] == "answer"
    assert report["ended_by"] == "caller"
    assert report["heard_s"] > 0
    assert report["call_id"] == leg.leg_id
    assert record.exists()


async def _frames(received: list[bytes], count: int) -> None:
    while len(received) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("outcome", "code"), [("busy", 486), ("decline", 603)])
async def test_the_person_does_not_take_the_call(outcome: str, code: int) -> None:
    port = free_port("127.0.0.1")
    async with (
        open_line() as (line, _, _),
        human_line(port, "--outcome", outcome, "--calls", "1") as human,
    ):
        leg = await line.dial(f"sip:human@127.0.0.1:{port}")
        assert (await event_of(leg, LegEnded)).code == code
        await human.process.wait()
        assert human.process.returncode == 0


async def test_the_person_lets_it_ring() -> None:
    port = free_port("127.0.0.1")
    async with open_line() as (line, _, _), human_line(port, "--outcome", "no-answer") as human:
        leg = await line.dial(f"sip:human@127.0.0.1:{port}")
        await human.until("ringing")
        assert leg.state is LegState.RINGING
        await leg.hang_up("no_answer")
        assert await event_of(leg, LegEnded) == LegEnded("no_answer")
