"""Whole calls over the media stream with fake engines: what the caller hears, come what may."""

from __future__ import annotations

import asyncio
import time

import pytest

from telephony.media_stream import (
    Clear,
    Note,
    Start,
    Stop,
)
from tests.voice_agent.call_bench import GREETING, Bench, FakeGateway
from tests.voice_agent.fakes import (
    FRAME,
    FakeEars,
    voice,
)
from tests.voice_agent.passages import passage
from voice_agent.answering import phrases
from voice_agent.config import Settings


async def test_the_agent_greets_and_answers_from_the_passages() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    facts = bench.model.asked[0][-1]["content"]
    assert "Standard delivery costs $4.95." in facts
    assert facts.endswith("How much is standard delivery?")
    turn = bench.records.turns[1]
    assert turn.heard == "How much is standard delivery?"
    assert turn.heard_by_caller == "Standard delivery costs $4.95."
    assert turn.end_reason == "completed"
    assert turn.passages[0]["document_id"] == "doc-p1"
    assert {"end_of_turn", "transcribe", "retrieve", "first_token", "first_sentence"} <= set(
        turn.stages_ms
    )


async def test_the_second_question_carries_the_first_turn() -> None:
    bench = Bench(ears=FakeEars("How much is delivery to Hawaii?", "And how long does it take?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 3)
    contents = [message["content"] for message in bench.model.asked[-1]]
    assert "How much is delivery to Hawaii?" in contents
    assert "Standard delivery costs $4.95." in contents
    assert "Hawaii" in bench.knowledge.queries[-1]


async def test_a_long_conversation_is_summarised_not_cut() -> None:
    settings = Settings.model_validate({"answering": {"history_turns": 1}})
    bench = Bench(ears=FakeEars("How much is standard delivery?"), settings=settings)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.until(lambda: len(bench.model.asked) == 2)
        await gateway.speak()
        await gateway.until(lambda: len(bench.records.turns) == 3)
    summary, answer = bench.model.asked[1:3]
    assert GREETING in summary[-1]["content"]
    assert "Earlier in this call: Standard delivery costs $4.95." in answer[0]["content"]
    assert GREETING not in str(answer[1:])


async def test_an_interruption_silences_the_agent_and_the_record_holds_what_was_heard() -> None:
    long = "The sofa is delivered within nine days and the crew calls you before it comes to you."
    bench = Bench(ears=FakeEars("When does my sofa come?", "No, the table."))
    bench.knowledge.passages = (passage("p1", f"{long} The table comes on Monday."),)
    bench.model.answer = long
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3200 and bool(gateway.buffered))
        bench.ears.next()
        bench.model.answer = "The table comes on Monday."
        await gateway.speak(700)
        assert gateway.got(Clear)
        await gateway.until_said("The table comes on Monday.")
        await gateway.until(lambda: len(bench.records.turns) == 3)
    interrupted = bench.records.turns[1]
    assert interrupted.end_reason == "interrupted"
    assert long.startswith(interrupted.heard_by_caller)
    assert interrupted.heard_by_caller != long


async def test_mm_hm_does_not_end_the_agents_sentence() -> None:
    long = "The sofa is delivered within nine days and the crew calls you before it comes to you."
    bench = Bench(ears=FakeEars("When does my sofa come?", "Mm-hm."))
    bench.knowledge.passages = (passage("p1", long),)
    bench.model.answer = long
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3200 and bool(gateway.buffered))
        bench.ears.next()
        await gateway.speak(400)
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.records.turns[1].heard_by_caller == long
    assert bench.records.turns[1].end_reason == "completed"


async def test_goodbye_ends_the_call_after_the_agents_own() -> None:
    bench = Bench(ears=FakeEars("Okay, thank you, goodbye."))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Stop)))
        assert phrases.GOODBYE in gateway.said()


async def test_a_silent_caller_is_asked_twice_and_then_the_call_ends() -> None:
    bench = Bench()
    async with bench.greeted() as gateway:
        await gateway.until(lambda: bool(gateway.got(Stop)), limit_ms=60_000)
        assert gateway.said()[1:] == [
            phrases.STILL_THERE,
            phrases.STILL_THERE_AGAIN,
            phrases.SILENT_GOODBYE,
        ]


async def test_an_agent_that_takes_over_a_call_says_so() -> None:
    bench = Bench()
    async with bench.call(resumed=True) as gateway:
        await gateway.until_said(phrases.BACK_AGAIN)
        assert GREETING not in gateway.said()


async def test_an_agent_that_goes_on_with_a_call_goes_on_with_its_record() -> None:
    bench = Bench()
    before = time.time()
    async with bench.call(resumed=True, elapsed_ms=90_000, turns=4) as gateway:
        await gateway.until_said(phrases.BACK_AGAIN)
        await gateway.until(lambda: bool(bench.records.turns))
        begun = [note.data for note in gateway.got(Note) if note.data.get("state") == "speaking"]
        await gateway.tell(Stop("caller_hung_up"))
        await gateway.until_closed()
    turn = bench.records.turns[0]
    assert (turn.index, begun[0]["index"]) == (5, 5)
    for call in bench.records.calls:
        assert before - 90 <= call.started_at < before
    began_ms = (turn.began_at - bench.records.calls[-1].started_at) * 1000
    assert begun[0]["at_ms"] == pytest.approx(began_ms, abs=100)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ("caller_hung_up", "ended_by_caller"), ("supervisor_ended", "ended_by_supervisor"),
        ("nobody_available", "nobody_available"), ("gateway_stopped", "gateway_stopped"),
        ("failed", "failed"), (None, "agent_gone"),
    ],
)  # fmt: skip
async def test_each_end_of_a_call_has_an_outcome_of_its_own(told: str | None, outcome: str) -> None:
    bench = Bench()
    async with bench.greeted() as gateway:
        if told:
            await gateway.tell(Stop(told))
        else:
            await gateway.socket.close()
        await gateway.until_closed()
    assert bench.records.calls[-1].outcome == outcome


@pytest.mark.parametrize("stage_ms", [0, 300, 1100, 1500, 2500])
async def test_a_caller_who_hangs_up_at_any_stage_leaves_nothing_behind(stage_ms: int) -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.agent() as client:
        socket = await client.ws_connect("/media", max_msg_size=0)
        gateway = FakeGateway(socket)
        listening = asyncio.create_task(gateway.listen())
        await gateway.tell(Start("call-1"))
        sound = voice(stage_ms)
        for begin in range(0, len(sound), FRAME):
            await gateway.step(sound[begin : begin + FRAME])
        await gateway.tell(Stop("caller_hung_up"))
        await listening
        assert gateway.closed.is_set()
        assert [record.ended_at is None for record in bench.records.calls] == [True, False]


async def test_a_turn_that_the_caller_cuts_short_by_hanging_up_is_recorded() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: gateway.played_ms > 3000 and bool(gateway.buffered))
        await gateway.tell(Stop("caller_hung_up"))
        await gateway.until_closed()
    turn = bench.records.turns[-1]
    assert turn.end_reason == "hung_up"
    assert turn.heard == "How much is delivery?"
