"""Tables for who answers, where a transfer may go, and when agents are given up."""

from __future__ import annotations

import pytest

from telephony.call import CallStage, next_stage
from telephony.errors import CallStateError, TargetRefused
from telephony.routing import (
    AfterLoss,
    Answering,
    Destination,
    Patience,
    broke_off,
    failure_reason,
    route,
    transfer_target,
)
from telephony.settings import HumanLineSettings


@pytest.mark.parametrize(
    ("answering", "live", "draining", "expected"),
    [
        (Answering.AGENT, 0, False, Destination.AGENT),
        (Answering.AGENT, 4, False, Destination.AGENT),
        (Answering.AGENT, 5, False, Destination.BUSY),
        (Answering.AGENT, 0, True, Destination.BUSY),
        (Answering.HUMAN, 0, False, Destination.HUMAN),
        (Answering.HUMAN, 5, False, Destination.BUSY),
        (Answering.CLOSED, 0, False, Destination.CLOSED),
        (Answering.CLOSED, 0, True, Destination.BUSY),
    ],
)
def test_a_call_goes_where_the_switch_says_unless_the_gateway_is_full_or_draining(
    answering: Answering, live: int, draining: bool, expected: Destination
) -> None:
    assert route(answering=answering, live_calls=live, max_calls=5, draining=draining) is expected


LINE = HumanLineSettings(
    uri="sip:human@127.0.0.1:5070",
    lines={"billing": "sip:200@pbx.example", "repairs": "sips:201@pbx.example"},
    allowed_hosts=("desk.example", "10.0.0.5:5080"),
)


@pytest.mark.parametrize(
    ("requested", "rung"),
    [
        ("", "sip:human@127.0.0.1:5070"),
        ("sip:human@127.0.0.1:5070", "sip:human@127.0.0.1:5070"),
        ("billing", "sip:200@pbx.example"),
        ("sips:201@pbx.example", "sips:201@pbx.example"),
        ("sip:anna@desk.example", "sip:anna@desk.example"),
        ("sip:anna@DESK.example", "sip:anna@DESK.example"),
        ("sip:7@10.0.0.5:5080", "sip:7@10.0.0.5:5080"),
    ],
)
def test_configured_targets_are_rung(requested: str, rung: str) -> None:
    assert transfer_target(requested, LINE) == rung


@pytest.mark.parametrize(
    "requested",
    [
        "sip:+19005550100@premium.example",
        "sip:other@127.0.0.1:5070",
        "sip:999@pbx.example",
        "sip:anna@desk.example:5080",
        "sip:7@10.0.0.5",
        "sip:anna@desk.example;transport=tcp",
        "sip:anna@desk.example?Replaces=x",
        "sip:anna@desk.example\r\nContact: x",
        "sip:anna@desk.example.evil.example",
        "sip:anna@evil.example@desk.example",
        "tel:+19005550100",
        "desk.example",
        "Billing",
        "sip:@desk.example",
        "x" * 10_000,
    ],
)
def test_everything_else_is_refused_without_being_repeated(requested: str) -> None:
    with pytest.raises(TargetRefused) as refusal:
        transfer_target(requested, LINE)
    assert requested not in str(refusal.value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "declined"),
        (480, "no_answer"),
        (487, "no_answer"),
        (404, "unknown_target"),
        (500, "unreachable"),
        (0, "unreachable"),
    ],
)
def test_a_sip_status_becomes_a_reason_in_words(code: int, reason: str) -> None:
    assert failure_reason(code) == reason


@pytest.mark.parametrize(
    ("code", "reason", "broken"),
    [
        (0, "far_end_hung_up", False),
        (200, "OK", False),
        (0, "media_lost", True),
        (0, "line_failed", True),
        (408, "Request Timeout", True),
    ],
)
def test_a_leg_that_breaks_off_is_not_one_that_was_hung_up(
    code: int, reason: str, broken: bool
) -> None:
    assert broke_off(code, reason) is broken


def test_an_agent_is_tried_as_often_as_configured() -> None:
    patience = Patience(3)
    steps = []
    for _ in range(3):
        patience = patience.failed()
        steps.append(patience.next_step(retryable=True))
    assert steps == [AfterLoss.RETRY, AfterLoss.RETRY, AfterLoss.PERSON]


def test_an_agent_that_served_long_enough_wipes_the_slate() -> None:
    patience = Patience(2).failed().failed(served_ms=10_000)
    assert patience.failures == 0
    assert patience.next_step(retryable=True) is AfterLoss.RETRY


def test_an_agent_that_refuses_us_is_not_tried_again() -> None:
    assert Patience(3).failed().next_step(retryable=False) is AfterLoss.PERSON


def test_waits_between_attempts_grow_and_are_bounded() -> None:
    waits = [Patience(99, failures).wait_s for failures in range(12)]
    assert waits == sorted(waits)
    assert waits[1] == 0.2
    assert waits[-1] == 2.0


def test_every_stage_can_end_and_none_follows_the_end() -> None:
    for stage in CallStage:
        assert next_stage(stage, CallStage.ENDED) is CallStage.ENDED
        if stage is not CallStage.ENDED:
            with pytest.raises(CallStateError):
                next_stage(CallStage.ENDED, stage)


def test_a_call_is_not_bridged_before_it_is_answered() -> None:
    with pytest.raises(CallStateError):
        next_stage(CallStage.RINGING, CallStage.BRIDGED)
