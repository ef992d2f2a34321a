"""`voice-agent serve`, a telephone that is not ours, and the console in a real browser.

Nothing here is a stand-in: Debian's baresip rings every real process, its spoken questions are
answered from the documents, and a supervisor listens, takes over, hands back and ends in Chromium.
``VOICE_AGENT_PICTURES=FOLDER`` keeps the pictures, for the README.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import yaml
from playwright.async_api import Page, expect

from evals.rig import Rig, speak
from evals.wire_line import free_port
from tests.telephony.browser import browsing, humming_microphone
from tests.telephony.debian_phone import baresip_folder, program
from tests.telephony.sip_peer import loudest_hz
from tests.voice_agent.console.conftest import PASSWORD
from tests.voice_agent.served import ROOT, settings_tree
from voice_agent.config import load

pytestmark = [
    pytest.mark.models,
    pytest.mark.loopback,
    pytest.mark.interop,
    pytest.mark.browser,
    pytest.mark.timeout(420),
]

PHONE_HZ = 8_000
GREETING_S, ANSWER_S, QUESTIONS = 7, 16, 8
PRICE = "$4.95"  # of standard delivery, in configs/knowledge/delivery-parcels.md
HUM_HZ = 1_250.0  # higher than a voice is loudest
QUARTER = PHONE_HZ // 4
KEEP_CONNECTIONS = """
  const Original = RTCPeerConnection;
  window.lines = [];
  window.RTCPeerConnection = class extends Original {
    constructor(...how) { super(...how); window.lines.push(this); }
  };
"""
RECEIVED = """async () => {
  let bytes = 0, energy = 0;
  for (const line of window.lines)
    for (const each of (await line.getStats()).values())
      if (each.type === "inbound-rtp") {
        bytes += each.bytesReceived;
        energy += each.totalAudioEnergy;
      }
  return { bytes, energy };
}"""


@asynccontextmanager
async def serving(config: Path, folder: Path) -> AsyncIterator[dict[str, str]]:
    """`voice-agent serve`, and the addresses it prints; asked to stop afterwards."""
    serve = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice_agent", "serve", "--json", "--config", str(config)),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert serve.stdout is not None
        addresses = await serve.stdout.readline()
        assert addresses, "it says on standard error why it did not start"
        yield json.loads(addresses)
        serve.send_signal(signal.SIGTERM)
        assert await serve.wait() == 0
    finally:
        if serve.returncode is None:
            serve.send_signal(signal.SIGTERM)
            await serve.wait()


async def may_sign_in(name: str, config: Path, folder: Path) -> None:
    """What the README tells a person to do first."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice_agent", "console", "add-user", name),
        *("--role", "supervisor", "--config", str(config)),
        cwd=folder,
        env={**os.environ, "VOICE_AGENT_CONSOLE_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await command.wait() == 0


def questions(config: Path, folder: Path) -> Path:
    """A caller who asks the same again and again, with time for an answer; 8 kHz."""
    rig = Rig(load(config), config, folder, "", 0)
    asked, rate_hz = soundfile.read(
        speak(rig, {"question": "How much does standard delivery cost?"})["question"],
        dtype="int16",
    )
    asked = soxr.resample(asked, rate_hz, PHONE_HZ)
    silence = [np.zeros(PHONE_HZ * seconds, np.int16) for seconds in (GREETING_S, ANSWER_S)]
    path = folder / "questions.wav"
    soundfile.write(
        path, np.concatenate((silence[0], *([asked, silence[1]] * QUESTIONS))), PHONE_HZ
    )
    return path


async def until(holds: Callable[[Any], bool], look: Callable[[], Any], patience_s: float) -> Any:
    """What ``look`` sees once it ``holds``."""
    async with asyncio.timeout(patience_s):
        while not holds(seen := await look()):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.1)
    return seen


async def keep_picture(page: Page, name: str) -> None:
    if kept := os.environ.get("VOICE_AGENT_PICTURES"):
        await page.screenshot(path=Path(kept) / f"{name}.png")


async def press(page: Page, name: str) -> None:
    button = page.get_by_role("button", name=name, exact=True)
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true", timeout=20_000)


async def confirm(page: Page, name: str) -> None:
    await page.get_by_role("dialog").get_by_role("button", name=name).click()


def hummed(heard: np.ndarray[Any, Any]) -> list[bool]:
    """For each quarter of a second, whether the supervisor's hum is what was heard."""
    whole = len(heard) // QUARTER * QUARTER
    return [
        bool(np.abs(each).max() > 1_000 and abs(loudest_hz(each, PHONE_HZ) - HUM_HZ) < 10)
        for each in heard[:whole].reshape(-1, QUARTER)
    ]


def longest_run(marks: list[bool]) -> tuple[int, int]:
    """Where the longest run of true ones begins and ends."""
    runs, begins = [(0, 0)], 0
    for at, mark in enumerate([*marks, False]):
        if not mark:
            runs.append((begins, at))
            begins = at + 1
    return max(runs, key=lambda run: run[1] - run[0])


def kept_by(phone: Path) -> np.ndarray[Any, Any]:
    """What baresip heard, once it has closed its file; nothing before."""
    for path in phone.glob("dump-*-dec.wav"):
        heard, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == PHONE_HZ
        return np.asarray(heard)
    return np.zeros(0, np.int16)


def knowledge(folder: Path) -> Path:
    """Enough to answer from, and soon indexed."""
    documents = folder / "documents"
    documents.mkdir()
    for path in sorted((ROOT / "configs" / "knowledge").glob("delivery-*")):
        shutil.copy(path, documents)
    return documents


async def test_a_supervisor_takes_part_in_a_call_of_another_makers_telephone(
    tmp_path: Path,
) -> None:
    config = tmp_path / "settings.yaml"
    tree = settings_tree(tmp_path)
    tree["knowledge"]["documents"] = str(knowledge(tmp_path))
    config.write_text(yaml.safe_dump(tree))
    microphone = humming_microphone(tmp_path / "microphone.wav", hz=HUM_HZ)
    async with serving(config, tmp_path) as where:
        await may_sign_in("robin", config, tmp_path)
        asked = await asyncio.to_thread(questions, config, tmp_path)
        heard_folder = tmp_path / "heard"
        port = free_port("127.0.0.1")
        home = baresip_folder(tmp_path, port, asked, answers=False, recorded=heard_folder)
        async with browsing(tmp_path, microphone=microphone) as tab:
            page = tab.page
            await page.add_init_script(KEEP_CONNECTIONS)
            await page.goto(where["console"])
            await page.get_by_label("User name").fill("robin")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("No calls just now.")).to_be_visible()

            dial = ("baresip", "-f", str(home), "-e", f"/dial {where['sip']}")
            async with program(tmp_path, *dial):
                row = page.locator("tbody tr")
                await expect(row).to_contain_text("With agent", timeout=20_000)
                await row.get_by_role("link").click()
                priced = page.locator("[data-turn]").filter(has_text=PRICE)
                turn = priced.first
                await expect(turn).to_contain_text("delivery", timeout=60_000)
                await expect(turn.locator(".backed").first).to_contain_text(PRICE)
                await expect(turn.locator("sup").first).to_have_attribute("title", re.compile("."))

                await press(page, "Listen")
                dock = page.get_by_role("region", name="Your line")
                await expect(dock).to_contain_text("Listening", timeout=20_000)
                before = await page.evaluate(RECEIVED)
                await until(
                    lambda now: (
                        now["bytes"] > before["bytes"] + 5_000
                        and now["energy"] > before["energy"] + 0.001
                    ),
                    lambda: page.evaluate(RECEIVED),
                    patience_s=40,
                )

                await press(page, "Take over")
                await expect(dock).to_contain_text("Taken over")
                await asyncio.sleep(3)  # for as long as the telephone is to hear the supervisor
                await expect(page.locator(".call-head")).not_to_contain_text("Outcome")
                await expect(page.get_by_role("button", name="Whisper")).to_be_hidden()
                await keep_picture(page, "console-takeover")
                answered = await priced.count()
                await page.get_by_role("button", name="Hand back").click()
                await page.get_by_label("What was agreed?").fill("Delivery is free this once")
                await confirm(page, "Hand back")
                await expect(dock).to_contain_text("Listening")
                # A turn is there from its question on, and names the price once it was spoken.
                await expect(priced.nth(answered)).to_be_visible(timeout=60_000)

                await page.get_by_role("button", name="End call").click()
                await confirm(page, "End call")
                await expect(page.locator(".call-head .state")).to_have_text("Ended")

                async def recording() -> np.ndarray[Any, Any]:
                    return kept_by(heard_folder)

                heard = await until(lambda kept: len(kept) > 0, recording, patience_s=10)
            assert tab.complaints == []
            assert tab.hosts == {where["console"].removeprefix("http://").rstrip("/")}
    begins, ends = longest_run(hummed(heard))
    assert ends - begins >= 8, "the supervisor alone is heard for most of three seconds"
    assert np.abs(heard[: begins * QUARTER]).max() > 1_000, "the agent is heard before"
    assert np.abs(heard[(ends + 1) * QUARTER :]).max() > 1_000, "and afterwards"
