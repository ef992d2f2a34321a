"""Whole calls in which something is done on the company's systems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from telephony.media_stream import Dtmf, Transfer
from tests.voice_agent.answering.actions.stage import Office, declared, refunds
from tests.voice_agent.call_bench import Bench, FakeGateway
from tests.voice_agent.fakes import FakeEars
from voice_agent.answering.actions import phrases
from voice_agent.answering.actions.systems import CompanySystems
from voice_agent.answering.road_chooser import Asked
from voice_agent.config import ActionsSettings, Settings
from voice_agent.reply import Road, RoadChoice

ORDER = "F H two zero four one nine zero seven."
BIRTH_DATE = "March fourteenth nineteen eighty."


class NamedRoads:
    """Takes every request that names an action for it, and answers the rest."""

    def ruled(self, asked: Asked) -> RoadChoice | None:
        return None

    async def choose(self, asked: Asked) -> RoadChoice:
        for word, action in (("refund", "refund"), ("Where is", "order_status")):
            if word in asked.question:
                return RoadChoice(Road.ACTION, 0.9, name=action)
        return RoadChoice(Road.ANSWER)


@asynccontextmanager
async def call(
    office: Office, folder: Path, *says: str
) -> AsyncIterator[tuple[FakeGateway, Bench]]:
    """A greeted call of an agent that uses ``office``."""
    async with office.open():
        runner = office.runner(folder, declared(timeout_s=1.0))
        settings = Settings.model_validate({"actions": {"enabled": True}})
        bench = Bench(ears=FakeEars(*says), settings=settings, roads=NamedRoads())
        bench.actions = CompanySystems(ActionsSettings(grace_ms=0), runner)
        try:
            async with bench.greeted() as gateway:
                yield gateway, bench
        finally:
            await runner.close()


async def say_until(gateway: FakeGateway, bench: Bench, said: str, *, first: bool = False) -> None:
    if not first:
        bench.ears.next()
    await gateway.speak()
    await gateway.until_said(said)


def _told(gateway: FakeGateway, phrase: str, times: int) -> bool:
    return sum(phrase in said for said in gateway.said()) == times


async def test_an_order_is_looked_up_for_a_caller_who_showed_who_they_are(tmp_path: Path) -> None:
    words = ("Where is my order?", ORDER, BIRTH_DATE)
    async with call(Office(), tmp_path, *words) as (gateway, bench):
        await say_until(gateway, bench, "seven digits", first=True)
        await say_until(gateway, bench, "your date of birth")
        await say_until(gateway, bench, "desk lamp, has been delivered")
    assert bench.model.asked == [], "what is told comes from data"


async def test_a_refund_is_made_once_after_a_yes(tmp_path: Path) -> None:
    office = Office()
    words = ("I want a refund for my order", ORDER, BIRTH_DATE, "Twenty dollars.", "Yes please.")
    async with call(office, tmp_path, *words) as (gateway, bench):
        await say_until(gateway, bench, "seven digits", first=True)
        await say_until(gateway, bench, "your date of birth")
        await say_until(gateway, bench, "How much")
        await say_until(gateway, bench, phrases.SHALL_I)
        assert refunds(office) == []
        await say_until(gateway, bench, "The reference is R1001.")
    assert [each["amount"] for each in refunds(office)] == [20.0]


async def test_a_refund_above_the_limit_goes_to_a_person_who_knows_why(tmp_path: Path) -> None:
    office = Office()
    words = ("I want a refund for my order", ORDER, BIRTH_DATE, "Two hundred and fifty dollars.")
    async with call(office, tmp_path, *words) as (gateway, bench):
        await say_until(gateway, bench, "seven digits", first=True)
        await say_until(gateway, bench, "your date of birth")
        await say_until(gateway, bench, "How much")
        await say_until(gateway, bench, phrases.OVER_LIMIT)
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    (transfer,) = gateway.got(Transfer)
    assert "a refund: order number FH2041907, amount $250.00" in transfer.reason
    assert "checked by birth date" in transfer.reason
    assert refunds(office) == []


async def test_a_pin_is_keyed_in_and_never_recorded(tmp_path: Path) -> None:
    async with call(Office(), tmp_path, "Where is my order?", ORDER) as (gateway, bench):
        await say_until(gateway, bench, "seven digits", first=True)
        await say_until(gateway, bench, "your date of birth")
        for digit in "4821#":
            await gateway.tell(Dtmf(digit))
        await gateway.until_said("desk lamp, has been delivered")
        await gateway.until(lambda: len(bench.records.turns) == 4)
    assert "4821" not in repr(bench.records.turns)
    assert "4 8 2 1" not in repr(bench.records.turns)


async def test_three_wrong_answers_bring_a_person(tmp_path: Path) -> None:
    wrong = "May second nineteen seventy."
    words = ("Where is my order?", ORDER, wrong, wrong, wrong)
    async with call(Office(), tmp_path, *words) as (gateway, bench):
        await say_until(gateway, bench, "seven digits", first=True)
        await say_until(gateway, bench, "your date of birth")
        for told in (1, 2):
            bench.ears.next()
            await gateway.speak()
            await gateway.until(partial(_told, gateway, phrases.WRONG_IDENTITY, told))
            for _ in range(50):  # the caller takes a breath
                await gateway.step()
        await say_until(gateway, bench, phrases.LOCKED)
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    assert "identity was not checked" in gateway.got(Transfer)[0].reason
