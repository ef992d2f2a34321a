"""What Piper says in its own process, Whisper hears in ours."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from voice_agent.config import SynthesiserSettings, TranscriberSettings
from voice_agent.models import locate
from voice_agent.speech.spoken_text import as_spoken
from voice_agent.speech.synthesiser import Synthesiser
from voice_agent.speech.transcriber import Transcriber

pytestmark = pytest.mark.models
MODELS = Path("var/models")


@pytest.fixture
async def synthesiser() -> AsyncIterator[Synthesiser]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice_agent.speech.piper_server",
        "--voice", str(locate(MODELS, "piper-joe")), "--port", str(port),
    )  # fmt: skip
    client = Synthesiser(SynthesiserSettings(port=port, timeout_s=30))
    async with asyncio.timeout(60):
        while not await client.ready():
            assert process.returncode is None
            await asyncio.sleep(0.1)
    yield client
    await client.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_what_is_said_is_heard(synthesiser: Synthesiser) -> None:
    transcriber = Transcriber.load(TranscriberSettings(model="whisper-tiny.en"), MODELS)
    for written, words in (
        ("Standard delivery costs $4.95.", ("delivery", "4.95")),
        ("Yes.", ("yes",)),
        ("Your order will arrive on the 3rd of October.", ("order", "arrive", "october")),
    ):
        audio = b"".join([piece async for piece in synthesiser.speak(as_spoken(written))])
        samples = np.frombuffer(audio, "<i2")
        onset_ms = int(np.flatnonzero(np.abs(samples) > 200)[0]) / 16
        assert onset_ms < 60, "silence before speech is latency"
        heard = (await transcriber.transcribe(samples)).text.lower()
        assert all(word in heard for word in words), heard
    transcriber.close()


async def test_whether_words_trail_off_is_told_by_the_real_engine(
    synthesiser: Synthesiser,
) -> None:
    transcriber = Transcriber.load(TranscriberSettings(model="whisper-tiny.en"), MODELS)
    audio = [piece async for piece in synthesiser.speak("I would like to return the sofa.")]
    samples = np.frombuffer(b"".join(audio), "<i2")
    heard = await transcriber.transcribe(samples)
    judged = await transcriber.trailing(samples, heard)
    transcriber.close()
    assert judged is not None
    assert -40 < judged < 0
