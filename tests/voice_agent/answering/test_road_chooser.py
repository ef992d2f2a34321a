"""The router's engine: rules, words, examples, doubt, earlier turns, and what it does when late."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.voice_agent.answering.small_roads import SMALL_ROADS, small_chooser
from tests.voice_agent.knowledge.hashed_embedder import HashedEmbedder
from voice_agent.answering import road_chooser
from voice_agent.answering.phrases import DECLINED
from voice_agent.answering.road_chooser import Asked, RoadChooser
from voice_agent.knowledge.remembered import RememberedVectors
from voice_agent.reply import Road

EVEN = 0.001
"""A sharpness at which all roads are about as likely."""


@pytest.mark.parametrize(
    ("text", "road", "name"),
    [
        ("I smell gas", Road.VERIFIED, "gas"),
        ("How much is delivery?", Road.ANSWER, "documents"),
        ("Please start a refund", Road.ACTION, "refund"),
        ("The status of my order please", Road.ACTION, "order_status"),
        ("A robot or a machine?", Road.SMALL_TALK, "robot"),
        ("a problem question", Road.CLARIFY, "problem"),
        ("terrible awful", Road.PERSON, "upset"),
        ("football weather", Road.OUT_OF_SCOPE, "other"),
    ],
)
async def test_a_request_takes_the_road_of_the_examples_it_is_like(
    text: str, road: Road, name: str
) -> None:
    choice = await small_chooser().choose(Asked(text))
    assert (choice.road, choice.name, choice.because) == (road, name, "examples")
    assert 0.8 < choice.confidence <= 1
    assert choice.runner_up not in (None, road)


async def test_words_decide_whatever_is_said_around_them() -> None:
    choice = await small_chooser().choose(Asked("How much is delivery? I'll ask my lawyer."))
    assert (choice.road, choice.name, choice.because) == (Road.PERSON, "legal", "words")
    assert choice.says == "That is for a person."


async def test_rules_decide_without_an_embedding() -> None:
    embedder = HashedEmbedder()
    chooser = small_chooser(embedder)
    embedder.embedded.clear()
    assert (await chooser.choose(Asked("Goodbye."))).road is Road.GOODBYE
    assert (await chooser.choose(Asked("Yes please", last_heard=DECLINED))).road is Road.PERSON
    assert embedder.embedded == []


async def test_doubt_asks_once_and_then_offers_a_person() -> None:
    chooser = small_chooser(calibration=road_chooser.Calibration(sharpness=EVEN), out_of_scope=1)
    first = await chooser.choose(Asked("How much is delivery?"))
    assert (first.road, first.because, first.says) == (Road.CLARIFY, "doubt", "")
    assert first.runner_up is not None
    assert first.confidence < 0.3
    second = await chooser.choose(Asked("How much is delivery?", clarified=True))
    assert (second.road, second.because) == (Road.PERSON, "doubt")


async def test_an_unclear_request_is_not_asked_about_twice() -> None:
    choice = await small_chooser().choose(Asked("a problem question", clarified=True))
    assert (choice.road, choice.because) == (Road.PERSON, "doubt")


async def test_a_request_that_refers_back_is_read_with_what_it_refers_to() -> None:
    history = (("How much is delivery of sofas?", "Fifty dollars."),)
    chooser = small_chooser()
    assert (await chooser.choose(Asked("And that?", history))).road is Road.ANSWER
    assert (await chooser.choose(Asked("And that?"))).road is not Road.ANSWER


async def test_a_new_subject_is_not_read_with_the_old_one() -> None:
    history = (("How much is delivery?", "Fifty dollars."),)
    choice = await small_chooser().choose(Asked("Any football or weather news?", history))
    assert choice.road is Road.OUT_OF_SCOPE


@pytest.mark.parametrize("text", ["", "?", "\x00", "delivery " * 3000, "🛋️", "Ünïcödé ﷽ text"])
async def test_no_words_make_it_fail(text: str) -> None:
    assert 0 <= (await small_chooser().choose(Asked(text))).confidence <= 1


async def test_what_takes_too_long_is_answered_from_the_documents() -> None:
    blocked = threading.Event()
    embedder = HashedEmbedder()
    chooser = small_chooser(embedder, deadline_ms=1)
    embedder._before_embed = lambda: blocked.wait(30) and None
    choice = await chooser.choose(Asked("How much is delivery?"))
    blocked.set()
    assert (choice.road, choice.because, choice.confidence) == (Road.ANSWER, "late", 0.0)
    chooser.close()


async def test_what_takes_too_long_but_is_an_example_word_for_word_takes_its_road() -> None:
    blocked = threading.Event()
    embedder = HashedEmbedder()
    chooser = small_chooser(embedder, deadline_ms=1)
    embedder._before_embed = lambda: blocked.wait(30) and None
    choice = await chooser.choose(Asked("Track order status!"))
    blocked.set()
    assert (choice.road, choice.name, choice.because) == (Road.ACTION, "order_status", "late")
    chooser.close()


async def test_an_embedder_that_breaks_does_not_break_the_call() -> None:
    embedder = HashedEmbedder()
    chooser = small_chooser(embedder, deadline_ms=30_000)

    def fail() -> None:
        raise RuntimeError("broken")

    embedder._before_embed = fail
    choice = await chooser.choose(Asked("How much is delivery?"))
    assert (choice.road, choice.because) == (Road.ANSWER, "late")


async def test_more_requests_than_can_wait_are_not_kept_waiting() -> None:
    blocked = threading.Event()
    embedder = HashedEmbedder()
    chooser = small_chooser(embedder, deadline_ms=30_000)
    embedder._before_embed = lambda: blocked.wait(30) and None
    waiting = [
        asyncio.create_task(chooser.choose(Asked("How much is delivery?")))
        for _ in range(road_chooser.MAX_WAITING)
    ]
    await asyncio.sleep(0)
    assert (await chooser.choose(Asked("How much is delivery?"))).because == "late"
    blocked.set()
    assert {(await each).because for each in waiting} == {"examples"}


async def test_deciding_leaves_the_embedding_for_retrieval() -> None:
    embedder = HashedEmbedder()
    shared = RememberedVectors(embedder)
    chooser = RoadChooser(
        road_chooser.RoadSettings(),
        SMALL_ROADS,
        road_chooser.Calibration(),
        shared,
    )
    await chooser.choose(Asked("What does the sofa delivery cost?"))
    embedder.embedded.clear()
    shared.embed(["What does the sofa delivery cost?"])
    assert embedder.embedded == []
