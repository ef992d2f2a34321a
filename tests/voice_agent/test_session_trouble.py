"""Whole calls in which an engine fails, is late, or does not understand: what the caller hears."""

from __future__ import annotations

import pytest

from telephony.media_stream import (
    Transfer,
)
from tests.voice_agent.call_bench import Bench
from tests.voice_agent.fakes import (
    FakeEars,
    FakeLibrary,
)
from tests.voice_agent.passages import passage
from voice_agent.answering import phrases
from voice_agent.answering.language_model_errors import Unreachable
from voice_agent.answering.pace import MEASURE_AFTER
from voice_agent.speech.fillers import FILLERS
from voice_agent.speech.transcriber import TranscriberError


async def test_without_a_language_model_the_passage_itself_is_the_answer() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.model.error = Unreachable("gone")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.records.turns[1].sources == ("doc-p1",)


async def test_a_model_that_is_late_is_stopped_and_the_passage_is_the_answer() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    bench.model.late = True
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
    assert bench.model.cancelled == 1


async def test_a_model_known_to_be_slow_is_measured_without_a_caller_waiting_for_it() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    bench.pace.note(30.0)
    for _ in range(MEASURE_AFTER - 1):
        bench.pace.note_not_asked()
    async with bench.greeted() as gateway:
        bench.model.late = True
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        assert bench.pace.hopeless(1.0)
        bench.model.release.set()
        await gateway.until(lambda: not bench.pace.hopeless(29.0))
    assert len(bench.model.asked) == 1


async def test_a_late_answer_is_preceded_by_a_filler_that_is_no_part_of_it() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    patient = bench.settings.answering.model_copy(update={"quote_after_ms": 60_000})
    bench.settings = bench.settings.model_copy(update={"answering": patient})
    async with bench.greeted() as gateway:
        bench.model.late = True
        await gateway.speak()
        await gateway.until(lambda: any(FILLERS[0] in said for said in gateway.said()))
        bench.model.release.set()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    (turn,) = (turn for turn in bench.records.turns if turn.heard)
    assert turn.filler == FILLERS[0]
    assert turn.answer == "Standard delivery costs $4.95."


async def test_an_answer_that_breaks_off_is_excused_then_a_person_is_rung() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.model.answer = "Standard delivery costs $4.95, and it takes a few days."
    bench.model.error, bench.model.error_after = Unreachable("gone"), 6
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE_TRANSFER)
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        assert "technical" in gateway.got(Transfer)[0].reason


async def test_a_broken_index_is_excused() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    bench.knowledge.error = RuntimeError("disk")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)


async def test_a_synthesiser_lost_in_mid_answer_is_excused_with_what_is_kept() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        bench.mouth.fails_except = (phrases.TROUBLE,)
        await gateway.speak()
        await gateway.until_said(phrases.TROUBLE)


async def test_a_deaf_transcriber_is_excused() -> None:
    bench = Bench(ears=FakeEars(TranscriberError("broken")))
    async with bench.greeted() as gateway:
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD)


async def test_noise_without_words_is_asked_about_then_a_person_is_offered() -> None:
    bench = Bench(ears=FakeEars(""))
    async with bench.greeted() as gateway:
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.speak(1500)
        await gateway.until_said(phrases.NOT_UNDERSTOOD_TWICE)


async def test_nonsense_is_not_sent_to_the_model() -> None:
    bench = Bench(ears=FakeEars("xqzt wvbn kkrt " * 14))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.NOT_UNDERSTOOD)
    assert bench.model.asked == []


async def test_another_language_is_answered_with_the_offer_of_a_person() -> None:
    bench = Bench(ears=FakeEars("Wo ist denn meine Bestellung geblieben?", language="de"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.OTHER_LANGUAGE)


async def test_a_model_that_declines_is_put_into_our_words() -> None:
    bench = Bench(ears=FakeEars("How much is delivery to the moon?"))
    bench.model.answer = "I don't have that information."
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.DECLINED)


async def test_a_code_that_no_passage_has_is_asked_for_again_and_a_person_offered() -> None:
    about_another = passage("p1", "Error E24 means that the drain is blocked.")
    bench = Bench(ears=FakeEars("What does error E8 mean?"), knowledge=FakeLibrary(about_another))
    bench.model.answer = about_another.text
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.CODE_UNKNOWN)


@pytest.mark.parametrize("invented", ["Standard delivery costs $9.95.", "Yes, it is free."])
async def test_what_no_passage_supports_is_not_said(invented: str) -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    bench.model.answer = invented
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert "9.95" not in bench.records.turns[1].spoken
    assert "free" not in bench.records.turns[1].spoken
