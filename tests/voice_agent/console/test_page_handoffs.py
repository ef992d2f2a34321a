"""The human agent's screen: callers who come to a person, in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.voice_agent.console.page_stage import EVIL, a_floor, a_handoff, looking_at

pytestmark = pytest.mark.browser


async def test_a_human_agent_reads_the_story_and_accepts_by_key(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    console.permissions = ["handoff"]
    async with looking_at(console, tmp_path, "") as tab:
        page = tab.page
        await page.get_by_role("link", name="Ada Hill").click()
        story = page.get_by_role("region", name="The story so far")
        for part in ("Ada Hill", "Verified", "A refund of 240 dollars", "Looked up order 0742",
                     "A call back today", "Annoyed", "Approve the refund"):  # fmt: skip
            await expect(story).to_contain_text(part)
        await expect(page.locator("[data-turn]")).to_contain_text(EVIL)
        await page.keyboard.press("a")
        await expect(page.get_by_text("With you")).to_be_visible()
        await expect(page.get_by_role("button", name="Decline")).to_be_hidden()
        assert console.asked == [("POST", "/api/handoffs/c3/accept", {})]
        assert await page.locator("img").count() == 0
        assert tab.complaints == []


async def test_a_caller_known_by_their_number_alone_is_named_by_it_once(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    console.handoffs["c3"] |= {"who": "", "number": "ada@home"}
    async with looking_at(console, tmp_path, "#/handoffs/c3") as tab:
        await expect(tab.page.get_by_role("heading", name="ada@home")).to_be_visible()
        repeated = tab.page.locator("main p.muted").filter(has_text="ada@home")
        await expect(repeated).to_have_count(0)


async def test_buttons_are_there_only_while_a_click_can_work(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    console.handoffs["c3"] |= {"state": "waiting", "why": "unreachable"}
    async with looking_at(console, tmp_path, "#/handoffs/c3") as tab:
        page = tab.page
        state = page.locator(".handoff .state")
        accept = page.get_by_role("button", name="Accept")
        decline = page.get_by_role("button", name="Decline")
        await expect(state).to_have_text("No telephone could be reached: trying again")
        await expect(accept).to_be_hidden()
        await expect(decline).to_be_hidden()
        await page.keyboard.press("a")
        console.change("c3", handoff={"state": "ringing", "reason": "", "target": "care"})
        await expect(decline).to_be_visible()
        await expect(accept).to_be_hidden()
        console.change("c3", handoff={"state": "answered", "reason": "", "target": "care"})
        await expect(accept).to_be_visible()
        console.change("c3", handoff={"state": "failed", "reason": "busy", "target": "care"})
        await expect(state).to_have_text("Nobody could be reached")
        await expect(decline).to_be_hidden()
        assert console.bodies("/accept") == []


async def test_keys_on_the_list_are_about_the_only_caller(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console, "c3")
    a_handoff(console, "c5")
    console.permissions = ["handoff"]
    async with looking_at(console, tmp_path, "#/handoffs") as tab:
        page = tab.page
        await expect(page.get_by_role("link", name="Ada Hill")).to_have_count(2)
        await page.keyboard.press("a")
        await expect(page.get_by_text("Several callers wait: open one first.")).to_be_visible()
        del console.handoffs["c5"]
        console.handoffs["c3"]["state"] = "ringing"
        await expect(page.get_by_role("link", name="Ada Hill")).to_have_count(1)
        await page.keyboard.press("a")
        assert console.bodies("/accept") == []
        await page.keyboard.press("d")
        await expect(page.get_by_text("The next person is rung.")).to_be_visible()
        assert console.bodies("/decline") == [{}]


async def test_a_declined_handoff_goes_on_to_the_next(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    async with looking_at(console, tmp_path, "#/handoffs/c3") as tab:
        page = tab.page
        console.refusals["/decline"] = (409, "not_ringing", "Nobody is being rung.")
        await page.get_by_role("button", name="Decline").click()
        await expect(page.get_by_text("Nobody is being rung.")).to_be_visible()
        console.refusals.clear()
        await page.get_by_role("button", name="Decline").click()
        await expect(page.get_by_text("The next person is rung.")).to_be_visible()
        console.change("c3", handoff={"state": "bridged", "reason": "limit", "target": "care"})
        await expect(page.locator(".handoff .state")).to_have_text("With you")
        console.tell(event="turn", call_id="c3", turn={"turn_id": "n1", "caller": "Thank you"})
        await expect(page.locator("[data-turn]")).to_have_count(2)
        console.end("c3")
        await expect(page.locator(".handoff .state")).to_have_text("Over")


async def test_a_human_agent_whose_stream_is_refused_is_told_and_catches_up(tmp_path: Path) -> None:
    console = a_floor()
    a_handoff(console)
    console.permissions = ["handoff"]
    async with looking_at(console, tmp_path, "#/handoffs/c3") as tab:
        page = tab.page
        lost = page.get_by_text("The console does not answer. Trying again…")
        await expect(page.locator("[data-turn]")).to_have_count(1)
        await expect(lost).to_be_hidden()
        console.refusals["/handoffs/c3/events"] = (503, "down", "Down")
        console.drop_listeners()
        await expect(lost).to_be_visible()
        missed = {"turn_id": "t9", "caller": "And the lamp?", "agent": "It is free."}
        console.handoffs["c3"] |= {"turns": [missed], "state": "accepted"}
        console.refusals.clear()
        await expect(page.locator("[data-turn]").last).to_contain_text(
            "And the lamp?", timeout=20_000
        )
        await expect(lost).to_be_hidden()
        await expect(page.locator(".handoff .state")).to_have_text("With you")
        console.handoffs.clear()
        console.drop_listeners()
        console.refusals["/handoffs/c3/events"] = (404, "not_found", "Not handed over.")
        # a browser takes its time before it tries again
        await expect(page.locator(".handoff .state")).to_have_text("Over", timeout=20_000)


async def test_a_human_agent_sees_new_callers_without_the_live_board(tmp_path: Path) -> None:
    console = a_floor()
    console.permissions = ["handoff"]
    async with looking_at(console, tmp_path, "") as tab:
        page = tab.page
        await expect(page.get_by_text("Nobody is waiting for a person.")).to_be_visible()
        a_handoff(console)
        await expect(page.get_by_role("link", name="Ada Hill")).to_be_visible()
        console.handoffs.clear()
        await expect(page.get_by_text("Nobody is waiting for a person.")).to_be_visible()
        assert tab.complaints == []
