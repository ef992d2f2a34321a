"""Every view in both themes: for screen readers, on small screens, and as pictures.

``VOICE_AGENT_PICTURES=FOLDER`` keeps the pictures, for the README.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.voice_agent.console.fake_console import PASSWORD, FakeConsole
from tests.voice_agent.console.page_stage import (
    a_floor,
    a_handoff,
    a_past_call,
    boards,
    looking_at,
    people,
    proposed_answers,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

VIEWS = {
    "live": ("#/live", "tbody tr"),
    "call": ("#/calls/c0", "[data-turn=t2]"),
    "past-call": ("#/calls/p1", "[data-turn=t2]"),
    "history": ("#/history", "tbody tr"),
    "board": ("#/boards/operations", ".chart svg"),
    "answers": ("#/answers", ".proposals .card"),
    "handoffs": ("#/handoffs", ".cards .card"),
    "handoff": ("#/handoffs/c3", ".story"),
    "switch": ("#/switch", ".big-switch"),
    "audit": ("#/audit", "tbody tr"),
    "users": ("#/users", "tbody tr"),
    "privacy": ("#/privacy", ".sheet"),
    "account": ("#/account", ".sheet"),
}
"""Where each view is, and what is there once it is drawn."""
DIALOGS = {
    "#/calls/c0": "To a person",
    "#/users": "Manage ada",
    "#/account": "Change password",
}
SERIOUS = ("serious", "critical")
SIZES = ((1280, 800), (1024, 768), (768, 1024))
SHOWN = {"live": False, "call": True, "board": False, "handoff": True}
"""Views the README shows, and whether in the dark theme."""


def everything() -> FakeConsole:
    console = a_floor(24)
    a_past_call(console)
    boards(console)
    people(console)
    proposed_answers(console)
    a_handoff(console)
    console.handoffs["c3"]["turns"] = [
        {"caller": "I want my money back for the sofa, all 240 dollars.",
         "agent": "I have found order 0742. A refund of that size is for my colleagues."},
        {"caller": "Then give me one of them.", "agent": "Of course. One moment please."},
    ]  # fmt: skip
    console.switches = [
        {"scope": "queue", "name": "returns", "on": True, "by": "kim", "since": 1_780_000_000,
         "reason": "Training"}
    ]  # fmt: skip
    console.answers["/api/answering"] = {
        "drills": [{"at": 1_780_000_000, "new_calls_s": 0.41, "live_calls_s": 1.9, "dropped": 0}]
    }
    return console


async def trouble(page: Page) -> list[str]:
    """What axe-core finds serious, as one line a finding."""
    found = await Axe().run(page)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:120]} {each['nodes'][0]['any'][:1]}"
        for each in found.response["violations"]
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_no_view_has_a_serious_finding(tmp_path: Path, dark: bool) -> None:
    console = everything()
    kept = os.environ.get("VOICE_AGENT_PICTURES")
    folder = Path(kept) if kept else tmp_path / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    async with looking_at(console, tmp_path, dark=dark) as tab:
        page = tab.page
        for name, (where, drawn) in VIEWS.items():
            await page.goto(f"{console.url}/{where}")
            await expect(page.locator(drawn).first).to_be_visible()
            if SHOWN.get(name) is dark:
                path = folder / f"console-{name}.png"
                assert len(await page.screenshot(path=path)) > 10_000
            assert await trouble(page) == [], name
        for where, opens in DIALOGS.items():
            await page.goto(f"{console.url}/{where}")
            await page.get_by_role("button", name=opens).click()
            await expect(page.get_by_role("dialog")).to_be_visible()
            assert await trouble(page) == [], opens
            await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Set up an authenticator").click()
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator(".qr")).to_be_visible()
        assert await trouble(page) == [], "the code for an authenticator"
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Agents off").click()
        assert await trouble(page) == [], "the dialog"
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("User name")).to_be_visible()
        assert await trouble(page) == [], "signing in"
        assert tab.complaints == []
        assert tab.hosts == {console.url.removeprefix("http://")}


@pytest.mark.parametrize("size", SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
async def test_nothing_is_cut_off(tmp_path: Path, size: tuple[int, int]) -> None:
    console = everything()
    width, height = size
    async with looking_at(console, tmp_path, width=width, height=height) as tab:
        page = tab.page
        for name, (where, drawn) in VIEWS.items():
            await page.goto(f"{console.url}/{where}")
            await expect(page.locator(drawn).first).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
            for button in await page.locator("header.bar :is(a, button)").all():
                box = await button.bounding_box()
                assert box is not None, name
                assert box["x"] >= 0, name
                assert box["x"] + box["width"] <= width, name
        await page.goto(f"{console.url}/#/calls/c0")
        for label in ("Listen", "Barge in", "Take over", "End call", "Send"):
            box = await page.get_by_role("button", name=label).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width, label
            assert box["y"] + box["height"] <= height, label


async def test_the_chosen_theme_is_kept(tmp_path: Path) -> None:
    async with looking_at(everything(), tmp_path) as tab:
        page = tab.page
        await page.get_by_role("button", name="Dark theme").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await page.reload()
        await expect(page.get_by_role("button", name="Light theme")).to_be_visible()
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        assert dark == "rgb(17, 20, 18)"


async def test_the_content_is_the_first_thing_a_keyboard_can_skip_to(tmp_path: Path) -> None:
    async with looking_at(everything(), tmp_path, "#/history") as tab:
        page = tab.page
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("From")).to_be_focused()
