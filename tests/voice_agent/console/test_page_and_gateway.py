"""The page, the console and the gateway together: a supervisor in a live call, over real WebRTC."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from telephony.call import LegState
from telephony.control import ControlServer
from telephony.gateway import Gateway
from telephony.media_stream import FRAME_BYTES, SAMPLE_RATE_HZ, Resume, Steer, Steered, Transfer
from telephony.prompts import PromptName, Prompts, soft_tone
from telephony.settings import ControlSettings, GatewaySettings
from tests.telephony.browser import browsing, heard_hz, humming_microphone
from tests.telephony.fakes import AgentEnd, FakeAgent, FakeLeg, FakeLine
from tests.telephony.stage import voice
from tests.telephony.webrtc_peer import loudest_hz, tone
from tests.voice_agent.console.conftest import PASSWORD, SettingsMaker
from tests.voice_agent.console.fake_gateway import TOKEN
from tests.voice_agent.console.page_stage import until
from tests.voice_agent.console.test_page_supervise import pressed
from voice_agent.console.app import Console
from voice_agent.console.passwords import hash_password
from voice_agent.console.roles import Role

pytestmark = [pytest.mark.browser, pytest.mark.loopback]

SECOND_FRAMES = SAMPLE_RATE_HZ * 2 // FRAME_BYTES


class HummingCaller(FakeLeg):
    """A caller who hums at 660 Hz for as long as the call lasts."""

    _hummed = 0

    def receive_frame(self) -> bytes | None:
        if self.state is not LegState.ANSWERED:
            return None
        samples = FRAME_BYTES // 2
        self._hummed += samples
        return tone(660, samples, SAMPLE_RATE_HZ, self._hummed)


def transfers(end: AgentEnd) -> list[Transfer]:
    return [each for each in end.messages if isinstance(each, Transfer)]


async def test_a_supervisor_hears_steers_takes_over_and_hands_back_a_live_call(
    tmp_path: Path, make_settings: SettingsMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AGENT_CONTROL_TOKEN", TOKEN)
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=440.0)
    people = FakeLine()
    async with FakeAgent() as agent:
        gateway = Gateway(
            GatewaySettings.model_validate(
                {"agent": {"url": agent.url}, "kill_switch": str(tmp_path / "switch.json")}
            ),
            dial=people.dial,
            prompts=Prompts({name: [voice(0)] for name in PromptName}, soft_tone()),
        )
        control = ControlServer(ControlSettings(port=0), gateway, ("127.0.0.1",))
        await control.start()
        console = Console(make_settings(urlsplit(control.url).port or 0))
        console.desk.accounts.add("robin", Role.SUPERVISOR, hash_password("robin", PASSWORD))
        server = TestServer(console.app)
        await server.start_server()
        caller = HummingCaller()
        try:
            call = asyncio.ensure_future(gateway.take(caller))
            end = await agent.stream(1)
            await until(lambda: caller.state is LegState.ANSWERED)
            await end.say(voice(7, frames=5))
            async with browsing(tmp_path, microphone=microphone) as tab:
                page = tab.page
                await page.goto(str(server.make_url("/")))
                await page.get_by_label("User name").fill("robin")
                await page.get_by_label("Password").fill(PASSWORD)
                await page.keyboard.press("Enter")
                await page.locator("tbody tr a").first.click()
                await expect(page.get_by_role("button", name="Listen")).to_be_enabled()

                await pressed(page, "Listen")
                dock = page.get_by_role("region", name="Your line")
                await expect(dock).to_contain_text("Listening", timeout=20_000)
                assert abs(await heard_hz(page, "audio") - 660) < 20

                await page.get_by_label("Instruction to the agent").fill("Offer the weekend")
                await page.get_by_role("button", name="Send").click()
                await until(lambda: bool(end.of(Steer)))
                steer = end.of(Steer)[0]
                assert isinstance(steer, Steer)
                assert steer.text == "Offer the weekend"
                await end.send(Steered(steer.steer_id, False, "No promises."))
                await expect(page.get_by_text("Refused: No promises.")).to_be_visible()

                await pressed(page, "Take over")
                await expect(dock).to_contain_text("Taken over")
                taken = len(caller.heard) + SECOND_FRAMES
                await until(lambda: len(caller.heard) >= taken + SECOND_FRAMES)
                heard = b"".join(caller.heard[-SECOND_FRAMES:])
                assert abs(loudest_hz(heard, SAMPLE_RATE_HZ) - 440) < 10

                await page.get_by_role("button", name="Hand back").click()
                await page.get_by_label("What was agreed?").fill("A new lamp")
                await page.get_by_role("dialog").get_by_role("button", name="Hand back").click()
                await until(lambda: bool(end.of(Resume)))
                resume = end.of(Resume)[-1]
                assert isinstance(resume, Resume)
                assert "A new lamp" in resume.note
                await expect(dock).to_contain_text("Listening")

                await page.get_by_role("button", name="To a person").click()
                await page.get_by_role("dialog").get_by_role("button", name="Put through").click()
                await until(lambda: any(each.state == "wanted" for each in transfers(end)))
                await end.send(Transfer(cause="supervisor"))
                await expect(page.get_by_text("People are being rung.")).to_be_visible()
                await expect(page.locator(".call-facts")).to_contain_text("Supervisor's choice")
                assert people.rung

                await page.get_by_role("button", name="End call").click()
                await page.get_by_role("dialog").get_by_role("button", name="End call").click()
                await expect(page.locator(".call-head .state")).to_have_text("Ended")
                outcome = "Outcome: Ended by a supervisor"
                await expect(page.locator(".call-facts")).to_contain_text(outcome)
                await asyncio.wait_for(call, 10)
                assert tab.complaints == []
        finally:
            await gateway.close()
            await control.stop()
            await server.close()
