"""Asking an agent for its record of a call: late ones, and what is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from evals import agent_record
from evals.agent_record import ask_record

WHOLE = '{"ended_at": 1.0, "turns": [{"heard": "How much?"}]}'


@asynccontextmanager
async def answering(*answers: tuple[int, str]) -> AsyncIterator[str]:
    """An agent that gives these answers, the last one again and again; its address."""
    left = list(answers)

    async def answer(_: web.Request) -> web.Response:
        status, text = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/calls/x", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/calls/x"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_record, "PAUSE_S", 0)


@pytest.mark.loopback
@pytest.mark.parametrize(
    "early",
    [
        (404, "{}"),
        (503, "{}"),
        (200, "{}"),
        (200, '{"ended_at": null, "turns": [{"heard": "How much?"}]}'),
        (200, '{"ended_at": 1.0, "turns": [{"heard": ""}]}'),
        (200, '{"ended_at": 1.0, "turns": "none"}'),
    ],
)
async def test_a_record_that_is_not_written_yet_is_asked_for_again(early: tuple[int, str]) -> None:
    async with answering(early, (200, WHOLE)) as url:
        record, _ = await ask_record(url, "", 1)
    assert record is not None
    assert record["turns"] == [{"heard": "How much?"}]
    assert record["ended_at"] == 1.0


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (401, "{}", "another token"),
        (403, "{}", "another token"),
        (404, "{}", "answered 404"),
        (200, "not json", "cannot be asked"),
        (200, "[]", "no record"),
        (200, "null", "no record"),
    ],
)
async def test_what_is_no_record_is_one_line(status: int, text: str, why: str) -> None:
    async with answering((status, text)) as url:
        record, said = await ask_record(url, "", 1)
    assert record is None
    assert why in said


async def test_an_agent_that_is_gone_is_one_line() -> None:
    record, said = await ask_record("http://127.0.0.1:9/calls/x", "word", 1)
    assert record is None
    assert "cannot be asked" in said
