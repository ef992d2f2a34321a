"""Whole calls over every road: what the caller hears, and what the record says about it."""

from __future__ import annotations

import pytest

from telephony.media_stream import Transfer
from tests.voice_agent.answering.small_roads import SMALL_ROADS, small_chooser
from tests.voice_agent.call_bench import Bench
from tests.voice_agent.fakes import FakeEars, FakeModel
from voice_agent.answering import phrases
from voice_agent.answering.calibration import Calibration
from voice_agent.config import Settings
from voice_agent.reply import Road

WITHOUT_PEOPLE = Settings.model_validate({"handoff": {"enabled": False}})


def _bench(*said: str, settings: Settings | None = None) -> Bench:
    return Bench(
        ears=FakeEars(*said),
        roads=small_chooser(deadline_ms=30_000),
        settings=settings or Settings(),
    )


@pytest.mark.parametrize(
    ("said", "heard", "road"),
    [
        ("I think I smell gas", SMALL_ROADS.roads[Road.VERIFIED][0].says, Road.VERIFIED),
        ("Small robot or machine", "I am.", Road.SMALL_TALK),
        ("I have a problem question", "What is it about?", Road.CLARIFY),
        ("Football and weather", "I can't help with that.", Road.OUT_OF_SCOPE),
        ("How much is delivery?", "Standard delivery costs $4.95.", Road.ANSWER),
    ],
)
async def test_each_road_is_heard_and_recorded(said: str, heard: str, road: Road) -> None:
    bench = _bench(said)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(heard)
        await gateway.until(lambda: len(bench.records.turns) == 2)
    turn = bench.records.turns[1]
    assert turn.road == road.value
    assert 0.85 <= turn.confidence <= 1
    assert turn.runner_up
    assert turn.choice["because"] == "examples"
    assert bool(bench.model.asked) is (road is Road.ANSWER)


async def test_an_action_is_answered_from_documents_when_nothing_may_be_done() -> None:
    bench = _bench("Please start a refund")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.records.turns[1].road == "action"
    assert bench.records.turns[1].outcome != "action"


@pytest.mark.parametrize(
    ("said", "why"),
    [("This is terrible and awful", "are upset"), ("You hear from my lawyer", "legal matter")],
)
async def test_a_person_is_told_why_the_caller_comes(said: str, why: str) -> None:
    bench = _bench(said)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        assert why in gateway.got(Transfer)[0].reason


async def test_a_caller_who_stays_unclear_is_offered_a_person_and_gets_one() -> None:
    bench = _bench("I have a problem question", "Well, a problem question", "Yes please")
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("What is it about?")
        await gateway.until(lambda: len(bench.records.turns) == 2)
        bench.ears.next()
        await gateway.speak()
        await gateway.until_said(phrases.UNSURE)
        await gateway.until(lambda: len(bench.records.turns) == 3)
        assert not gateway.got(Transfer)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))


async def test_a_question_answered_in_between_gives_another_chance() -> None:
    bench = _bench("I have a problem question", "How much is delivery?", "a problem question")
    async with bench.greeted() as gateway:
        for turns, heard in (
            (2, "What is it about?"),
            (3, "Standard delivery costs $4.95."),
            (4, "What is it about?"),
        ):
            await gateway.speak()
            await gateway.until_said(heard)
            await gateway.until(lambda turns=turns: len(bench.records.turns) == turns)  # type: ignore[misc]
            bench.ears.next()
    assert [turn.road for turn in bench.records.turns[1:]] == ["clarify", "answer", "clarify"]


async def test_below_the_threshold_nothing_is_answered() -> None:
    unsure = small_chooser(
        calibration=Calibration(sharpness=0.001), deadline_ms=30_000, out_of_scope=1
    )
    bench = Bench(ears=FakeEars("How much is delivery?"), roads=unsure)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.CLARIFY)
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.model.asked == []
    assert bench.records.turns[1].choice["because"] == "doubt"


async def test_without_people_nobody_is_promised_one() -> None:
    bench = _bench("This is terrible and awful", settings=WITHOUT_PEOPLE)
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(phrases.TRANSFER_FAILED)
        assert not gateway.got(Transfer)


async def test_four_languages_in_one_call_are_each_met_and_english_goes_on() -> None:
    said = (
        ("Wo ist denn meine Bestellung geblieben?", "de"),
        ("¿Dónde está mi pedido de la semana pasada?", "es"),
        ("Où est donc ma commande de lundi ?", "fr"),
    )
    bench = _bench(*(text for text, _ in said), "How much is delivery?")
    async with bench.greeted() as gateway:
        for number, (_, language) in enumerate(said):
            bench.ears.language = language
            await gateway.speak()
            await gateway.until(lambda number=number: len(bench.records.turns) == number + 2)  # type: ignore[misc]
            bench.ears.next()
        bench.ears.language = "en"
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
    spoken = [turn.answer for turn in bench.records.turns[1:4]]
    assert spoken == [phrases.OTHER_LANGUAGE] * 3


@pytest.mark.parametrize(
    ("said", "larger"),
    [
        ("How much is delivery?", False),
        ("How much is delivery in total, and what is it if I compare both?", True),
    ],
)
async def test_hard_requests_go_to_the_larger_model(said: str, larger: bool) -> None:
    bench = Bench(ears=FakeEars(said), larger=FakeModel())
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
    assert bench.larger is not None
    assert (bool(bench.larger.asked), bool(bench.model.asked)) == (larger, not larger)
    assert (bench.records.turns[1].model == "larger") is larger
