"""What a caller takes for the end of an answer, on a telephone whose time is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import numpy as np
import pytest

from evals.playing import Caller
from evals.scenario import Say
from evals.wire_audio import RATE_HZ, Samples, Span, Utterance

GREETING = (0.1, 2.1)
QUESTION_S = 1.0


class ScriptedCall:
    """The agent speaks at these times, in seconds since the call was answered."""

    call_id, answered_at, digits, end_reason = "call", 0.0, "", ""

    def __init__(self, agent: Sequence[tuple[float, float]]) -> None:
        self.agent = agent
        self.ended = asyncio.Event()
        self.now_s = 0.0
        self.said_at: list[float] = []
        self.hung_up_at = 0.0

    async def say(self, utterance: Utterance) -> range:
        self.said_at.append(self.now_s)
        self.now_s += len(utterance.samples) / RATE_HZ
        return range(len(self.said_at) - 1, len(self.said_at))

    async def press(self, digits: str) -> None:
        raise AssertionError(digits)

    async def hold(self, held: bool) -> None:
        raise AssertionError(held)

    async def wait_for_sound(self, after_s: float, timeout_s: float) -> float | None:
        until = self.now_s + timeout_s
        begins = [start for start, _ in self.agent if after_s < start <= until]
        self.now_s = max(self.now_s, min([*begins, until]))
        return min(begins, default=None)

    async def wait_for_quiet(self, quiet_ms: float, timeout_s: float) -> float | None:
        quiet_s = quiet_ms / 1000
        for number, (_, end) in enumerate(self.agent):
            begins = self.agent[number + 1][0] if number + 1 < len(self.agent) else np.inf
            if begins > self.now_s and begins - end >= quiet_s:
                self.now_s = max(self.now_s, end + quiet_s)
                return self.now_s
        raise AssertionError("never quiet")

    async def wait_for_end(self, timeout_s: float) -> None:
        self.now_s += timeout_s

    async def hang_up(self) -> None:
        self.hung_up_at = self.now_s

    def axis(self) -> tuple[Samples, Samples, list[Span]]:
        raise AssertionError("nothing is measured here")


class ScriptedLine:
    def __init__(self, call: ScriptedCall) -> None:
        self.call = call

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def dial(self, uri: str) -> ScriptedCall:
        return self.call


@pytest.mark.parametrize(
    ("answer", "hung_up_at"),
    [
        pytest.param([(4.0, 7.0)], 8.2, id="a sentence"),
        pytest.param([(4.0, 4.8)], 8.4, id="one word"),
        pytest.param([(4.0, 4.8), (7.5, 10.0)], 11.2, id="one moment, then the answer"),
        pytest.param([(4.0, 7.0), (9.0, 12.0)], 8.2, id="a sentence, and too late another"),
    ],
)
def test_a_caller_waits_longer_for_what_a_brief_answer_promises(
    answer: list[tuple[float, float]], hung_up_at: float
) -> None:
    length = round(QUESTION_S * RATE_HZ)
    samples = np.ones(length, dtype=np.int16)
    question = Utterance("question", samples, Span(0, length))
    call = ScriptedCall([GREETING, *answer])
    caller = Caller([Say(question)], lambda _: None)
    report = asyncio.run(caller.converse("sip:nobody@nowhere", ScriptedLine(call)))
    assert not report.error
    assert call.hung_up_at == pytest.approx(hung_up_at)
    assert call.said_at == [pytest.approx(GREETING[1] + 1.2)]
