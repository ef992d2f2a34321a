"""A spoken question from a web page, answered by the real agent with the real small models."""

from __future__ import annotations

import asyncio
import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from aiortc.contrib.media import MediaPlayer
from playwright.async_api import expect

from evals.rig import Rig, rig, speak
from tests.telephony.browser import browsing
from tests.telephony.webrtc_peer import Peer
from voice_agent.config import Settings

GREETING_S, ANSWER_S = 6, 60
PRICE = "$4.95"  # of standard delivery, in configs/knowledge/delivery-parcels.md

pytestmark = [pytest.mark.models, pytest.mark.loopback, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    tree = Settings().model_dump(mode="json")
    # A busy test machine may read slowly; whether it answers is the question here.
    tree["answering"]["model"].update(first_token_timeout_s=30, token_timeout_s=15)
    tree["knowledge"]["deadline_ms"] = 5000
    settings = Settings.model_validate(tree)
    with rig(settings, tmp_path_factory.mktemp("web"), print) as bench:
        yield bench


@pytest.fixture(scope="module")
def microphone(running: Rig) -> Path:
    """Silence while the agent greets, a question, silence while it answers; 48 kHz."""
    question, rate_hz = sf.read(
        speak(running, {"question": "How much does standard delivery cost?"})["question"],
        dtype="int16",
    )
    quiet = [np.zeros(rate_hz * seconds, np.int16) for seconds in (GREETING_S, ANSWER_S)]
    samples = np.repeat(np.concatenate((quiet[0], question, quiet[1])), 48_000 // rate_hz)
    path = running.folder / "microphone.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 48_000, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return path


def page_of(running: Rig) -> str:
    return f"http://127.0.0.1:{running.settings.gateway.web.port}"


async def test_a_web_caller_hears_and_reads_the_answer(running: Rig, microphone: Path) -> None:
    peer = Peer()
    peer.connection.getSenders()[0].replaceTrack(MediaPlayer(str(microphone)).audio)

    def said(speaker: str) -> str:
        captions = [m for m in peer.messages if m["event"] == "caption"]
        return " ".join(m["text"] for m in captions if m["speaker"] == speaker)

    async def wait_for(speaker: str, words: str) -> None:
        async with asyncio.timeout(90):
            while words not in said(speaker):
                await peer.until(more_than(len(peer.messages)))

    def more_than(count: int) -> Callable[[], bool]:
        return lambda: len(peer.messages) > count

    try:
        await peer.ring(page_of(running))
        await wait_for("agent", "How can I help you?")
        await wait_for("caller", "delivery")
        await wait_for("agent", PRICE)
        loud = np.abs(np.frombuffer(bytes(peer.heard), np.int16)) > 1000
        assert loud.sum() > 48_000 // 2, "the greeting and the answer are also heard"
    finally:
        await peer.close()


@pytest.mark.browser
async def test_a_caller_asks_from_the_page_in_a_real_browser(
    running: Rig, microphone: Path, tmp_path: Path
) -> None:
    async with browsing(tmp_path, microphone=microphone) as tab:
        await tab.page.goto(page_of(running))
        await tab.page.get_by_role("button", name=re.compile("call|ring", re.IGNORECASE)).click()
        captions = tab.page.locator("#captions")
        await expect(captions).to_contain_text("How can I help you?", timeout=30_000)
        await expect(captions).to_contain_text("delivery", timeout=60_000)
        await expect(captions).to_contain_text(PRICE, timeout=60_000)
        await tab.page.get_by_role("button", name="Hang up").click()
        await expect(tab.page.locator("#state")).to_have_text("You ended the call.")
        assert tab.complaints == []
        assert tab.hosts == {page_of(running).removeprefix("http://")}
