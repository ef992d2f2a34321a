"""The caller's page in headless Chromium, with a microphone that plays a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from telephony.media_stream import SAMPLE_RATE_HZ
from telephony.webrtc import WebRtcLeg
from tests.telephony.browser import browsing, heard_hz, humming_microphone
from tests.telephony.webrtc_peer import FakeGateway, loudest_hz, serving

pytestmark = pytest.mark.browser

SECOND_BYTES = 2 * SAMPLE_RATE_HZ
BUBBLE = "#captions li.{speaker}"


async def until(condition: Callable[[], bool]) -> None:
    """Poll what other tasks change, for as long as a slow machine may need."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is polled is plain state
            await asyncio.sleep(0.02)


async def ring(page: Page, url: str) -> None:
    await page.goto(f"{url}/")
    await page.get_by_role("button", name="Call").click()


async def answered(page: Page) -> None:
    await expect(page.locator("body")).to_have_attribute("data-state", "answered", timeout=30_000)


async def test_a_caller_rings_reads_presses_keys_mutes_and_hangs_up(tmp_path: Path) -> None:
    async def talk(leg: WebRtcLeg, _: FakeGateway) -> None:
        leg.show_caption("agent", "a1", "Hello, how can I help?", True)
        leg.show_caption("caller", "c1", "where is", False)
        leg.show_caption("caller", "c1", "Where is <img src=x onerror=alert(1)> my order?", True)

    gateway = FakeGateway(play_hz=660.0, on_answered=talk)
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    async with serving(gateway) as server, browsing(tmp_path, microphone=microphone) as tab:
        page = tab.page
        await ring(page, server.url)
        await answered(page)

        await expect(page.locator(BUBBLE.format(speaker="agent"))).to_contain_text(
            "Hello, how can I help?"
        )
        said = page.locator(BUBBLE.format(speaker="caller"))
        await expect(said).to_have_count(1)
        await expect(said).to_contain_text("Where is <img src=x onerror=alert(1)> my order?")
        assert await page.locator("#captions img").count() == 0
        await expect(page.locator("#spoken")).to_contain_text("Voice agent: Hello")

        await until(lambda: len(gateway.heard) >= 2 * SECOND_BYTES)
        heard = bytes(gateway.heard[-SECOND_BYTES:])
        assert abs(loudest_hz(heard, SAMPLE_RATE_HZ) - 440) < 10
        await expect(page.locator("#level")).not_to_have_attribute("aria-valuenow", "0")

        await page.get_by_role("button", name="Keypad").click()
        await page.get_by_role("button", name="1", exact=True).click()
        await page.get_by_role("button", name="star").click()
        await page.keyboard.press("7")
        await expect(page.locator("#pressed")).to_have_text("1*7")
        await until(lambda: gateway.digits == "1*7")

        await page.get_by_role("button", name="Mute").click()
        await expect(page.get_by_role("button", name="Unmute")).to_have_attribute(
            "aria-pressed", "true"
        )
        await expect(page.locator("#level")).to_have_attribute("aria-valuenow", "0")
        silent = len(gateway.heard) + SECOND_BYTES
        await until(lambda: len(gateway.heard) >= silent + SECOND_BYTES)
        assert not any(gateway.heard[silent:])

        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator("#state")).to_have_text("You ended the call.")
        await expect(page.get_by_role("button", name="Call again")).to_be_focused()
        await gateway.released.wait()
        assert gateway.ended == ["hung_up"]
        assert tab.complaints == []
        assert tab.hosts == {server.url.removeprefix("http://")}


async def test_the_agents_sound_plays_on_the_page(tmp_path: Path) -> None:
    gateway = FakeGateway(play_hz=660.0)
    async with serving(gateway) as server, browsing(tmp_path) as tab:
        await ring(tab.page, server.url)
        await answered(tab.page)
        assert abs(await heard_hz(tab.page, "#agent") - 660) < 20


async def test_the_caller_reads_why_each_call_ended(tmp_path: Path) -> None:
    endings = {
        "agent_hung_up": "The call has ended. Thank you for calling.",
        "human_hung_up": "The other person ended the call.",
        "busy": "All lines are busy. Please try again in a few minutes.",
        "nobody_available": "Nobody can take your call just now. Please call again later.",
    }
    gateway = FakeGateway()
    async with serving(gateway) as server, browsing(tmp_path) as tab:
        await tab.page.goto(f"{server.url}/")
        for reason, sentence in endings.items():

            async def end(leg: WebRtcLeg, _: FakeGateway, reason: str = reason) -> None:
                await leg.hang_up(reason)

            gateway.on_answered = end
            await tab.page.locator("#ring").click()
            await expect(tab.page.get_by_text(sentence)).to_be_visible(timeout=30_000)
            await expect(tab.page.get_by_role("button", name="Call again")).to_be_enabled()
        assert tab.complaints == []


async def test_a_transfer_is_shown_and_a_second_call_starts_clean(tmp_path: Path) -> None:
    async def transfer(leg: WebRtcLeg, _: FakeGateway) -> None:
        leg.show_caption("caller", "c1", "a person please", True)
        leg.show_transfer("ringing")

    gateway = FakeGateway(on_answered=transfer)
    async with serving(gateway) as server, browsing(tmp_path) as tab:
        page = tab.page
        await ring(page, server.url)
        await expect(page.locator("#state")).to_have_text(
            "Putting you through to a person…", timeout=30_000
        )
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator("#captions li")).to_have_count(1)
        gateway.on_answered = None
        await page.get_by_role("button", name="Call again").click()
        await answered(page)
        await expect(page.locator("#captions li")).to_have_count(0)
        assert len(gateway.legs) == 2


async def test_a_refused_microphone_is_explained(tmp_path: Path) -> None:
    async with (
        serving(FakeGateway()) as server,
        browsing(tmp_path, permit=False, extra_flags=("--deny-permission-prompts",)) as tab,
    ):
        await ring(tab.page, server.url)
        await expect(tab.page.get_by_role("alert")).to_contain_text(
            "Your browser blocked the microphone"
        )


async def test_a_microphone_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    sentences = {
        "NotFoundError": "No microphone was found",
        "NotReadableError": "Another program is using your microphone",
        "NotAllowedError": "Your browser blocked the microphone",
    }
    async with serving(FakeGateway()) as server, browsing(tmp_path) as tab:
        await tab.page.goto(f"{server.url}/")
        for name, sentence in sentences.items():
            await tab.page.evaluate(
                """(name) => {
                  navigator.mediaDevices.getUserMedia = () =>
                    Promise.reject(new DOMException("", name));
                }""",
                name,
            )
            await tab.page.locator("#ring").click()
            await expect(tab.page.get_by_role("alert")).to_contain_text(sentence)
        assert tab.complaints == []


async def test_an_unreachable_service_is_explained(tmp_path: Path) -> None:
    async with serving(FakeGateway()) as server, browsing(tmp_path) as tab:
        await tab.page.goto(f"{server.url}/")
        await server.stop()
        await tab.page.get_by_role("button", name="Call").click()
        await expect(tab.page.get_by_role("alert")).to_contain_text("We can’t reach the service")


async def test_a_busy_service_is_explained(tmp_path: Path) -> None:
    async with serving(FakeGateway(ready=False)) as server, browsing(tmp_path) as tab:
        await ring(tab.page, server.url)
        await expect(tab.page.get_by_role("alert")).to_contain_text("All lines are busy")


async def test_a_closed_tab_ends_the_call(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with serving(gateway) as server, browsing(tmp_path) as tab:
        await ring(tab.page, server.url)
        await answered(tab.page)
        await tab.page.goto("about:blank")
        await asyncio.wait_for(gateway.released.wait(), 30)
    assert gateway.ended[0] in ("hung_up", "left")


async def test_nothing_is_cut_off_with_the_keypad_open(tmp_path: Path) -> None:
    async with serving(FakeGateway()) as server, browsing(tmp_path) as tab:
        page = tab.page
        await ring(page, server.url)
        await answered(page)
        await page.get_by_role("button", name="Keypad").click()
        for width, height in ((360, 640), (768, 700), (844, 390), (1280, 720)):
            await page.set_viewport_size({"width": width, "height": height})
            for name in ("Mute", "Keypad", "Hang up", "5", "hash"):
                box = await page.get_by_role("button", name=name, exact=True).bounding_box()
                assert box is not None
                assert 0 <= box["x"] <= box["x"] + box["width"] <= width
                assert 0 <= box["y"] <= box["y"] + box["height"] <= height
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_a_call_can_be_made_with_the_keyboard_alone(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with serving(gateway) as server, browsing(tmp_path) as tab:
        page = tab.page
        await page.goto(f"{server.url}/")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await answered(page)
        await expect(page.locator("#ring")).to_be_focused()
        await page.keyboard.press("m")
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        for _ in range(3):
            await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Hang up")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Call again")).to_be_focused()
        assert len(gateway.legs) == 1
