"""Whole calls that go to a person: asked for, offered, refused, and back again."""

from __future__ import annotations

import base64
from pathlib import Path

from telephony.media_stream import (
    Announcement,
    CallBack,
    Dtmf,
    Resume,
    Stop,
    Transfer,
    Withdraw,
)
from tests.voice_agent.call_bench import Bench
from tests.voice_agent.fakes import (
    FakeEars,
    FakeMouth,
)
from voice_agent.answering import phrases
from voice_agent.config import Settings
from voice_agent.handoff import phrases as people
from voice_agent.handoff.voicemail import messages
from voice_agent.reply import Road, RoadChoice
from voice_agent.speech.synthesiser import SynthesiserUnreachable


async def test_a_caller_who_asks_for_a_person_is_transferred_with_a_brief() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        (transfer,) = gateway.got(Transfer)
        assert not gateway.played_ms or not any(
            turn.heard == "Can I speak to a person?" for turn in bench.records.turns
        ), "it rings while the sentence that says so is still being said"
        assert "asked for a person" in transfer.reason
        assert (transfer.cause, transfer.announced_later) == ("asked", True)
        assert transfer.link.endswith("/call-1")
        await gateway.until(lambda: bool(gateway.got(Announcement)))
        (announcement,) = gateway.got(Announcement)
        assert len(base64.b64decode(announcement.audio)) > 1000
        await gateway.tell(Transfer(state="ringing"))
        await gateway.until_said(phrases.TRANSFERRING)
        await gateway.tell(Transfer(state="bridged"))
        await gateway.speak(2000)
        await gateway.until(lambda: True)
        assert phrases.TRANSFERRING in gateway.said()
    assert len(bench.records.turns) == 2, "what is said to the person is not the agent's"


async def test_a_caller_who_hangs_up_on_the_person_was_handed_over() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.tell(Stop("caller_hung_up"))
        await gateway.until(lambda: bool(bench.records.calls) and bench.records.calls[-1].outcome)
    assert bench.records.calls[-1].outcome == "handed_over"


async def test_a_caller_whose_own_line_transferred_them_was_handed_over() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="transferred"))
        await gateway.tell(Stop("transferred"))
        await gateway.until(lambda: bool(bench.records.calls) and bench.records.calls[-1].outcome)
    assert bench.records.calls[-1].outcome == "handed_over"
    assert bench.records.handoffs[-1].outcome == "transferred"
    assert bench.records.handoffs[-1].state == "transferred"


async def test_a_brief_that_cannot_be_spoken_does_not_keep_the_person_away() -> None:
    bench = Bench(ears=FakeEars("Can I speak to a person?"))
    async with bench.greeted() as gateway:
        bench.mouth.fails_except = (phrases.TRANSFERRING,)
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Announcement)))
    (transfer,) = gateway.got(Transfer)
    assert gateway.got(Announcement) == [Announcement("")]
    assert "asked for a person" in transfer.reason


async def test_when_nobody_answers_the_agent_says_so_and_goes_on() -> None:
    settings = Settings.model_validate({"handoff": {"messages": False}})
    ears = FakeEars("Can I speak to a person?", "How much is delivery?")
    bench = Bench(ears=ears, settings=settings)
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
    bench.knowledge.passages = ()
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


# --- what can be had instead of a person ---------------------------------------------------------


def company(folder: Path) -> Settings:
    """One that rings callers back, and takes messages."""
    return Settings.model_validate(
        {
            "gateway": {"human": {"call_backs": {"address": "sip:{number}@trunk.example"}}},
            "handoff": {"voicemail": str(folder)},
        }
    )


ASKED = "Can I speak to a person?"


async def test_a_caller_is_told_their_place_and_can_be_called_back_instead(tmp_path: Path) -> None:
    ears = FakeEars(ASKED, "Can you call me back?", "Oh seven four two one two three four.", "Yes.")
    bench = Bench(ears=ears, settings=company(tmp_path))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        waiting = Transfer(state="waiting", position=2, wait_s=170.0, offers=("call_back",))
        await gateway.tell(waiting)
        await gateway.until_said("You are number two in the queue. It will take about 3 minutes.")
        await gateway.until_said(people.CALL_BACK_ANY_TIME)
        for asked in (people.SHALL_WE_CALL, "0 7 4, 2 1 2, 3 4, is that right?"):
            bench.ears.next()
            await gateway.speak()
            await gateway.until_said(asked)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(CallBack)))
        (kept,) = gateway.got(CallBack)
        assert (kept.number, kept.cause) == ("07421234", "asked")
        assert not any("we will call you" in said for said in gateway.said()), "not kept yet"
        await gateway.tell(CallBack(number=kept.number, state="kept"))
        await gateway.until_said("we will call you back at 0 7 4, 2 1 2, 3 4")
    assert bench.records.handoffs[-1].outcome == "call_back"


async def test_a_caller_may_leave_a_message_which_is_kept_as_it_is_spoken(tmp_path: Path) -> None:
    bench = Bench(
        ears=FakeEars(ASKED, "Yes please.", "My sofa is broken."), settings=company(tmp_path)
    )
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="failed", reason="closed"))
        await gateway.until_said(f"{people.CLOSED} {people.LEAVE_MESSAGE}")
        bench.ears.next()
        await gateway.speak()
        await gateway.until_said(people.SPEAK_NOW)
        await gateway.until(lambda: any(tmp_path.glob("*.wav")))
        bench.ears.next()
        await gateway.speak(2000)
        await gateway.tell(Dtmf("#"))
        await gateway.until_said(people.MESSAGE_KEPT)
        await gateway.until(lambda: bool(messages(tmp_path)) and bool(messages(tmp_path)[0].words))
    (message,) = messages(tmp_path)
    assert message.words == "My sofa is broken."
    assert message.seconds >= 1.9
    assert bench.records.handoffs[-1].outcome == "voicemail"


async def test_a_caller_who_hangs_up_while_speaking_has_left_a_message(tmp_path: Path) -> None:
    bench = Bench(
        ears=FakeEars(ASKED, "Yes.", "Call me about the sofa."), settings=company(tmp_path)
    )
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="failed", reason="busy"))
        await gateway.until_said(people.LEAVE_MESSAGE)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: any(tmp_path.glob("*.wav")))
        bench.ears.next()
        await gateway.speak(1500)
    assert [message.words for message in messages(tmp_path)] == ["Call me about the sofa."]


async def test_a_caller_who_changes_their_mind_while_it_rings_is_not_put_through() -> None:
    bench = Bench(ears=FakeEars(ASKED, "Never mind, forget it.", "How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.until_said(phrases.TRANSFERRING)
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Withdraw)))
        await gateway.until_said(people.NO_PERSON)
        bench.ears.next()
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
    assert bench.records.handoffs[-1].outcome == "withdrawn"


async def test_a_person_who_hangs_up_at_once_is_explained() -> None:
    bench = Bench(ears=FakeEars(ASKED))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.tell(Resume("hung_up_early"))
        await gateway.until_said(people.LEFT_EARLY)


async def test_the_story_of_a_handoff_is_on_record() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?", ASKED))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        await gateway.tell(Transfer(state="ringing"))
        await gateway.tell(Transfer(state="bridged"))
        await gateway.until(lambda: bench.records.handoffs[-1].outcome == "person")
    record = bench.records.handoffs[-1]
    assert record.brief["wants"] == "How much is delivery?"
    assert record.brief["tried"] == ("Answered: How much is delivery?",)
    assert record.brief["mood"] == "calm"
    assert [step["state"] for step in record.steps] == ["asked", "ringing", "bridged"]
    assert record.brief["next_step"]


async def test_a_question_asked_a_third_time_goes_to_a_person() -> None:
    bench = Bench(ears=FakeEars(*["How much is delivery to Ohio?"] * 3))
    async with bench.greeted() as gateway:
        for number in range(3):
            await gateway.speak()
            if number < 2:
                await gateway.until(lambda n=number: answered(bench) > n)
                bench.ears.next()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    (transfer,) = gateway.got(Transfer)
    assert transfer.cause == "repeated"


def answered(bench: Bench) -> int:
    return sum(bool(turn.heard and turn.heard_by_caller) for turn in bench.records.turns)


async def test_two_failures_to_understand_are_the_reason_that_is_told() -> None:
    bench = Bench(ears=FakeEars("", "", "Yes please."))
    async with bench.greeted() as gateway:
        for said in (phrases.NOT_UNDERSTOOD, phrases.NOT_UNDERSTOOD_TWICE):
            await gateway.speak(1500)
            await gateway.until_said(said)
            bench.ears.next()
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
    assert gateway.got(Transfer)[0].cause == "not_understood"


async def test_each_reason_has_its_own_queue() -> None:
    settings = Settings.model_validate(
        {"gateway": {"human": {"queues": {"care": {"targets": ["sip:care@desk.example"]}}}}}
    )
    choice = RoadChoice(Road.PERSON, name="upset", because="examples")
    bench = Bench(ears=FakeEars("This is ridiculous."), settings=settings, roads=OneRoad(choice))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        (transfer,) = gateway.got(Transfer)
        assert (transfer.target, transfer.cause) == ("care", "upset")
        await gateway.until_said("I'm sorry about that.")
    assert bench.records.handoffs[-1].brief["mood"] == "upset"


class OneRoad:
    """Everything takes it."""

    def __init__(self, choice: RoadChoice) -> None:
        self._choice = choice

    def ruled(self, asked: object) -> RoadChoice | None:
        return self._choice


async def test_a_caller_whom_a_supervisor_sends_to_a_person_hears_so_while_it_rings() -> None:
    bench = Bench(ears=FakeEars("How much is delivery?"))
    async with bench.greeted() as gateway:
        await gateway.speak()
        await gateway.until_said("Standard delivery costs $4.95.")
        await gateway.until(lambda: len(bench.records.turns) == 2)
        await gateway.tell(Transfer(target="care", state="wanted", cause="supervisor"))
        await gateway.until(lambda: bool(gateway.got(Transfer)))
        (transfer,) = gateway.got(Transfer)
        assert (transfer.target, transfer.cause) == ("care", "supervisor")
        assert "put through by a supervisor" in transfer.reason
        assert "How much is delivery?" in transfer.reason
        await gateway.until_said("I'll put you through to a colleague now.")
        await gateway.until(lambda: bool(gateway.got(Announcement)))
        await gateway.tell(Transfer(state="bridged"))
    (handoff,) = {each.handoff_id: each for each in bench.records.handoffs}.values()
    assert handoff.reason == "supervisor"
    assert handoff.brief["turns"][-1][0] == "How much is delivery?"
