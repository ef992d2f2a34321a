"""A write is confirmed, and done once: whatever the service does, whoever interrupts or dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evals.back_office.service import OfficeTrouble
from tests.voice_agent.answering.actions.stage import Caller, Office, declared, refunds
from voice_agent.answering.actions import phrases
from voice_agent.answering.actions.runner import Runner
from voice_agent.reply import AfterReply


async def test_a_refund_is_read_back_confirmed_done_and_told_from_data(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        read_back = await caller.asks_refund()
        assert "I'll refund $20.00 for order FH2041907" in read_back
        assert refunds(office) == []
        told = await caller.says("Yes.")
        assert "$20.00 will be refunded. The reference is R1001." in told
        assert [each["amount"] for each in refunds(office)] == [20.0]


@pytest.mark.parametrize("words", ["Yes... no wait.", "No.", "Okay.", "Yes, but thirty dollars."])
async def test_without_a_clear_yes_nothing_is_done(tmp_path: Path, words: str) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        await caller.says(words)
        assert refunds(office) == []


async def test_a_correction_is_read_back_anew(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        assert "I'll refund $30.00" in await caller.says("No, thirty dollars.")
        await caller.says("Yes.")
        assert [each["amount"] for each in refunds(office)] == [30.0]


async def test_a_yes_to_a_read_back_that_was_cut_is_not_enough(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.says("I want a refund", action="refund")
        await caller.says_all("two zero four one nine zero seven", "March 14th 1980")
        turn = caller.begin("twenty dollars")
        turn.commit()
        await turn.cut("I'll refund $20.00")
        assert phrases.ONCE_MORE in await caller.says("Yes.")
        assert refunds(office) == []
        await caller.says("Yes.")
        assert len(refunds(office)) == 1


async def test_a_yes_to_something_else_in_between_is_not_for_the_write(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        other = caller.begin("What are your opening hours on Sundays?")
        assert other.task is None, "another question is answered like any other"
        other.commit()
        await other.end("We are open from ten to four. Anything else?")
        assert phrases.ONCE_MORE in await caller.says("Yes.")
        assert refunds(office) == []


async def test_a_dropped_speculation_does_nothing(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        early = caller.begin("Yes")
        await asyncio.sleep(0.02)
        await early.cut()
        assert phrases.NOT_DONE in await caller.says("Yes no wait")
        assert refunds(office) == []


async def test_words_right_after_the_yes_still_stop_it(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path), grace_s=0.2)
        await caller.asks_refund()
        turn = caller.begin("Yes.")
        turn.commit()
        await asyncio.sleep(0.02)
        await turn.cut("All right")
        assert phrases.NOT_DONE in await caller.says("No wait.")
        await asyncio.sleep(0.25)
        assert refunds(office) == []


async def test_that_order_is_the_one_just_looked_up(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.says("Where is my order?", action="order_status")
        await caller.says_all("two zero four one nine zero seven", "March 14th 1980")
        words = "I want twenty dollars back for that order"
        told = await caller.says(words, action="refund")
        assert "I'll refund $20.00 for order FH2041907" in told


async def asks_to_cancel(caller: Caller, order: str, born: str) -> str:
    """Up to the read-back of a cancellation."""
    await caller.says("I want to cancel my order", action="cancel_order")
    return await caller.says_all(order, born)


async def test_an_order_in_preparation_is_cancelled_once(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        read_back = await asks_to_cancel(
            caller, "Please cancel it, three three zero seven four one five", "July 2nd 1975"
        )
        assert "I'll cancel order FH3307415." in read_back
        assert office.database.effects() == []
        assert "Order FH3307415 is cancelled." in await caller.says("Yes, cancel it.")
        assert len(office.database.effects("cancellation")) == 1


async def test_a_delivered_order_is_not_cancelled(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await asks_to_cancel(caller, "two zero four one nine zero seven", "March 14th 1980")
        assert "It can be returned instead." in await caller.says("Yes.")
        assert office.database.effects() == []


async def test_cancelling_what_is_on_its_way_is_for_a_person(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await asks_to_cancel(caller, "two zero four one eight six three", "March 14th 1980")
        assert phrases.REFUSED in await caller.says("Yes.")
        assert caller.last is not None
        assert caller.last.after is AfterReply.TRANSFER
        assert office.database.effects() == []


async def test_a_cough_only_delays_it(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path), grace_s=0.05)
        await caller.asks_refund()
        turn = caller.begin("Yes.")
        turn.commit()
        caller.desk.halt(turn.reply)
        await asyncio.sleep(0.1)
        assert refunds(office) == []
        caller.desk.go_on(turn.reply)
        await turn.hear_out()
        assert len(refunds(office)) == 1


async def test_an_objection_after_it_was_sent_is_told_how_it_went(tmp_path: Path) -> None:
    async with Office(troubles=[OfficeTrouble.SLOW_AFTER]).open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        turn = caller.begin("Yes.")
        turn.commit()
        await asyncio.sleep(0.1)
        await turn.cut("All right")
        told = await caller.says("No wait, stop.")
        assert phrases.DONE_BEFORE_STOP in told
        assert "$20.00 will be refunded" in told
        assert len(refunds(office)) == 1


async def test_a_result_that_was_not_heard_is_told_next(tmp_path: Path) -> None:
    async with Office().open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        turn = caller.begin("Yes.")
        turn.commit()
        await turn.task  # type: ignore[misc]
        await turn.end("All right, one moment. Done.")
        assert "$20.00 will be refunded" in await caller.says("Hello?")


@pytest.mark.parametrize(
    "trouble",
    [
        OfficeTrouble.FAILS_AFTER,
        OfficeTrouble.DROPS_AFTER,
        OfficeTrouble.DROPS_BEFORE,
        OfficeTrouble.SLOW_AFTER,
        OfficeTrouble.SLOW_BEFORE,
        OfficeTrouble.ANSWERS_TWICE,
        OfficeTrouble.DOWN,
    ],
)
async def test_a_service_that_knows_a_write_by_its_key_is_asked_again(
    tmp_path: Path, trouble: OfficeTrouble
) -> None:
    async with Office(troubles=[trouble]).open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        assert "will be refunded" in await caller.says("Yes.")
        await asyncio.sleep(0.3)
        assert len(refunds(office)) == 1


@pytest.mark.parametrize(
    "trouble", [OfficeTrouble.FAILS_AFTER, OfficeTrouble.DROPS_AFTER, OfficeTrouble.SLOW_AFTER]
)
async def test_one_that_does_not_is_asked_once_and_a_person_looks(
    tmp_path: Path, trouble: OfficeTrouble
) -> None:
    async with Office(troubles=[trouble], honours_keys=False).open() as office:
        runner = office.runner(tmp_path, declared(idempotency="none", timeout_s=0.15))
        caller = Caller(runner)
        await caller.asks_refund()
        assert phrases.UNCERTAIN in await caller.says("Yes.")
        assert office.requests.count("/refunds") == 1
        assert len(refunds(office)) == 1
        await caller.asks_again_for_the_same()
        assert office.requests.count("/refunds") == 1, "nobody knows whether it was done"


async def test_an_error_inside_a_success_is_none(tmp_path: Path) -> None:
    async with Office(troubles=[OfficeTrouble.ERROR_INSIDE] * 2).open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        told = await caller.says("Yes.")
        assert phrases.REFUSED in told
        assert "will be refunded" not in told


async def test_a_result_that_gives_orders_is_not_spoken_and_not_obeyed(tmp_path: Path) -> None:
    async with Office(troubles=[OfficeTrouble.SAYS_SO] * 2).open() as office:
        caller = Caller(office.runner(tmp_path))
        await caller.asks_refund()
        told = await caller.says("Yes.")
        assert "ignore" not in told.lower()
        assert phrases.UNCERTAIN in told
        assert refunds(office) == []


async def test_the_same_write_is_not_done_again_in_another_call(tmp_path: Path) -> None:
    async with Office().open() as office:
        runner = office.runner(tmp_path)
        for call in ("call-1", "call-2"):
            caller = Caller(runner, call)
            await caller.asks_refund()
            told = await caller.says("Yes.")
        assert phrases.ALREADY_DONE in told
        assert len(refunds(office)) == 1


async def test_a_hung_up_call_does_not_stop_what_was_begun(tmp_path: Path) -> None:
    async with Office(troubles=[OfficeTrouble.SLOW_AFTER]).open() as office:
        runner = office.runner(tmp_path)
        caller = Caller(runner)
        await caller.asks_refund()
        turn = caller.begin("Yes.")
        turn.commit()
        await asyncio.sleep(0.05)
        await turn.cut()
        await runner.close()
        (write,) = runner.journal.of_call("call-1")
        assert write.state == "done"
        assert len(refunds(office)) == 1


async def agent_dies_while_it_writes(runner: Runner, caller: Caller) -> None:
    turn = caller.begin("Yes.")
    turn.commit()
    await asyncio.sleep(0.08)
    for task in runner.writing:
        task.cancel()
    await turn.cut()


async def test_an_agent_that_dies_in_the_middle_leaves_it_to_the_next_one(tmp_path: Path) -> None:
    async with Office(troubles=[OfficeTrouble.SLOW_AFTER]).open() as office:
        runner = office.runner(tmp_path)
        runner.lease_margin_s = -1.0  # nobody waits for the dead one
        caller = Caller(runner)
        await caller.asks_refund()
        await agent_dies_while_it_writes(runner, caller)
        assert len(refunds(office)) == 1

        heir = office.runner(tmp_path)
        (outcome,) = await heir.recover()
        assert outcome.state == "done"
        assert len(refunds(office)) == 1
        resumed = Caller(heir)
        await resumed.desk.resume("call-1")
        assert "will be refunded" in await resumed.says("Hello, are you there?")


async def test_a_write_nobody_can_ask_about_is_left_for_a_person_after_a_death(
    tmp_path: Path,
) -> None:
    office = Office(troubles=[OfficeTrouble.SLOW_AFTER], honours_keys=False)
    async with office.open():
        declarations = declared(idempotency="none", timeout_s=0.15)
        runner = office.runner(tmp_path, declarations)
        runner.lease_margin_s = -1.0
        caller = Caller(runner)
        await caller.asks_refund()
        await agent_dies_while_it_writes(runner, caller)
        (outcome,) = await office.runner(tmp_path, declarations).recover()
        assert outcome.state == "unknown"
        assert office.requests.count("/refunds") == 1


async def test_a_write_cut_off_is_not_called_undone_when_its_service_is_gone(
    tmp_path: Path,
) -> None:
    office = Office(troubles=[OfficeTrouble.SLOW_AFTER])
    async with office.open():
        runner = office.runner(tmp_path)
        runner.lease_margin_s = -1.0
        caller = Caller(runner)
        await caller.asks_refund()
        await agent_dies_while_it_writes(runner, caller)
        assert len(refunds(office)) == 1
    (outcome,) = await office.runner(tmp_path).recover()
    assert outcome.state == "unknown"
