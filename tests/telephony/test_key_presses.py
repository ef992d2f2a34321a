"""Keys for legs that are slow, or cannot press any."""

from __future__ import annotations

import asyncio

from telephony.key_presses import MAX_WAITING, KeyPresses
from tests.telephony.fakes import FakeLeg, eventually


class Deaf(FakeLeg):
    async def send_digits(self, digits: str) -> None:
        raise RuntimeError("no such event was negotiated")


async def test_a_leg_that_takes_no_key_keeps_no_other_waiting() -> None:
    keys, leg = KeyPresses(), FakeLeg()
    running = asyncio.create_task(keys.run())
    keys.press(Deaf(), "1")
    keys.press(leg, "2")
    await eventually(lambda: leg.digits == ["2"])
    running.cancel()


async def test_too_many_keys_are_dropped_the_newest_first() -> None:
    keys, leg = KeyPresses(), FakeLeg()
    pressed = [str(number % 10) for number in range(MAX_WAITING + 3)]
    for digit in pressed:
        keys.press(leg, digit)
    running = asyncio.create_task(keys.run())
    await eventually(lambda: len(leg.digits) >= MAX_WAITING)
    running.cancel()
    assert leg.digits == pressed[:MAX_WAITING]
