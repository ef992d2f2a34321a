"""Outcomes of calls on their way to a CRM."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from evals.back_office.database import OfficeDatabase
from evals.back_office.service import BackOffice, OfficeTrouble
from voice_agent.answering.actions.desk import Done
from voice_agent.records.outbox import TRIES, WAITS_S, Outbox, Webhook
from voice_agent.records.outcomes import outcome_fields
from voice_agent.records.record_types import CallRecord

CALL = CallRecord(
    "call-1", "sip", "sip:ruth@example.com", 1000.0, 1060.0, "transferred", "handed_over"
)


def fields(**changes: Any) -> dict[str, Any]:
    made = outcome_fields(
        CALL,
        turns=3,
        done=[Done("refund", "done", key="ab12")],
        brief="They want a refund.",
        transcript_url="https://example.com/calls/{call_id}",
    )
    return made | changes


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def crm(*troubles: OfficeTrouble, signed_with: str = "s") -> AsyncIterator[tuple[str, Any]]:
    left = list(troubles)

    def trouble(_: web.Request) -> OfficeTrouble:
        return left.pop(0) if left else OfficeTrouble.NONE

    database = OfficeDatabase()
    office = BackOffice(database, webhook_secret=signed_with, trouble=trouble)
    async with TestServer(office.app) as server:
        yield str(server.make_url("/crm/events")), database


async def test_an_outcome_is_signed_and_taken_once(tmp_path: Path) -> None:
    async with crm() as (url, database):
        webhook = Webhook(Outbox(tmp_path / "outbox.sqlite"), url, "s")
        webhook.outbox.put(fields())
        webhook.outbox.put(fields())
        assert await webhook.deliver_next()
        assert not await webhook.deliver_next()
        (event,) = database.events()
        assert event["disposition"] == "handed_over"
        assert event["actions"][0]["action"] == "refund"
        assert event["transcript_url"] == "https://example.com/calls/call-1"
        assert "They want a refund." in event["summary"]
        await webhook.close()


async def test_what_is_not_taken_is_tried_again_later(tmp_path: Path) -> None:
    clock = Clock()
    async with crm(OfficeTrouble.DOWN) as (url, database):
        webhook = Webhook(Outbox(tmp_path / "outbox.sqlite", clock), url, "s")
        webhook.outbox.put(fields())
        await webhook.deliver_next()
        assert not await webhook.deliver_next(), "not before it is due"
        clock.now += WAITS_S[0]
        await webhook.deliver_next()
        assert len(database.events()) == 1
        await webhook.close()


async def test_after_enough_tries_it_is_a_dead_letter_that_can_be_sent_again(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with crm(*[OfficeTrouble.DOWN] * TRIES) as (url, database):
        webhook = Webhook(Outbox(tmp_path / "outbox.sqlite", clock), url, "s")
        webhook.outbox.put(fields())
        for _ in range(TRIES):
            assert await webhook.deliver_next()
            clock.now += max(WAITS_S)
        (dead,) = webhook.outbox.events("dead")
        assert dead.reason == "http 503"
        assert webhook.outbox.send_again(dead.event_id)
        await webhook.deliver_next()
        assert len(database.events()) == 1
        await webhook.close()


async def test_a_wrong_signature_is_refused_for_good(tmp_path: Path) -> None:
    async with crm(signed_with="other") as (url, database):
        webhook = Webhook(Outbox(tmp_path / "outbox.sqlite"), url, "s")
        webhook.outbox.put(fields())
        await webhook.deliver_next()
        assert [each.reason for each in webhook.outbox.events("dead")] == ["http 401"]
        assert database.events() == []
        await webhook.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("disposition", "great"),
        ("summary", ""),
        ("summary", "x" * 601),
        ("transcript_url", "/calls/1"),
        ("ended_at", "yesterday"),
        ("ended_at", "1970-01-01T00:00:00+00:00"),
        ("actions", [{"action": "refund", "state": "perhaps"}]),
        ("card", "4111"),
    ],
)
def test_an_outcome_that_does_not_hold_what_it_must_is_never_sent(
    tmp_path: Path, field: str, value: Any
) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.put(fields(**{field: value}))
    assert outbox.take_due() is None
    (dead,) = outbox.events("dead")
    assert dead.reason.startswith("invalid: ")


def test_an_outcome_survives_the_agent(tmp_path: Path) -> None:
    Outbox(tmp_path / "outbox.sqlite").put(fields())
    assert Outbox(tmp_path / "outbox.sqlite").take_due() is not None
