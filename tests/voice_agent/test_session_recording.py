"""Whole calls whose gateway speaks first, that say what the agent is, and that may be recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from telephony.media_stream import Consent, Disclosed, Dtmf, Opening, Pause
from tests.voice_agent.call_bench import GREETING, Bench, FakeGateway
from tests.voice_agent.fakes import FakeEars
from voice_agent.answering import phrases
from voice_agent.safety.policy import default_policy

POLICY = default_policy()
DISCLOSED = f"{POLICY.disclosure} {GREETING}"


@asynccontextmanager
async def asked(bench: Bench, *, disclose: bool = False) -> AsyncIterator[FakeGateway]:
    """A call in which the gateway's question has just been heard."""
    async with bench.call(opening=True, disclose=disclose) as gateway:
        await gateway.speak()  # over the question, or its echo
        await gateway.tell(Opening("asked"))
        for _ in range(20):
            await gateway.step()
        assert gateway.said() == []
        yield gateway


async def test_the_first_words_say_that_it_is_a_machine_where_the_law_wants_that() -> None:
    async with Bench().call(disclose=True) as gateway:
        await gateway.until_said(DISCLOSED)


async def test_an_agent_that_takes_over_from_another_does_not_say_it_again() -> None:
    async with Bench().call(resumed=True) as gateway:
        await gateway.until_said(phrases.BACK_AGAIN)
        assert POLICY.disclosure not in " ".join(gateway.said())


async def test_an_agent_that_takes_over_before_the_disclosure_was_heard_says_it() -> None:
    async with Bench().call(resumed=True, disclose=True) as gateway:
        await gateway.until_said(f"{POLICY.disclosure} {phrases.BACK_AGAIN}")
        assert not gateway.got(Disclosed)
        await gateway.until(lambda: bool(gateway.got(Disclosed)))


async def test_who_talks_over_the_disclosure_hears_it_after_the_answer() -> None:
    bench = Bench(ears=FakeEars("How much is standard delivery?"))
    async with bench.call(disclose=True) as gateway:
        await gateway.until(lambda: bool(gateway.buffered))
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: gateway.said()[-1] == POLICY.disclosure)


async def test_the_agent_greets_when_the_notice_is_over_and_hears_nothing_before() -> None:
    async with Bench(ears=FakeEars("Hello?")).call(opening=True) as gateway:
        await gateway.speak()
        for _ in range(600):  # longer than a silent caller is left alone
            await gateway.step()
        assert gateway.said() == []
        await gateway.tell(Opening("over", "notice_heard", recorded=True))
        await gateway.until_said(GREETING)
        assert gateway.said() == [GREETING]
        assert not gateway.got(Consent)


@pytest.mark.parametrize(
    ("said", "answer", "reply"),
    [
        ("Yes, that's fine.", "yes", phrases.THANK_YOU),
        ("No, thank you.", "no", POLICY.not_recorded),
        ("Please don't record me", "no", POLICY.not_recorded),
        ("What does delivery cost?", "unclear", POLICY.not_recorded),
        ("Yes but why", "unclear", POLICY.not_recorded),
    ],
)
async def test_what_is_answered_to_the_question_is_told_and_the_greeting_follows(
    said: str, answer: str, reply: str
) -> None:
    bench = Bench(ears=FakeEars(said))
    async with asked(bench, disclose=True) as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Consent)))
        assert gateway.got(Consent) == [Consent(answer)]  # type: ignore[arg-type]
        await gateway.tell(Opening("over", "agreed_by_word", recorded=answer == "yes"))
        await gateway.until_said(f"{reply} {DISCLOSED}")
        assert len(gateway.said()) == 1
    assert bench.model.asked == []


@pytest.mark.parametrize("said", ["Yes, that's fine.", "No, thank you."])
async def test_what_is_answered_to_the_question_is_no_request(said: str) -> None:
    ears = FakeEars(said, "Can I speak to a person?")
    bench = Bench(ears=ears)
    async with asked(bench) as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Consent)))
        await gateway.tell(Opening("over", "agreed_by_word", recorded=True))
        await gateway.until(lambda: bool(bench.records.turns))
        ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(bench.records.handoffs))
    consent = bench.records.turns[0]
    assert (consent.heard, consent.road, consent.confidence) == (said, "consent", None)
    story = bench.records.handoffs[0].brief
    assert story["tried"] == ()
    assert said not in str(story)
    assert "have not said yet" in story["spoken"]


@pytest.mark.parametrize(
    ("permission", "recorded", "first"),
    [
        ("agreed_by_key", True, phrases.THANK_YOU),
        ("refused", False, POLICY.not_recorded),
        ("unanswered", False, POLICY.not_recorded),
    ],
)
async def test_without_a_word_the_greeting_says_what_became_of_it(
    permission: str, recorded: bool, first: str
) -> None:
    async with asked(Bench()) as gateway:
        await gateway.tell(Opening("over", permission, recorded=recorded))
        await gateway.until_said(f"{first} {GREETING}")


async def test_a_caller_may_ask_whether_and_may_stop_it() -> None:
    ears = FakeEars("Is this call being recorded?", "Please stop recording")
    bench = Bench(ears=ears)
    async with bench.call(recorded=True) as gateway:
        await gateway.until_said(GREETING)
        await gateway.speak()
        await gateway.until_said(POLICY.recorded)
        assert not gateway.got(Consent)
        ears.next()
        await gateway.speak()
        await gateway.until_said(POLICY.recording_stopped)
        assert gateway.got(Consent) == [Consent("no")]
    assert bench.model.asked == []


async def test_a_call_that_is_not_recorded_is_not_said_to_be() -> None:
    async with Bench(ears=FakeEars("Are you recording me?")).greeted() as gateway:
        await gateway.speak()
        await gateway.until_said(POLICY.not_recorded)


async def test_payment_data_pause_the_recording_until_the_talk_is_of_something_else() -> None:
    ears = FakeEars("My card number is 4111 1111 1111 1111", "How much is standard delivery?")
    bench = Bench(ears=ears)
    async with bench.greeted() as gateway:
        await gateway.speak(2_000)
        await gateway.until(lambda: bool(gateway.got(Pause)))
        pause = gateway.got(Pause)[0]
        assert pause.on
        assert pause.back_ms > 1_000
        await gateway.until(lambda: len(bench.records.turns) == 2)
        ears.next()
        await gateway.speak()
        await gateway.until(lambda: not gateway.got(Pause)[-1].on)
        assert gateway.got(Pause)[-1] == Pause(on=False)
    assert "4111" not in repr(bench.records.turns)


async def test_an_agent_that_comes_in_a_pause_goes_on_with_it_and_ends_it() -> None:
    ears = FakeEars("1111 1111 1111", "How much is standard delivery?")
    async with Bench(ears=ears).call(resumed=True, paused=True) as gateway:
        await gateway.until_said(phrases.BACK_AGAIN)
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Pause)))
        assert all(pause.on for pause in gateway.got(Pause))
        ears.next()
        await gateway.speak()
        await gateway.until(lambda: not gateway.got(Pause)[-1].on)


async def test_every_further_word_of_payment_data_asks_for_the_pause_again() -> None:
    ears = FakeEars("My card number is 4111 1111 1111 1111", "The security code is 123")
    bench = Bench(ears=ears)
    async with bench.greeted() as gateway:
        await gateway.speak(2_000)
        await gateway.until(lambda: len(bench.records.turns) == 2)
        before = len(gateway.got(Pause))
        ears.next()
        await gateway.speak()
        await gateway.until(lambda: len(gateway.got(Pause)) > before)
        assert all(pause.on for pause in gateway.got(Pause))


async def test_the_agents_own_words_about_a_card_pause_it_as_well() -> None:
    async with Bench().greeted() as gateway:
        for digit in "4111111111111111#":
            await gateway.tell(Dtmf(digit))
        await gateway.until_said(POLICY.card_keyed)
        await gateway.until(lambda: bool(gateway.got(Pause)))
        assert gateway.got(Pause)[0].on
