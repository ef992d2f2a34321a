"""Callers whose own line transfers them: every answer it can give, and who has the caller then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from telephony.call import (
    REPLACED,
    TRANSFERRED,
    Leg,
    LegAnswered,
    LegEnded,
    SupervisorMode,
)
from telephony.errors import NotTransferred
from telephony.line_transfer import is_about_the_person
from telephony.media_stream import Announcement, Transfer, Withdraw
from telephony.routing import transfer_means
from telephony.settings import TransferMeans
from tests.telephony.fakes import AgentEnd, FakeLeg, eventually
from tests.telephony.handing_over import BRIEF, last_state, states
from tests.telephony.stage import Stage, staged, voice
from tests.telephony.test_supervision import join

ONE, TWO = "sip:one@127.0.0.1:5070", "sip:two@127.0.0.1:5072"


class AbleLeg(FakeLeg):
    """A caller whose line can be asked to transfer them; it answers as the test decides."""

    def __init__(self, transfers: TransferMeans = "replaces") -> None:
        super().__init__()
        self.transfers: TransferMeans = transfers
        self.asked: list[str | Leg] = []
        self.held: list[bool] = []
        self.holding = asyncio.Event()
        """What comes before the REFER has been done."""
        self.holding.set()
        self.answer_to_refer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def refer(
        self, to: str | Leg, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        await self.holding.wait()
        if not still_wanted():
            raise NotTransferred("not wanted any more")
        self.asked.append(to)
        await asyncio.shield(self.answer_to_refer)

    async def hold(self, held: bool) -> None:
        self.held.append(held)

    def refuses(self, sip_code: int) -> None:
        """What was asked is refused; what is asked next is unanswered again."""
        refused = self.answer_to_refer
        self.answer_to_refer = asyncio.get_running_loop().create_future()
        refused.set_exception(NotTransferred("refused", sip_code))

    def transferred(self) -> None:
        """As the stack tells it: the leg is over first, then the outcome is known."""
        self.tell(LegEnded(TRANSFERRED))
        self.answer_to_refer.set_result(None)


def queue(transfer: str, **settings: object) -> dict[str, object]:
    desks = {"targets": [ONE, TWO], "ring_timeout_s": 10, "wait_s": 0, "transfer": transfer}
    return {"human": {"queues": {"desks": {**desks, **settings}}}}


async def ask(stage: Stage, caller: FakeLeg) -> AgentEnd:
    agent = await stage.connect(caller)
    await agent.send(Transfer(target="desks", announcement=BRIEF))
    return agent


def rung(stage: Stage) -> list[str]:
    return [uri for uri, _, _ in stage.line.rung]


@pytest.mark.parametrize(
    ("wished", "able", "supervised", "expected"),
    [
        ("bridge", "replaces", False, "bridge"),
        ("refer", "bridge", False, "bridge"),
        ("refer", "refer", False, "refer"),
        ("refer", "replaces", False, "refer"),
        ("replaces", "refer", False, "bridge"),
        ("replaces", "replaces", False, "replaces"),
        ("replaces", "replaces", True, "bridge"),
        ("refer", "refer", True, "bridge"),
    ],
)
def test_a_line_transfers_only_where_it_can_and_is_wished_to(
    wished: TransferMeans, able: TransferMeans, supervised: bool, expected: TransferMeans
) -> None:
    assert transfer_means(wished, able, supervised=supervised) == expected


def test_a_persons_refusal_is_told_from_a_lines() -> None:
    persons = [code for code in range(300, 700) if is_about_the_person(code)]
    assert persons == [404, 408, 410, 480, 484, 486, 487, 600, 603, 604]
    assert not is_about_the_person(0)


async def test_a_line_is_bridged_unless_settings_say_otherwise() -> None:
    async with staged() as stage:
        caller = AbleLeg()
        agent = await stage.connect(caller)
        await agent.send(Transfer())
        await eventually(lambda: stage.line.rung)
        assert caller.asked == []


async def test_a_web_caller_is_bridged_whatever_the_queue_wishes() -> None:
    async with staged(**queue("refer")) as stage:
        agent = await ask(stage, FakeLeg(kind="webrtc"))
        await eventually(lambda: stage.line.rung)
        stage.line.leg.tell(LegAnswered())
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")


async def test_a_blind_transfer_ends_the_call_as_transferred() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await ask(stage, caller)
        await eventually(lambda: caller.asked)
        assert caller.asked == [ONE]
        caller.transferred()
        await stage.calls[0]
        assert stage.line.rung == []
        assert states(agent) == [("ringing", ""), ("transferred", "")]


async def test_a_blind_transfer_waits_until_the_caller_has_heard_why() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 100))
        await agent.send(Transfer(target="desks", announcement=BRIEF))
        await eventually(lambda: states(agent))
        await stage.clock.advance(1.5)
        assert caller.asked == []
        await stage.clock.advance(1.0)
        assert caller.asked == [ONE]


async def test_who_is_busy_is_followed_by_the_next_and_the_agent_is_told_at_last() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await ask(stage, caller)
        await eventually(lambda: caller.asked == [ONE])
        caller.refuses(486)
        await eventually(lambda: caller.asked == [ONE, TWO])
        caller.refuses(603)
        await stage.clock.advance_until(lambda: last_state(agent) == "failed")
        assert states(agent)[-1] == ("failed", "declined")
        assert not stage.calls[0].done()
        assert stage.line.rung == []


@pytest.mark.parametrize("sip_code", [0, 400, 403, 405, 489, 500, 501, 503])
async def test_a_line_that_will_not_transfer_is_bridged_to_the_same_person(sip_code: int) -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await ask(stage, caller)
        await eventually(lambda: caller.asked)
        caller.refuses(sip_code)
        await eventually(lambda: stage.line.rung)
        assert rung(stage) == [ONE]
        stage.line.leg.tell(LegAnswered())
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        assert caller.asked == [ONE]


async def test_a_line_that_never_tells_the_outcome_is_followed_by_the_next_on_our_bridge() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await ask(stage, caller)
        await eventually(lambda: caller.asked)
        await stage.clock.advance_until(lambda: stage.line.rung, limit_s=16)
        assert rung(stage) == [TWO]
        stage.line.leg.tell(LegAnswered())
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        assert caller.asked == [ONE]


async def test_an_outcome_that_comes_late_still_counts_as_transferred() -> None:
    async with staged(**queue("refer", targets=[ONE])) as stage:
        caller = AbleLeg()
        agent = await ask(stage, caller)
        await eventually(lambda: caller.asked)
        await stage.clock.advance_until(lambda: last_state(agent) == "failed", limit_s=20)
        caller.tell(LegEnded(TRANSFERRED))
        await stage.calls[0]
        await eventually(lambda: last_state(agent) == "transferred")


async def accepted(stage: Stage, caller: FakeLeg) -> tuple[AgentEnd, FakeLeg]:
    """A person has answered and heard the story."""
    agent = await ask(stage, caller)
    await eventually(lambda: stage.line.rung)
    person = stage.line.leg
    person.tell(LegAnswered())
    return agent, person


async def test_an_attended_transfer_tells_the_person_the_story_before_the_line_is_asked() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        agent, person = await accepted(stage, caller)
        await eventually(lambda: last_state(agent) == "answered")
        assert caller.asked == []
        await stage.clock.advance_until(lambda: caller.asked)
        assert person.heard[:2] == [voice(50)] * 2
        assert caller.asked == [person]
        person.tell(LegEnded("far_end_hung_up"))  # their telephone has the caller's call instead
        await asyncio.sleep(0)
        caller.transferred()
        await stage.calls[0]
        assert [state for state, _ in states(agent)] == ["ringing", "answered", "transferred"]


async def test_where_a_key_accepts_the_line_is_asked_after_it() -> None:
    async with staged(**queue("replaces", accept="key")) as stage:
        caller = AbleLeg()
        _, person = await accepted(stage, caller)
        await stage.clock.advance(3.0)
        assert caller.asked == []
        (session,) = stage.gateway.calls.values()
        assert session.people.decide(accept=True)
        await stage.clock.advance_until(lambda: caller.asked)
        assert caller.asked == [person]


@pytest.mark.parametrize("sip_code", [0, 403, 481, 486, 500, 603])
async def test_an_attended_transfer_that_is_refused_resumes_both_legs(sip_code: int) -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        agent, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        caller.refuses(sip_code)
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        assert caller.held == [False]
        caller.speak(voice(1))
        person.speak(voice(2))
        await stage.clock.advance(0.02)
        assert (caller.heard[-1], person.heard[-1]) == (voice(2), voice(1))


async def test_an_attended_transfer_without_an_outcome_resumes_both_legs() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        agent, _ = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged", limit_s=9)
        assert caller.held == [False]


async def test_a_person_who_leaves_while_the_line_fails_is_followed_by_the_next() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        _, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        person.tell(LegEnded("far_end_hung_up"))
        caller.refuses(500)
        await stage.clock.advance_until(lambda: len(stage.line.rung) == 2)
        assert rung(stage) == [ONE, TWO]


async def test_a_person_whose_call_the_callers_line_has_replaced_has_the_caller() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        agent, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        person.tell(LegEnded(REPLACED))
        await stage.clock.advance_until(lambda: stage.calls[0].done(), limit_s=9)
        assert last_state(agent) == "transferred"
        assert rung(stage) == [ONE]
        assert caller.hung_up == ["transferred"]


async def test_a_person_whose_place_another_call_takes_leaves_the_caller_with_the_agent() -> None:
    async with staged(**queue("bridge")) as stage:
        caller = FakeLeg()
        agent, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        await stage.clock.advance(5.0)
        person.tell(LegEnded(REPLACED))
        await stage.clock.advance_until(lambda: last_state(agent) == "ended")
        assert states(agent)[-1] == ("ended", "lost")
        assert not stage.calls[0].done()


async def test_a_caller_who_changes_their_mind_during_the_transfer_is_not_left_on_hold() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        agent, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        await agent.send(Withdraw("withdrawn"))
        await eventually(lambda: person.hung_up)
        assert caller.held == [False]
        assert not stage.calls[0].done()


async def test_a_caller_who_hangs_up_during_the_transfer_leaves_nothing_behind() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        _, person = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: caller.asked)
        caller.tell(LegEnded("far_end_hung_up"))
        await stage.calls[0]
        assert person.hung_up
        assert stage.gateway.live_calls == 0


async def test_a_blind_transfer_does_not_need_the_story_to_be_spoken() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await stage.connect(caller)
        await agent.send(Transfer(target="desks", announced_later=True))
        await eventually(lambda: caller.asked)
        await agent.send(Announcement(BRIEF))
        caller.transferred()
        await stage.calls[0]


async def test_a_supervisor_who_comes_before_the_line_is_asked_keeps_the_caller_here() -> None:
    async with staged(**queue("refer")) as stage:
        caller = AbleLeg()
        agent = await stage.connect(caller)
        await stage.say(agent, voice(9, 200))
        await agent.send(Transfer(target="desks", announcement=BRIEF))
        await eventually(lambda: states(agent))
        await stage.clock.advance(0.5)
        await join(stage, SupervisorMode.TAKEOVER)
        await stage.clock.advance_until(lambda: stage.line.rung)
        assert rung(stage) == [ONE]
        assert caller.asked == []


async def test_a_supervisor_who_comes_while_both_are_put_on_hold_keeps_the_caller_here() -> None:
    async with staged(**queue("replaces")) as stage:
        caller = AbleLeg()
        caller.holding.clear()
        agent, _ = await accepted(stage, caller)
        await stage.clock.advance_until(lambda: not stage.media().announced.is_set())
        await stage.clock.advance_until(lambda: stage.media().announced.is_set())
        await join(stage, SupervisorMode.TAKEOVER)
        caller.holding.set()
        await stage.clock.advance_until(lambda: last_state(agent) == "bridged")
        assert caller.asked == []
        assert caller.held == [False]
