"""Who loses their rights loses the calls they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.telephony.fakes import eventually
from tests.voice_agent.console.conftest import Stage, Watch
from tests.voice_agent.console.fake_gateway import call
from voice_agent.console.accounts import Accounts
from voice_agent.console.roles import Role
from voice_agent.console.supervision_watch import SupervisionWatch


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.console.supervision_watch.LOOK_S", 0.05)
    monkeypatch.setattr("voice_agent.console.supervision_watch.AGAIN_S", 0.05)


async def _with_a_call(stage: Stage, mode: str) -> None:
    async with Watch(await stage.signed_in(Role.ENGINEER)) as page:
        await page.until("snapshot")
        visit = {"name": "supervisor", "mode": mode}
        stage.gateway.say("call_began", call=call("c1", supervisor=visit))
        await page.until("call_began")


def _remove(accounts: Accounts) -> None:
    accounts.remove("supervisor")


def _demote(accounts: Accounts) -> None:
    accounts.set_role("supervisor", Role.ENGINEER)
    user = accounts.user("supervisor")
    assert user is not None
    accounts.begin_session(user, "127.0.0.1")


def _sign_out(accounts: Accounts) -> None:
    accounts.end_sessions("supervisor")


def _reset(accounts: Accounts) -> None:
    accounts.set_password("supervisor", "$argon2id$other")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lose", [_remove, _demote, _sign_out, _reset])
async def test_who_loses_their_rights_is_sent_away_and_that_is_noted(
    connected: Stage, lose: Callable[[Accounts], None]
) -> None:
    await connected.signed_in(Role.SUPERVISOR)
    await _with_a_call(connected, "takeover")
    lose(connected.console.desk.accounts)
    left = ("leave", {"name": "supervisor", "call_id": "c1"})
    await eventually(lambda: left in connected.gateway.asked)
    noted = [each for each in connected.console.desk.audit.entries() if each.target == "c1"]
    assert noted[0].action == "supervision_ended"
    assert (noted[0].detail["name"], noted[0].detail["mode"]) == ("supervisor", "takeover")


@pytest.mark.usefixtures("quick")
async def test_a_role_that_listens_goes_on_listening(connected: Stage) -> None:
    await connected.signed_in(Role.SUPERVISOR)
    await _with_a_call(connected, "takeover")
    accounts = connected.console.desk.accounts
    accounts.set_role("supervisor", Role.QUALITY)
    user = accounts.user("supervisor")
    assert user is not None
    accounts.begin_session(user, "127.0.0.1")
    await eventually(lambda: bool(connected.gateway.asked))
    asked = {"name": "supervisor", "mode": "listen", "call_id": "c1"}
    assert connected.gateway.asked[0] == ("mode", asked)


def _watch(stage: Stage) -> SupervisionWatch:
    desk = stage.console.desk
    return SupervisionWatch(desk.live, desk.accounts, desk.link, desk.audit)


async def test_who_may_stays(connected: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.console.supervision_watch.AGAIN_S", 0)
    await connected.signed_in(Role.SUPERVISOR)
    await _with_a_call(connected, "takeover")
    await _watch(connected).look()
    assert connected.gateway.asked == []


async def test_a_session_that_begins_anew_ends_nothing(
    connected: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected.signed_in(Role.SUPERVISOR)
    await _with_a_call(connected, "takeover")
    _reset(connected.console.desk.accounts)

    async def sign_in_meanwhile(_: float) -> None:
        await connected.signed_in(Role.SUPERVISOR)

    monkeypatch.setattr(asyncio, "sleep", sign_in_meanwhile)
    await _watch(connected).look()
    monkeypatch.undo()
    assert connected.gateway.asked == []


def test_only_sessions_that_are_not_over_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("voice_agent.console.accounts.time.time", lambda: now[0])
    accounts = Accounts(tmp_path / "accounts.sqlite", idle_s=60, age_s=3_600)
    accounts.add("Robin", Role.SUPERVISOR, "$argon2id$none")
    user: Any = accounts.user("robin")
    accounts.begin_session(user, "127.0.0.1")
    assert accounts.signed_in() == {"robin": Role.SUPERVISOR}
    now[0] += 61
    assert accounts.signed_in() == {}
