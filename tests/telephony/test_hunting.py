"""Handing a caller to whoever of a group takes the call, and what happens when nobody does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from telephony.call import DigitPressed, HumanStage, LegEnded, LegState
from telephony.media_stream import Announcement, Resume, Transfer, Withdraw
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.stage import Stage, staged, voice

ANNA, BEN, CLEO = "sip:anna@desk.example", "sip:ben@desk.example", "sip:cleo@desk.example"
BRIEF = base64.b64encode(voice(50, 5)).decode()


def help_queue(**settings: Any) -> dict[str, Any]:
    queue = {"targets": [ANNA, BEN, CLEO], "wait_s": 0, **settings}
    return {"queues": {"help": queue}, "ring_timeout_s": 20}


def told(agent: AgentEnd) -> list[tuple[str, str]]:
    return [(m.state, m.reason) for m in agent.messages if isinstance(m, Transfer)]


async def ask(stage: Stage, **fields: Any) -> tuple[AgentEnd, FakeLeg]:
    caller = FakeLeg()
    agent = await stage.connect(caller)
    await agent.send(Transfer(target="help", announcement=BRIEF, **fields))
    await eventually(lambda: stage.line.rung)
    return agent, caller


def rung(stage: Stage) -> list[str]:
    return [uri for uri, _, _ in stage.line.rung]


async def next_rung(stage: Stage, number: int) -> FakeLeg:
    await stage.clock.advance_until(lambda: len(stage.line.rung) >= number)
    return stage.line.rung[number - 1][2]


async def test_who_is_busy_declines_or_does_not_answer_is_followed_by_the_next() -> None:
    async with staged(human=help_queue()) as stage:
        agent, caller = await ask(stage)
        (await next_rung(stage, 1)).tell(LegEnded("busy", 486))
        (await next_rung(stage, 2)).tell(LegEnded("declined", 603))
        cleo = await next_rung(stage, 3)
        assert rung(stage) == [ANNA, BEN, CLEO]
        await cleo.answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        caller.speak(voice(1))
        await stage.clock.advance(0.04)
        assert voice(1) in cleo.heard
        assert not [state for state, _ in told(agent) if state == "failed"]


async def test_when_nobody_takes_the_call_the_agent_has_the_caller_and_knows_why() -> None:
    async with staged(human=help_queue()) as stage:
        agent, caller = await ask(stage)
        for number, code in ((1, 486), (2, 603), (3, 480)):
            (await next_rung(stage, number)).tell(LegEnded("no", code))
        await eventually(lambda: told(agent)[-1] == ("failed", "no_answer"))
        await stage.say(agent, voice(9))
        await stage.clock.advance(0.04)
        assert voice(9) in caller.heard


async def test_all_ring_at_once_and_the_first_who_answers_has_the_call() -> None:
    async with staged(human=help_queue(strategy="ring_all")) as stage:
        agent, _ = await ask(stage)
        await eventually(lambda: len(stage.line.rung) == 3)
        legs = [leg for _, _, leg in stage.line.rung]
        await legs[1].answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        assert [leg.state for leg in legs] == [LegState.ENDED, LegState.ANSWERED, LegState.ENDED]
        assert told(agent).count(("ringing", "")) == 1


async def test_two_who_answer_in_the_same_moment_are_not_both_kept() -> None:
    async with staged(human=help_queue(strategy="ring_all")) as stage:
        agent, _ = await ask(stage)
        await eventually(lambda: len(stage.line.rung) == 3)
        legs = [leg for _, _, leg in stage.line.rung]
        await legs[0].answer()
        await legs[1].answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        await eventually(lambda: [leg.state for leg in legs].count(LegState.ANSWERED) == 1)


async def test_a_second_caller_waits_hears_music_and_is_told_the_position() -> None:
    human = help_queue(targets=[ANNA], wait_s=300)
    async with staged(human=human) as stage:
        agent, _ = await ask(stage)
        anna = await next_rung(stage, 1)
        await anna.answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        second = FakeLeg()
        waiting = await stage.connect(second)
        await waiting.send(Transfer(target="help", announcement=BRIEF))
        await eventually(lambda: told(waiting))
        (first_word,) = waiting.of(Transfer)
        assert isinstance(first_word, Transfer)
        assert (first_word.state, first_word.position, first_word.wait_s) == ("waiting", 1, None)
        await stage.clock.advance(3.0)
        assert any(any(frame) for frame in second.heard)
        assert len(stage.line.rung) == 1
        anna.tell(LegEnded("bye"))
        again = await next_rung(stage, 2)
        await again.answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(waiting))


async def test_nobody_waits_longer_than_the_queue_allows() -> None:
    async with staged(human=help_queue(targets=[ANNA], wait_s=30, retry_s=10)) as stage:
        agent, _ = await ask(stage)
        (await next_rung(stage, 1)).tell(LegEnded("busy", 486))
        (await next_rung(stage, 2)).tell(LegEnded("busy", 486))
        (await next_rung(stage, 3)).tell(LegEnded("busy", 486))
        await stage.clock.advance_until(lambda: told(agent)[-1] == ("failed", "busy"))


async def test_who_declines_by_key_passes_the_caller_on() -> None:
    async with staged(human=help_queue()) as stage:
        agent, _ = await ask(stage)
        anna = await next_rung(stage, 1)
        await anna.answer()
        await eventually(lambda: ("answered", "") in told(agent))
        anna.tell(DigitPressed("2", 100))
        await next_rung(stage, 2)
        await eventually(lambda: anna.state is LegState.ENDED)
        assert ("bridged", "") not in told(agent)


async def test_where_a_key_accepts_answering_alone_does_not() -> None:
    async with staged(human=help_queue(accept="key")) as stage:
        agent, _ = await ask(stage)
        anna = await next_rung(stage, 1)
        await anna.answer()  # a mailbox answers too
        ben = await next_rung(stage, 2)
        await ben.answer()
        await stage.clock.advance(1.0)
        ben.tell(DigitPressed("1", 100))
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        assert anna.state is LegState.ENDED


async def test_a_click_accepts_before_the_story_is_told_and_declines_while_it_rings() -> None:
    async with staged(human=help_queue()) as stage:
        agent, _ = await ask(stage)
        await eventually(lambda: told(agent) == [("ringing", "")])
        (session,) = stage.gateway.calls.values()
        assert not session.people.decide(accept=True)
        assert session.people.decide(accept=False)
        ben = await next_rung(stage, 2)
        await ben.answer()
        await eventually(lambda: told(agent)[-1] == ("answered", ""))
        assert session.people.decide(accept=True)
        await eventually(lambda: told(agent)[-1] == ("bridged", ""))
        assert ben.heard == []
        assert not session.people.decide(accept=False)


async def test_who_accepts_and_hangs_up_at_once_leaves_the_caller_with_the_agent() -> None:
    async with staged(human=help_queue()) as stage:
        agent, _ = await ask(stage)
        anna = await next_rung(stage, 1)
        await anna.answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        anna.tell(LegEnded("bye"))
        await eventually(lambda: agent.of(Resume))
        assert agent.of(Resume) == [Resume("hung_up_early")]
        assert stage.gateway.live_calls == 1


async def test_without_an_agent_the_next_is_rung_after_one_who_hung_up_at_once() -> None:
    human = {**help_queue(wait_s=60), "queue": "help"}
    async with staged(human=human) as stage:
        stage.agent.refuse_with = 401
        caller = FakeLeg()
        stage.ring(caller)
        for number in (1, 2):
            person = await next_rung(stage, number)
            await person.answer()
            await stage.clock.advance(1.0)
            person.tell(LegEnded("bye"))
        assert rung(stage) == [ANNA, BEN]
        cleo = await next_rung(stage, 3)
        await cleo.answer()
        await stage.clock.advance(0.5)
        cleo.speak(voice(2))
        await stage.clock.advance(0.04)
        assert voice(2) in caller.heard


async def test_a_queue_that_is_closed_or_full_overflows_into_the_next() -> None:
    human = {
        "queues": {
            "help": {"targets": [ANNA], "overflow": "night", "hours": {"weekly": {"mon": []}}},
            "night": {"targets": [BEN], "max_waiting": 0, "overflow": "last", "wait_s": 5},
            "last": {"targets": [CLEO]},
        }
    }
    async with staged(human=human) as stage:
        await ask(stage)
        assert rung(stage) == [CLEO]


async def test_a_closed_queue_rings_nobody() -> None:
    async with staged(human=help_queue(hours={"weekly": {"mon": []}})) as stage:
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer(target="help"))
        await eventually(lambda: told(agent))
        assert told(agent) == [("failed", "closed")]
        assert stage.line.rung == []


async def test_the_story_may_come_while_the_telephone_rings() -> None:
    async with staged(human=help_queue()) as stage:
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer(target="help", announced_later=True))
        anna = await next_rung(stage, 1)
        await anna.answer()
        await stage.clock.advance(1.0)
        assert anna.heard == []
        await agent.send(Announcement(BRIEF))
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent))
        assert anna.heard_audio.startswith(voice(50, 5))


async def test_a_story_that_never_comes_does_not_keep_the_person_waiting() -> None:
    async with staged(human=help_queue()) as stage:
        agent = await stage.connect(FakeLeg())
        await agent.send(Transfer(target="help", announced_later=True))
        anna = await next_rung(stage, 1)
        await anna.answer()
        await stage.clock.advance_until(lambda: ("bridged", "") in told(agent), limit_s=10)


async def test_a_caller_who_changes_their_mind_is_not_put_through() -> None:
    async with staged(human=help_queue()) as stage:
        agent, _ = await ask(stage)
        anna = await next_rung(stage, 1)
        await agent.send(Withdraw())
        await eventually(lambda: anna.state is LegState.ENDED)
        await eventually(lambda: stage.media().human_stage is HumanStage.ABSENT)
        await agent.send(Transfer(target="help"))
        await next_rung(stage, 2)


async def test_the_telephone_is_told_where_the_story_is() -> None:
    async with staged(human=help_queue()) as stage:
        await ask(stage, cause="upset", link="https://desk.example/#/handoffs/1")
        headers = stage.line.rung[0][1]
        assert headers["X-Handoff-Reason"] == "upset"
        assert headers["X-Handoff-Link"] == "https://desk.example/#/handoffs/1"
        assert headers["Call-Info"] == "<https://desk.example/#/handoffs/1>;purpose=info"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "http://x\r\nContact: y", "http://x y", "http://x>", "h" * 500]
)
async def test_a_link_that_could_break_a_header_is_left_out(link: str) -> None:
    async with staged(human=help_queue()) as stage:
        await ask(stage, cause="up\r\nset", link=link)
        assert set(stage.line.rung[0][1]) == {"X-Call-ID"}
