"""Nothing passes the gate before its turn is committed, and nothing old after a stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection

from telephony import media_stream
from telephony.media_stream import Cleared, Playout
from voice_agent.frames import (
    AgentAudio,
    ClauseVoiced,
    LineOrdered,
    LineReported,
    ReplyCommitted,
    ReplyDropped,
    ReplyOver,
    ReplyResumed,
    ReplyStopped,
    ReplyWritten,
)
from voice_agent.reply import Clause, Reply
from voice_agent.turns.gate import SpeechGate
from voice_agent.turns.playback import BYTES_PER_MS


class GateBench:
    """A gate whose output is kept; it is driven directly, in order."""

    def __init__(self, gate: SpeechGate) -> None:
        self.gate = gate
        self.down: list[Frame] = []
        self.up: list[Frame] = []

        async def keep(frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
            (self.down if direction is FrameDirection.DOWNSTREAM else self.up).append(frame)

        gate.push_frame = keep  # type: ignore[method-assign]

    async def feed(self, *frames: Frame) -> None:
        for frame in frames:
            await self.gate.process_frame(frame, FrameDirection.DOWNSTREAM)

    async def playout(self, played_ms: int, buffered_ms: int = 0) -> None:
        await self.feed(LineReported(Playout(played_ms, buffered_ms, 0)))

    async def cleared(self, played_ms: int) -> None:
        await self.feed(LineReported(Cleared(played_ms, 0, 0)))

    @property
    def audio_ms(self) -> int:
        return sum(len(f.audio) for f in self.down if isinstance(f, AgentAudio)) // BYTES_PER_MS

    @property
    def clears(self) -> int:
        ordered = [f.message for f in self.down if isinstance(f, LineOrdered)]
        return sum(isinstance(message, media_stream.Clear) for message in ordered)

    @property
    def over(self) -> list[tuple[int, str, str]]:
        replies = [frame.reply for frame in self.up if isinstance(frame, ReplyOver)]
        return [(reply.reply_id, reply.end_reason, reply.heard) for reply in replies]


@pytest.fixture
def bench() -> GateBench:
    return GateBench(SpeechGate())


def reply_of(reply_id: int, *clauses: tuple[str, int]) -> tuple[Reply, list[Frame]]:
    reply = Reply(reply_id, f"turn-{reply_id}", "question")
    reply.clauses = [
        Clause(text, audio=bytes(ms * BYTES_PER_MS), complete=True) for text, ms in clauses
    ]
    frames: list[Frame] = [ClauseVoiced(reply, clause) for clause in reply.clauses]
    reply.written = True
    return reply, [*frames, ReplyWritten(reply)]


async def test_audio_waits_for_the_commit(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two.", 1000))
    await bench.feed(*frames)
    assert bench.audio_ms == 0
    await bench.feed(ReplyCommitted(reply))
    assert bench.audio_ms == 1000


async def test_a_reply_is_over_when_all_of_it_was_played(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two.", 1000))
    await bench.feed(ReplyCommitted(reply), *frames)
    await bench.playout(500, 500)
    assert bench.over == []
    await bench.playout(1000)
    assert bench.over == [(1, "completed", "One two.")]


async def test_a_dropped_speculation_never_leaves(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two.", 1000))
    await bench.feed(*frames)
    reply.dropped = True
    await bench.feed(ReplyDropped(reply), ReplyCommitted(reply))
    assert bench.audio_ms == 0
    assert bench.over == [(1, "dropped", "")]


async def test_a_stop_clears_at_once_and_the_record_holds_what_was_heard(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two three four five six.", 3000))
    await bench.feed(ReplyCommitted(reply), *frames, ReplyStopped(reply))
    assert bench.clears == 1
    await bench.cleared(1500)
    reply.dropped = True
    await bench.feed(ReplyDropped(reply))
    ((_, reason, heard),) = bench.over
    assert reason == "interrupted"
    assert heard.startswith("One two")
    assert not heard.endswith("six.")


async def test_a_false_interruption_goes_on_from_the_word_it_stopped_at(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two three four five six.", 3000))
    await bench.feed(ReplyCommitted(reply), *frames, ReplyStopped(reply))
    await bench.cleared(1500)
    assert bench.audio_ms == 3000
    await bench.feed(ReplyResumed(reply))
    again_ms = bench.audio_ms - 3000
    assert 1500 <= again_ms <= 2200
    await bench.playout(1500 + again_ms)
    assert bench.over == [(1, "completed", "One two three four five six.")]


async def test_resuming_before_the_gateway_has_cleared_waits_for_it(bench: GateBench) -> None:
    reply, frames = reply_of(1, ("One two three four.", 2000))
    await bench.feed(ReplyCommitted(reply), *frames, ReplyStopped(reply), ReplyResumed(reply))
    assert bench.audio_ms == 2000
    await bench.cleared(1000)
    assert bench.audio_ms > 2000


async def test_the_next_reply_waits_until_the_interrupted_one_is_cleared(bench: GateBench) -> None:
    first, first_frames = reply_of(1, ("One two three four.", 2000))
    second, second_frames = reply_of(2, ("Five six.", 700))
    await bench.feed(ReplyCommitted(first), *first_frames, *second_frames)
    first.dropped = True
    await bench.feed(ReplyDropped(first), ReplyCommitted(second))
    assert bench.audio_ms == 2000
    await bench.cleared(400)
    assert bench.audio_ms == 2700
    await bench.playout(1100)
    assert [(reply_id, reason) for reply_id, reason, _ in bench.over] == [
        (1, "interrupted"),
        (2, "completed"),
    ]


async def test_a_waiting_reply_may_be_dropped_too(bench: GateBench) -> None:
    first, first_frames = reply_of(1, ("One two three four.", 2000))
    second, second_frames = reply_of(2, ("Five six.", 700))
    await bench.feed(ReplyCommitted(first), *first_frames, *second_frames)
    for reply in (first, second):
        reply.dropped = True
    await bench.feed(ReplyDropped(first), ReplyCommitted(second), ReplyDropped(second))
    await bench.cleared(400)
    assert bench.audio_ms == 2000
    assert {reply_id for reply_id, _, _ in bench.over} == {1, 2}


async def test_a_reply_without_sound_ends_too(bench: GateBench) -> None:
    reply = Reply(1, "turn", "question", failure="synthesiser_unreachable")
    reply.clauses = [Clause("Sorry.", complete=True)]
    reply.written = True
    await bench.feed(ReplyCommitted(reply), ReplyWritten(reply))
    assert bench.over == [(1, "failed", "")]


@pytest.fixture(autouse=True)
def _no_pipecat_observers(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None] | None:
    """``process_frame`` of the base class only does bookkeeping for a running pipeline."""
    from pipecat.processors.frame_processor import FrameProcessor

    async def process_frame(self: Any, frame: Frame, direction: FrameDirection) -> None:
        return None

    keep: Callable[..., Any] = process_frame
    monkeypatch.setattr(FrameProcessor, "process_frame", keep)
    return None
