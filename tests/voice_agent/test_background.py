"""Work that nobody waits for goes on, and what fails in it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from email.message import Message
from typing import Any
from urllib.error import HTTPError

import pytest
from structlog.testing import capture_logs

from voice_agent.background import Background, repeat
from voice_agent.config import ConfigError
from voice_agent.errors import exit_code_of_serving


async def test_what_is_repeated_goes_on_after_a_failure() -> None:
    done, third = [], asyncio.Event()

    async def work() -> None:
        done.append(len(done))
        if len(done) == 3:
            third.set()
        if len(done) < 3:
            raise OSError("the disk is full")

    repeating = asyncio.create_task(repeat(work, 0.0))
    with capture_logs() as logged:
        await asyncio.wait_for(third.wait(), 5)
    repeating.cancel()
    assert [line["event"] for line in logged] == ["repeated_work_failed"] * 2


async def test_a_repetition_that_is_cancelled_ends() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    repeating = asyncio.create_task(repeat(work, 0.0))
    await begun.wait()
    repeating.cancel()
    await asyncio.wait({repeating}, timeout=5)
    assert repeating.cancelled()


async def test_a_task_that_fails_is_told_at_once() -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    tasks = Background()
    with capture_logs() as logged:
        await asyncio.wait({tasks.start(fail())})
        await asyncio.sleep(0)
    assert [line["event"] for line in logged] == ["task_failed"]


def _raising(error: Exception) -> Coroutine[Any, Any, None]:
    async def serve() -> None:
        raise error

    return serve()


def test_an_error_of_ours_is_one_line_and_anybody_elses_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code_of_serving("agent", _raising(ConfigError("no such file"))) == 2
    assert capsys.readouterr().err == "agent: no such file\n"
    with pytest.raises(HTTPError):  # whose code is a number
        exit_code_of_serving("agent", _raising(HTTPError("u", 500, "m", Message(), None)))
