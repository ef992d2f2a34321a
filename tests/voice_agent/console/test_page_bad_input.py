"""What should not happen and does: script in names, people who vanish, lines that break."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.voice_agent.console.page_stage import (
    BRIEF,
    SUGGESTION,
    TURNS,
    a_floor,
    a_handoff,
    a_past_call,
    looking_at,
    until,
)
from tests.voice_agent.console.test_page_supervise import pressed

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SCRIPT = (
    "<script>window.taken=1</script><img src=x onerror=window.taken=1>"
    '"onmouseover=window.taken=1 x="\'javascript:window.taken=1'
)


def poisoned(value: object) -> object:
    """The same shape, with script for every text in it."""
    if isinstance(value, dict):
        return {
            key: each if key in ("turn_id", "passage_id", "index") else poisoned(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    return SCRIPT if isinstance(value, str) else value


async def test_script_in_a_callers_name_and_words_stays_text_in_every_view(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    a_past_call(console)
    console.calls["c0"] |= {
        "name": SCRIPT, "caller": SCRIPT, "dialled": SCRIPT, "queue": SCRIPT, "mood": SCRIPT,
        "road": SCRIPT, "snippet": SCRIPT, "supervisor": {"name": SCRIPT, "mode": SCRIPT},
        "handoff": {"state": SCRIPT, "target": SCRIPT, "reason": SCRIPT, "cause": SCRIPT},
    }  # fmt: skip
    console.details["c0"] = {
        "turns": poisoned(TURNS), "brief": poisoned(BRIEF), "suggestions": poisoned([SUGGESTION]),
    }  # fmt: skip
    console.details["p1"]["turns"] = poisoned(TURNS)
    console.details["p1"]["call"]["caller"] = SCRIPT
    state = console.handoffs["c3"]["state"]
    console.handoffs["c3"] = poisoned(console.handoffs["c3"]) | {  # type: ignore[operator]
        "call_id": "c3", "state": state
    }  # fmt: skip
    console.alarm(id="a9", severity="critical", call_id="c0", message=SCRIPT)
    seen = {
        "#/live": 'tr[data-call="c0"] th', "#/calls/c0": ".call-head h1",
        "#/calls/p1": ".call-head h1", "#/handoffs": ".cards .card", "#/handoffs/c3": ".story",
    }  # fmt: skip
    async with looking_at(console, tmp_path) as tab:
        page = tab.page
        for where, shown in seen.items():
            await page.goto(f"{console.url}/{where}")
            await expect(page.locator(shown).first).to_contain_text("<script>")
            for turn in await page.locator("[data-turn]").all():
                await turn.click()
            assert await page.evaluate("window.taken") is None, where
            assert await page.locator("img, main script, [onmouseover]").count() == 0, where
        assert tab.complaints == []
        assert tab.hosts == {console.url.removeprefix("http://")}


async def test_who_accepts_and_hangs_up_at_once_is_asked_again(tmp_path: Path) -> None:
    told = "answered"
    console = a_floor()
    a_handoff(console)
    async with looking_at(console, tmp_path, "#/handoffs/c3") as tab:
        page = tab.page
        state, accept = page.locator(".handoff .state"), page.get_by_role("button", name="Accept")
        console.change("c3", handoff={"state": told, "target": "care", "reason": ""})
        await accept.click()
        await expect(state).to_have_text("With you")
        # news of other things that still tell the old state do not take the click back
        console.change("c3", mood="upset", handoff={"state": told, "target": "care", "reason": ""})
        console.change("c3", handoff={"state": "bridged", "target": "care", "reason": ""})
        await expect(state).to_have_text("With you")
        console.change(
            "c3", handoff={"state": "ended", "target": "care", "reason": "hung_up_early"}
        )
        await expect(accept).to_be_hidden()
        console.change("c3", handoff={"state": "ringing", "target": "care", "reason": ""})
        await expect(state).to_have_text("Ringing: pick up to take the caller")
        await expect(accept).to_be_hidden()
        console.change("c3", handoff={"state": "answered", "target": "care", "reason": ""})
        await accept.click()
        await expect(state).to_have_text("With you")
        assert len(console.bodies("/accept")) == 2


async def test_a_connection_that_breaks_in_a_takeover_is_said_and_given_up(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await pressed(page, "Take over")
        await asyncio.wait_for(console.gateway.taken.wait(), 20)
        (leg,) = console.gateway.legs
        # nothing is said on the line: packets just stop
        await leg._connection.sctp.transport.transport.stop()  # type: ignore[attr-defined]
        await expect(page.get_by_text("Your line was lost.")).to_be_visible(timeout=60_000)
        await until(lambda: bool(console.bodies("/leave")))
        await expect(page.get_by_role("region", name="Your line")).to_be_hidden()
        await expect(page.get_by_role("button", name="Take over")).to_be_enabled()


async def test_a_session_of_another_role_meanwhile_is_told_what_it_may_not(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        console.refusals["/end"] = (403, "forbidden", "The role agent may not do that.")
        await page.get_by_role("button", name="End call").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="End call").click()
        await expect(dialog.get_by_role("alert")).to_have_text("The role agent may not do that.")
        assert "c0" in console.calls


async def test_while_others_flood_the_console_the_page_says_so_and_goes_on(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await expect(page.locator("[data-turn]")).to_have_count(2)
        console.refusals["/api/history"] = (429, "rate_limited", "Too many requests; slow down.")
        await page.get_by_role("link", name="History").click()
        await expect(page.get_by_text("Too many requests; slow down.")).to_be_visible()
        await page.get_by_role("link", name="Live").click()
        console.change("c1", mood="upset")
        await expect(page.locator('tr[data-call="c1"]')).to_contain_text("Upset")
