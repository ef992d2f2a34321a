"""Attacks as a recogniser hears them: said by Piper in a process of its own, heard by Whisper."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np

from evals.trust.attack_material import Attack
from evals.trust.part import Tell
from voice_agent.config import Settings
from voice_agent.models import locate
from voice_agent.speech.spoken_text import as_spoken
from voice_agent.speech.synthesiser import Synthesiser
from voice_agent.speech.transcriber import Transcriber

START_TIMEOUT_S = 60.0


class NoVoice(Exception):
    """The synthesiser does not start."""

    code = "voice_missing"
    retryable = False


def heard_by_whisper(settings: Settings, attacks: Sequence[Attack], tell: Tell) -> list[Attack]:
    """The attacks with the words that were heard.

    Raises:
        NoVoice, ModelsError: they cannot be said or heard on this machine.
    """
    return asyncio.run(_all(settings, attacks, tell))


async def _all(settings: Settings, attacks: Sequence[Attack], tell: Tell) -> list[Attack]:
    transcriber = await asyncio.to_thread(
        Transcriber.load, settings.speech.transcriber, settings.models.folder
    )
    heard = []
    try:
        async with _voice(settings) as voice:
            for number, attack in enumerate(attacks, start=1):
                pieces = [piece async for piece in voice.speak(as_spoken(attack.words))]
                samples = np.frombuffer(b"".join(pieces), "<i2")
                words = (await transcriber.transcribe(samples)).text
                heard.append(replace(attack, words=words))
                if number % 10 == 0:
                    tell(f"spoken and heard: {number} of {len(attacks)}")
    finally:
        transcriber.close()
    return heard


@asynccontextmanager
async def _voice(settings: Settings) -> AsyncIterator[Synthesiser]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    voice = locate(settings.models.folder, settings.speech.synthesiser.voice)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice_agent.speech.piper_server"),
        *("--voice", str(voice), "--port", str(port)),
    )
    client = Synthesiser(
        settings.speech.synthesiser.model_copy(
            update={"host": "127.0.0.1", "port": port, "timeout_s": START_TIMEOUT_S}
        )
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await client.ready():
                if process.returncode is not None:
                    raise NoVoice("the synthesiser ended before it was ready")
                await asyncio.sleep(0.1)
        yield client
    finally:
        await client.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
