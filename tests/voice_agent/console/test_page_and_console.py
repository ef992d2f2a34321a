"""The page with the real console behind it, in headless Chromium; only the gateway is a fake."""

from __future__ import annotations

import time
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import expect

from tests.telephony.browser import browsing
from tests.voice_agent.console.conftest import PASSWORD, Stage
from tests.voice_agent.console.fake_gateway import call
from tests.voice_agent.console.page_stage import until
from voice_agent.console.passwords import hash_password
from voice_agent.console.roles import Role

pytestmark = pytest.mark.browser

TURN = {
    "turn_id": "turn-1", "index": 1, "at_ms": 900, "caller": "What does delivery cost?",
    "agent": "Delivery costs five dollars. We ring before.",
    "heard": "Delivery costs five dollars.", "cut_off": True, "voice_to_voice_ms": 433,
    "road": "answer", "confidence": 0.91,
    "stages_ms": {"silence": 250, "synthesis": 183}, "actions": [], "guards": [],
    "sources": [{"sentence": "Delivery costs five dollars.", "passage_id": "delivery#1",
                 "title": "Delivery", "score": 0.8}],
}  # fmt: skip


async def test_a_supervisor_signs_in_watches_steers_and_switches(
    stage: Stage, tmp_path: Path
) -> None:
    stage.console.desk.accounts.add("robin", Role.SUPERVISOR, hash_password("robin", PASSWORD))
    await stage.gateway.listened.wait()
    stage.gateway.say("call_began", call=call("call-1"))
    url = str(stage.server.make_url("/"))
    async with browsing(tmp_path) as tab:
        page = tab.page
        await page.goto(url)
        await page.get_by_label("User name").fill("robin")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        row = page.locator('tr[data-call="call-1"]')
        await expect(row).to_contain_text("With agent")
        stage.gateway.say("turn", call_id="call-1", kind="turn", data=TURN)
        await expect(row).to_contain_text("433 ms")
        stage.gateway.say("turn", call_id="call-1", kind="mood", data={"mood": "upset"})
        await expect(row).to_contain_text("Upset")
        await expect(page.get_by_role("region", name="Alarms")).to_contain_text("seems upset")

        await row.get_by_role("link").click()
        turn = page.locator("[data-turn=turn-1]")
        await expect(turn.locator("del").last).to_contain_text("We ring before.")
        await expect(turn.locator(".backed")).to_contain_text("Delivery costs five dollars.")
        await page.keyboard.press("s")
        await page.keyboard.type("Offer the weekend")
        await page.keyboard.press("Enter")
        await until(lambda: any(what == "steer" for what, _ in stage.gateway.asked))
        await page.get_by_role("button", name="Take over").click()
        await until(lambda: any(what == "supervise" for what, _ in stage.gateway.asked))
        # This gateway's answer is no session description.
        await expect(
            page.get_by_text("The line into the call could not be set up.")
        ).to_be_visible()
        await until(lambda: any(what == "leave" for what, _ in stage.gateway.asked))

        await page.get_by_role("button", name="Agents answer").click()
        await page.get_by_label("Reason").fill("Wrong prices")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Agents are off")).to_be_visible()
        for view in ("history", "boards/operations", "boards/quality", "handoffs", "switch"):
            await page.goto(f"{url}#/{view}")
            await expect(page.locator("main h1").first).to_be_visible()
            await expect(page.locator("main [aria-busy]")).to_have_count(0)
            await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("User name")).to_be_visible()
        assert tab.hosts == {url.removeprefix("http://").rstrip("/")}
        assert [each for each in tab.complaints if "line failed" not in each] == []


async def test_a_second_factor_is_set_up_on_the_page_and_asked_for_from_then_on(
    stage: Stage, tmp_path: Path
) -> None:
    stage.console.desk.accounts.add("robin", Role.SUPERVISOR, hash_password("robin", PASSWORD))
    async with browsing(tmp_path) as tab:
        page = tab.page
        await page.goto(str(stage.server.make_url("/")))
        await page.get_by_label("User name").fill("robin")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="robin").click()
        await page.get_by_role("button", name="Set up an authenticator").click()
        await page.get_by_label("Your password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator(".qr")).to_be_visible()
        key = (await page.get_by_role("dialog").locator("code").inner_text()).replace(" ", "")
        authenticator = pyotp.TOTP(key)
        # that of half a minute ago, since each counts once and another is needed below
        earlier = authenticator.at(time.time() - 30)
        await page.get_by_label("Code from your authenticator").fill(earlier)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Set up another")).to_be_visible()
        await page.get_by_role("button", name="Change password").click()
        await page.get_by_label("Password until now").fill(PASSWORD)
        await page.get_by_label("New password", exact=True).fill(f"{PASSWORD} anew")
        await page.get_by_label("New password again").fill(f"{PASSWORD} anew")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Your password is changed.")).to_be_visible()
        # the session goes on under its new token
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("User name").fill("robin")
        await page.get_by_label("Password").fill(f"{PASSWORD} anew")
        await page.keyboard.press("Enter")
        code = page.get_by_label("Code from your authenticator")
        await code.fill(authenticator.now())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="robin")).to_be_visible()


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_finds_its_views_without_a_refusal(
    stage: Stage, tmp_path: Path, role: Role
) -> None:
    stage.console.desk.accounts.add("robin", role, hash_password("robin", PASSWORD))
    url = str(stage.server.make_url("/"))
    async with browsing(tmp_path) as tab:
        page = tab.page
        await page.goto(url)
        await page.get_by_label("User name").fill("robin")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        links = page.locator("nav[aria-label=Views] a")
        await expect(links.first).to_be_visible()
        for link in await links.all():
            await link.click()
            await expect(link).to_have_attribute("aria-current", "page")
            await expect(page.locator("main h1").first).to_be_attached()
            await expect(page.locator("main [aria-busy]")).to_have_count(0)
            await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
        for board in await page.locator("nav[aria-label=Boards] a").all():
            await board.click()
        assert tab.complaints == []
