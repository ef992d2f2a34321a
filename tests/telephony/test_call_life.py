"""The tasks of a call: all end with it, and none begins after it."""

from __future__ import annotations

import asyncio

import pytest

from telephony.call_life import CallLife, CallOver


async def for_ever() -> None:
    await asyncio.Event().wait()


async def slow_to_leave(began: asyncio.Event, may_leave: asyncio.Event) -> None:
    try:
        began.set()
        await for_ever()
    finally:
        await may_leave.wait()


async def test_what_comes_while_a_call_ends_is_refused_and_does_not_keep_it_alive() -> None:
    life, began, may_leave = CallLife(), asyncio.Event(), asyncio.Event()
    running = asyncio.ensure_future(life.run(slow_to_leave(began, may_leave)))
    await began.wait()
    life.end("caller_hung_up")
    await asyncio.sleep(0)
    with pytest.raises(CallOver):
        life.spawn(for_ever())
    may_leave.set()
    await running
    assert life.outcome == "caller_hung_up"


async def test_what_comes_after_a_task_has_failed_is_refused_too() -> None:
    life, began, may_leave = CallLife(), asyncio.Event(), asyncio.Event()
    fail = asyncio.Event()

    async def failing() -> None:
        await fail.wait()
        raise OSError("broken on purpose")

    running = asyncio.ensure_future(life.run(slow_to_leave(began, may_leave), failing()))
    await began.wait()
    fail.set()
    for _ in range(4):
        await asyncio.sleep(0)
    with pytest.raises(CallOver):
        life.spawn(for_ever())
    may_leave.set()
    await running
    assert life.outcome == "failed"


async def test_a_task_that_begins_something_as_the_call_ends_does_not_make_it_a_failure() -> None:
    life = CallLife()

    async def ends_and_goes_on() -> None:
        life.end("caller_hung_up")
        life.spawn(for_ever())

    await life.run(ends_and_goes_on(), for_ever())
    assert life.outcome == "caller_hung_up"
