"""Whole calls that go to a person: asked for, offered, refused, and back again."""

from __future__ import annotations

import base64

from telephony.media_stream import (
    Dtmf,
    Resume,
    Transfer,
)
from tests.voice_agent.call_bench import Bench
from tests.voice_agent.fakes import (
    FakeEars,
    FakeMouth,
)
from voice_agent.answering import phrases
from voice_agent.config import Settings
from voice_agent.speech.synthesiser import SynthesiserUnreachable


async def test_a_caller_who_asks_for_a_person_is_transferred_with_a_brief() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        (transfer,) = gateway.got(Transfer)
        assert len(base64.b64decode(transfer.announcement)) > 1000
        assert "asked for a person" in transfer.reason
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.speak(2000)
        await gateway.until(lambda: True)
        assert phrases.TRANSFERRING in gateway.said()
    assert len(bench.records.turns) == 2, "what is said to the person is not the agent's"


async def test_a_brief_that_cannot_be_spoken_does_not_keep_the_person_away() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        bench.mouth.fails_except = (phrases.TRANSFERRING,)
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    (transfer,) = gateway.got(Transfer)
    assert transfer.announcement == ""
    assert "asked for a person" in transfer.reason


async def test_when_nobody_answers_the_agent_says_so_and_goes_on() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?", "How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="failed", reason="busy"))
        await gateway.until_said(phrases.TRANSFER_FAILED)
        bench.ears.next()
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")


async def test_a_caller_who_comes_back_from_a_person_is_welcomed() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.tell(Resume("human_hung_up"))
        await gateway.until_said(phrases.TRANSFER_OVER)


async def test_zero_on_the_keypad_asks_for_a_person() -> None:
    bench = Bench()
    async with bench.greeted() as gateway:
        await gateway.tell(Dtmf("0"))
        await gateway.until(lambda: bool(gateway.got(Transfer)))


async def test_zero_is_no_way_to_a_person_where_there_is_none() -> None:
    settings = Settings.model_validate({"handoff": {"enabled": False}})
    bench = Bench(settings=settings)
    async with bench.greeted() as gateway:
        await gateway.tell(Dtmf("0"))
        await gateway.until_said(phrases.TRANSFER_FAILED)
        assert gateway.got(Transfer) == []


async def test_a_question_without_passages_is_declined_and_yes_brings_a_person() -> None:
    bench = Bench(ears=FakeEars("Who won the football match?", "Yes please."))
    bench.library.passages = ()
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.DECLINED)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    assert bench.model.asked == []


async def test_a_mute_synthesiser_hands_the_caller_to_a_person() -> None:
    bench = Bench(mouth=FakeMouth(SynthesiserUnreachable("gone")))
    async with bench.call() as gateway:
        await gateway.until(lambda: bool(gateway.got(Transfer)))
