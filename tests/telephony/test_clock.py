"""Frames that neither drift nor burst, and waits that can be cut short."""

from __future__ import annotations

import asyncio

import pytest

from telephony.clock import FRAME_S, FramePacer, within
from tests.telephony.fakes import HandClock


def test_before_its_time_no_frame_is_due() -> None:
    assert FramePacer(10.0).due(9.99) == 0


def test_ticks_a_little_late_do_not_add_up() -> None:
    pacer = FramePacer(0.0)
    frames = sum(pacer.due(n * FRAME_S + 0.007) for n in range(500))
    assert frames == 500
    assert pacer.next_at_s == pytest.approx(500 * FRAME_S)
    assert pacer.stalls == 0


def test_a_stall_is_counted_once_and_made_up_without_a_burst() -> None:
    pacer = FramePacer(0.0)
    pacer.due(0.0)
    now_s, frames = 0.3, []
    while len(frames) < 12:
        frames.append(pacer.due(now_s))
        now_s += FRAME_S
    assert max(frames) == 3
    assert frames[-1] == 1
    assert 1 + sum(frames) == pytest.approx(now_s / FRAME_S, abs=1)
    assert pacer.stalls == 1


def test_a_suspended_machine_does_not_owe_minutes() -> None:
    pacer = FramePacer(0.0)
    assert pacer.due(600.0) == 1
    assert pacer.due(600.0 + FRAME_S) == 1


async def test_work_in_time_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert await within(HandClock(), 1.0, work()) == 7


async def test_work_that_takes_too_long_is_cancelled() -> None:
    clock = HandClock()
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    waiting = asyncio.ensure_future(within(clock, 1.0, work()))
    await clock.advance(1.1)
    with pytest.raises(TimeoutError):
        await waiting
    assert cancelled.is_set()


async def test_an_error_in_the_work_comes_through() -> None:
    async def work() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await within(HandClock(), 1.0, work())
