"""Listening to a call, speaking in it and steering it, over real WebRTC in headless Chromium."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, Route, expect

from telephony.media_stream import SAMPLE_RATE_HZ
from tests.telephony.browser import heard_hz, humming_microphone
from tests.telephony.webrtc_peer import loudest_hz
from tests.voice_agent.console.page_stage import a_floor, looking_at, until

pytestmark = pytest.mark.browser

SECOND_BYTES = 2 * SAMPLE_RATE_HZ
SILENT = 60
"""What a codec makes of silence stays below this; the microphone hums at 16,000."""


def loudness(audio: bytearray) -> int:
    """The largest sample."""
    return int(np.abs(np.frombuffer(bytes(audio), "<i2").astype(int)).max())


async def pressed(page: Page, name: str) -> None:
    """Press a button of the call and wait until its mode holds."""
    button = page.get_by_role("button", name=name, exact=True)
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true", timeout=20_000)


async def test_a_supervisor_listens_takes_over_hands_back_and_ends(tmp_path: Path) -> None:
    console = a_floor()
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    async with looking_at(console, tmp_path, "#/calls/c0", microphone=microphone) as tab:
        page = tab.page
        dock = page.get_by_role("region", name="Your line")
        await pressed(page, "Listen")
        await expect(dock).to_contain_text("Listening", timeout=20_000)
        filled = page.locator(".supervise .button.primary")
        await expect(filled).to_have_text(re.compile("Take over"))
        pressed_look, to_do = [
            await page.get_by_role("button", name=name, exact=True).evaluate(
                "node => getComputedStyle(node).backgroundColor"
            )
            for name in ("Listen", "Take over")
        ]
        assert pressed_look != to_do, "the mode one is in does not look like what to press"
        assert abs(await heard_hz(page, "audio") - 660) < 20
        await until(lambda: len(console.gateway.heard) > SECOND_BYTES)
        assert loudness(console.gateway.heard) < SILENT, "who only listens sends no microphone"
        offers = console.bodies("/supervise")
        assert [each["mode"] for each in offers] == ["listen"]
        assert "a=sendrecv" in offers[0]["sdp"]

        # The line stays while another view is open.
        await page.get_by_role("link", name="Boards").click()
        await expect(dock).to_contain_text("Listening")
        await dock.get_by_role("link", name="Ada Hill").click()

        await pressed(page, "Take over")
        await expect(dock).to_contain_text("Taken over")
        await expect(filled).to_have_count(0)
        assert console.bodies("/mode") == [{"mode": "takeover"}]
        assert len(console.bodies("/supervise")) == 1, "no second offer"
        taken = len(console.gateway.heard) + SECOND_BYTES
        await until(lambda: len(console.gateway.heard) >= taken + SECOND_BYTES)
        assert (
            abs(loudest_hz(bytes(console.gateway.heard[-SECOND_BYTES:]), SAMPLE_RATE_HZ) - 440) < 10
        )

        await dock.get_by_role("button", name="Mute").click()
        await expect(dock.get_by_role("button", name="Unmute")).to_be_visible()
        silent = len(console.gateway.heard) + SECOND_BYTES
        await until(lambda: len(console.gateway.heard) >= silent + SECOND_BYTES)
        assert loudness(console.gateway.heard[silent:]) < SILENT

        await page.keyboard.press("h")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Hand back").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("say what was agreed")
        await page.get_by_label("What was agreed?").fill("A new lamp by Friday")
        await dialog.get_by_role("button", name="Hand back").click()
        await expect(dialog).to_have_count(0)
        assert console.bodies("/hand-back") == [{"agreed": "A new lamp by Friday"}]
        await expect(dock).to_contain_text("Listening")
        back = len(console.gateway.heard) + SECOND_BYTES
        await until(lambda: len(console.gateway.heard) >= back + SECOND_BYTES)
        assert loudness(console.gateway.heard[back:]) < SILENT

        await page.get_by_role("button", name="End call").click()
        await dialog.get_by_role("button", name="End call").click()
        await expect(page.locator(".call-head .state")).to_have_text("Ended")
        assert tab.complaints == []
        assert tab.hosts == {console.url.removeprefix("http://")}


async def test_who_leaves_a_takeover_says_so_before_the_line_ends(tmp_path: Path) -> None:
    console = a_floor()
    answer = asyncio.Event()
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    async with looking_at(console, tmp_path, "#/calls/c0", microphone=microphone) as tab:
        page = tab.page
        dock = page.get_by_role("region", name="Your line")

        async def late(route: Route) -> None:
            await answer.wait()
            await route.continue_()

        await page.route("**/leave", late)
        await pressed(page, "Take over")
        await expect(dock).to_contain_text("Taken over", timeout=20_000)
        await dock.get_by_role("button", name="Leave").click()
        await expect(dock).to_contain_text("Leaving…")
        heard = len(console.gateway.heard)
        await until(lambda: len(console.gateway.heard) > heard)
        answer.set()
        await expect(dock).to_be_hidden()
        assert len(console.bodies("/leave")) == 1
        assert tab.complaints == []


async def test_a_recording_is_paused_for_a_reason_and_goes_on(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        pause = page.get_by_role("button", name="Pause recording")
        await expect(page.get_by_role("button", name="End call")).to_be_visible()
        await expect(pause).to_be_hidden()
        console.change("c0", recording={"state": "on", "why": "agreed_by_key"})
        await expect(page.get_by_text("Recording on (agreed by key)")).to_be_visible()
        await pause.click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Pause").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Say why")
        await page.get_by_label("Why?").fill("the caller asked")
        await dialog.get_by_role("button", name="Pause").click()
        await expect(page.get_by_text("Recording paused (supervisor)")).to_be_visible()
        await page.get_by_role("button", name="Resume recording").click()
        await expect(pause).to_be_visible()
        bodies = console.bodies("/recording")
        assert bodies == [{"paused": True, "reason": "the caller asked"}, {"paused": False}]
        assert tab.complaints == []


async def test_whispering_is_offered_only_while_a_person_talks(tmp_path: Path) -> None:
    console = a_floor()
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    async with looking_at(console, tmp_path, "#/calls/c0", microphone=microphone) as tab:
        page = tab.page
        whisper = page.get_by_role("button", name="Whisper", exact=True)
        await expect(page.locator("[data-turn]")).to_have_count(2)
        await expect(whisper).to_be_hidden()
        console.change("c0", stage="bridged")
        await expect(whisper).to_be_visible()
        await page.keyboard.press("w")
        await expect(whisper).to_have_attribute("aria-pressed", "true", timeout=20_000)
        await expect(page.get_by_text("Only the person hears you.")).to_be_visible()
        await pressed(page, "Barge in")
        await expect(page.get_by_text("Everybody hears you.")).to_be_visible()
        assert [each["mode"] for each in console.bodies("/supervise")] == ["whisper"]
        assert [each["mode"] for each in console.bodies("/mode")] == ["barge"]
        await page.get_by_role("button", name="Leave").click()
        await until(lambda: bool(console.bodies("/leave")))
        await expect(page.get_by_role("region", name="Your line")).to_be_hidden()


async def test_a_supervisors_own_phone_is_rung(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await page.get_by_label("Through").select_option("Desk phone")
        await pressed(page, "Take over")
        await until(lambda: bool(console.bodies("/supervise")))
        assert console.bodies("/supervise") == [{"mode": "takeover", "uri": "sip:sam@127.0.0.1"}]
        dock = page.get_by_role("region", name="Your line")
        await expect(dock).to_contain_text("Ringing your phone…")
        console.change("c0", supervisor={"name": "sam", "mode": "takeover"})
        await expect(dock).to_contain_text("Taken over by phone")


async def test_a_phone_that_nobody_picks_up_is_said(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await page.get_by_label("Through").select_option("Desk phone")
        await pressed(page, "Take over")
        await until(lambda: bool(console.bodies("/supervise")))
        code = "supervisor_not_reached"
        console.alarm(id="a4", severity="warning", call_id="c0", code=code, message="No answer")
        await expect(page.get_by_text("Your phone was not picked up.")).to_be_visible()
        await expect(page.get_by_role("region", name="Your line")).to_be_hidden()


async def test_the_second_of_two_supervisors_is_told_who_was_first(tmp_path: Path) -> None:
    console = a_floor()
    console.refusals["/supervise"] = (409, "already_taken", "kim has taken this call over.")
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await page.get_by_role("button", name="Take over").click()
        await expect(page.get_by_text("kim has taken this call over.")).to_be_visible(
            timeout=20_000
        )
        await expect(page.get_by_role("region", name="Your line")).to_be_hidden()
        console.change("c0", supervisor={"name": "kim", "mode": "takeover"})
        await expect(page.get_by_text("kim is in this call (takeover).")).to_be_visible()
        await expect(page.get_by_role("button", name="Take over")).to_have_attribute(
            "aria-pressed", "false"
        )


async def test_a_refused_takeover_leaves_the_microphone_off(tmp_path: Path) -> None:
    console = a_floor()
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    async with looking_at(console, tmp_path, "#/calls/c0", microphone=microphone) as tab:
        page = tab.page
        await pressed(page, "Listen")
        console.refusals["/mode"] = (409, "already_taken", "kim has taken this call over.")
        await page.get_by_role("button", name="Take over").click()
        await expect(page.get_by_text("kim has taken this call over.")).to_be_visible()
        await expect(page.get_by_role("button", name="Listen", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        refused = len(console.gateway.heard) + SECOND_BYTES
        await until(lambda: len(console.gateway.heard) >= refused + SECOND_BYTES)
        assert loudness(console.gateway.heard[refused:]) < SILENT


async def test_a_blocked_microphone_is_explained(tmp_path: Path) -> None:
    flags = ("--deny-permission-prompts",)
    async with looking_at(
        a_floor(), tmp_path, "#/calls/c0", permit=False, extra_flags=flags
    ) as tab:
        await tab.page.get_by_role("button", name="Barge in").click()
        await expect(tab.page.get_by_text("The browser blocked the microphone.")).to_be_visible()
        await expect(tab.page.get_by_role("region", name="Your line")).to_be_hidden()


async def test_a_line_that_drops_is_said_and_the_gateway_told(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await pressed(page, "Take over")
        await asyncio.wait_for(console.gateway.taken.wait(), 20)
        await console.gateway.legs[0].hang_up("ended")
        await expect(page.get_by_text("The call has ended.")).to_be_visible(timeout=30_000)
        await expect(page.get_by_role("region", name="Your line")).to_be_hidden()


async def test_a_closed_tab_leaves_the_call(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        await pressed(tab.page, "Listen")
        dock = tab.page.get_by_role("region", name="Your line")
        await expect(dock).to_contain_text("Listening")
        await tab.page.goto("about:blank")
        await until(lambda: bool(console.bodies("/leave")))


async def test_a_caller_is_sent_to_the_people_of_a_queue(tmp_path: Path) -> None:
    console = a_floor()
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await expect(page.locator("[data-turn]")).to_have_count(2)
        await page.keyboard.press("p")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("People").select_option("care")
        console.refusals["/to-person"] = (409, "not_to_person", "People are being asked already.")
        await dialog.get_by_role("button", name="Put through").click()
        await expect(dialog.get_by_role("alert")).to_have_text("People are being asked already.")
        console.refusals.clear()
        await dialog.get_by_role("button", name="Put through").click()
        await expect(page.get_by_text("People are being rung.")).to_be_visible()
        assert console.bodies("/to-person")[-1] == {"queue": "care"}
        console.change(
            "c0",
            handoff={"state": "ringing", "target": "care", "reason": "", "cause": "supervisor"},
        )
        await expect(page.locator(".call-facts")).to_contain_text("Supervisor's choice, ringing")
        await expect(page.get_by_role("button", name="To a person")).to_be_hidden()


async def test_steering_is_accepted_or_refused_with_the_reason(tmp_path: Path) -> None:
    console = a_floor()
    console.answers["/api/calls/c0/steer"] = {"accepted": True, "reason": ""}
    async with looking_at(console, tmp_path, "#/calls/c0") as tab:
        page = tab.page
        await expect(page.locator("[data-turn]")).to_have_count(2)
        await page.keyboard.press("s")
        await page.keyboard.type("Offer an exchange")
        await page.keyboard.press("Enter")
        await expect(page.locator(".steer-result")).to_contain_text(
            "Answers quoted from documents stay as they are."
        )
        suggested = page.get_by_role("region", name="Suggested passages")
        await suggested.get_by_role("button", name="Say this").click()
        text = page.get_by_label("Sentence the agent says next")
        await expect(text).to_have_value("Refunds above 100 dollars need a manager.")
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_text("The agent says it next.")).to_be_visible()
        console.answers["/api/calls/c0/steer"] = {"accepted": False, "reason": "promises a refund"}
        await text.fill("We promise you the money")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Refused: promises a refund")).to_be_visible()
        await expect(text).to_have_value("We promise you the money")
        assert console.bodies("/steer") == [
            {"text": "Offer an exchange", "say": False},
            {"text": "Refunds above 100 dollars need a manager.", "say": True},
            {"text": "We promise you the money", "say": True},
        ]
        assert tab.complaints == []
