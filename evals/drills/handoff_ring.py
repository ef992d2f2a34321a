"""From the caller's last word to the person's telephone: the whole product on real lines.

A caller's telephone rings over SIP, waits for the greeting, and asks for a person in a recorded
voice; on the human line stands a telephone that notes when the INVITE comes and is busy. The wait
is from the caller's last voiced sample on the wire to that INVITE, so it holds the end of the turn,
the recogniser, the router and the gateway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from evals.latency.plain_line import PlainLine
from evals.refusing_line import refuse_calls
from evals.rig import LOOPBACK, Rig, rig, speak
from evals.wire_audio import RATE_HZ, Utterance, read_utterance
from evals.wire_call import CallError
from voice_agent.config import Settings

ASKS = (
    "Can I speak to a person, please?",
    "I would like to talk to a human.",
    "Put me through to somebody, please.",
    "Could you connect me with a real person?",
)
PATIENCE_S = 12.0
BUSY = 486


def measure(
    settings: Settings, folder: Path, calls: int, report: Callable[[str], None]
) -> list[float | None]:
    """How long each caller waited until the person's telephone rang, in s; ``None``: it never did.

    Raises:
        ServeError: the product does not start.
    """
    with rig(settings, folder, report) as bench:
        voices = speak(bench, {f"ask-{number}": words for number, words in enumerate(ASKS)})
        asks = [read_utterance(path) for path in voices.values()]
        return asyncio.run(_ring(bench, asks, calls))


async def _ring(bench: Rig, asks: list[Utterance], calls: int) -> list[float | None]:
    rung: list[float] = []
    line, _ = await refuse_calls(
        LOOPBACK, bench.human_port, BUSY, lambda: rung.append(time.monotonic())
    )
    try:
        return [await _one(bench, asks[each % len(asks)], rung) for each in range(calls)]
    finally:
        line.close()


async def _one(bench: Rig, ask: Utterance, rung: list[float]) -> float | None:
    before = len(rung)
    async with PlainLine() as line:
        try:
            call = await line.dial(bench.uri)
            await call.wait_for_sound(-1.0, PATIENCE_S)
            await call.wait_for_quiet(900.0, PATIENCE_S)
            said = await call.say(ask)
        except CallError:
            return None
        _, _, sent = call.axis()
        ended = time.monotonic() - (call.now_s - sent[said[-1]].end / RATE_HZ)
        until = ended + PATIENCE_S
        while len(rung) == before and time.monotonic() < until:  # noqa: ASYNC110 - a socket tells
            await asyncio.sleep(0.01)
        await call.hang_up()
        return rung[before] - ended if len(rung) > before else None
