"""Registering with a trunk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from telephony import sip_trunk
from telephony.errors import LineUnavailable
from telephony.sip import SipLine
from telephony.sip_trunk import Registration, retry_after_s
from tests.telephony.registrar import open_registrar
from tests.telephony.sip_stage import PATIENCE_S, Arrivals, open_line, sip_settings

VARIABLE = "VOICE_AGENT_TEST_TRUNK_PASSWORD"


def trunk(port: int, **more: Any) -> dict[str, Any]:
    return {"user": "441632960001", "domain": f"127.0.0.1:{port}", "password_env": VARIABLE, **more}


async def until(line: SipLine, state: Registration) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while line.registration is not state:  # noqa: ASYNC110 (state is polled by /readyz too)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 2), (1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (1_000_000, 60)]
)
def test_the_pause_before_the_next_attempt_grows_to_a_minute(failures: int, seconds: int) -> None:
    assert retry_after_s(failures) == seconds


@pytest.mark.loopback
async def test_the_line_registers_with_digest_and_leaves_when_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "secret word; 42")
    registrar, port = await open_registrar("441632960001", "secret word; 42")
    async with open_line(trunk=trunk(port)) as (line, _, _):
        await until(line, Registration.REGISTERED)
        assert line.ready
        assert "441632960001" in registrar.bindings
    assert registrar.bindings == {}
    registrar.transport.close()


@pytest.mark.loopback
async def test_the_user_for_digest_may_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "word")
    registrar, port = await open_registrar("credential-7", "word")
    async with open_line(trunk=trunk(port, auth_user="credential-7")) as (line, _, _):
        await until(line, Registration.REGISTERED)
    registrar.transport.close()


@pytest.mark.loopback
async def test_a_wrong_password_leaves_the_line_open_but_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "wrong")
    registrar, port = await open_registrar("441632960001", "right")
    async with open_line(trunk=trunk(port)) as (line, _, _):
        await until(line, Registration.FAILED)
        assert not line.ready
        assert registrar.wrong
    registrar.transport.close()


@pytest.mark.loopback
async def test_a_trunk_that_was_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "word")
    monkeypatch.setattr(sip_trunk, "FIRST_RETRY_S", 0.05)
    registrar, port = await open_registrar("441632960001", "word", refusals=2)
    async with open_line(trunk=trunk(port)) as (line, _, _):
        await until(line, Registration.REGISTERED)
    registrar.transport.close()


async def test_a_password_the_stack_cannot_carry_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, 'pass"word')
    line = SipLine(sip_settings(trunk=trunk(5060)), 4)
    with pytest.raises(LineUnavailable) as refused:
        await line.start(Arrivals().take)
    assert "password" in str(refused.value)
    assert "word" not in str(refused.value).replace("password", "")
