"""The few sentences the gateway itself must be able to say when no agent answers, as WAV files."""

from __future__ import annotations

import asyncio
import os
import wave
from pathlib import Path

from voice_agent.config import SynthesiserSettings
from voice_agent.speech.synthesiser import Synthesiser

SAMPLE_RATE_HZ = 16_000

SENTENCES = {
    "hold": "Please stay on the line. Someone will be with you in a moment.",
    "trouble": (
        "I'm sorry, I am having some trouble right now. Please stay on the line, "
        "I will find someone to help you."
    ),
    "switched": (
        "Our automatic assistant is not taking calls at the moment. Please stay on the line, "
        "a person will be with you as soon as possible."
    ),
    "sent": "Please stay on the line, I'll put you through to a colleague now.",
    "cut_off": "I'm sorry, we were cut off. Please stay on the line.",
    "notice": "This call is recorded for quality and training.",
    "consent": (
        "May we record this call for quality and training? Please say yes or press one, "
        "or say no or press two."
    ),
    "goodbye": (
        "I'm sorry, nobody can take your call at the moment. Please try again later. Goodbye."
    ),
    "call_back": (
        "I'm sorry, nobody can take your call at the moment. "
        "We will call you back at the number you are calling from. Goodbye."
    ),
    "calling_back": "Hello, you asked us to call you back. Please stay on the line.",
    "accept": "Press one to take the call, or two to decline.",
}


def missing(folder: Path) -> list[str]:
    """The names of prompts that have no file yet; a company's own recordings are kept."""
    return [name for name in SENTENCES if not (folder / f"{name}.wav").is_file()]


async def render(folder: Path, settings: SynthesiserSettings) -> list[Path]:
    """Speak the missing prompts into 16 kHz mono WAV files.

    Raises:
        SynthesiserError: the synthesiser does not answer; no half file is left.
    """
    written = []
    synthesiser = Synthesiser(settings)
    try:
        for name in await asyncio.to_thread(missing, folder):
            sound = b"".join([chunk async for chunk in synthesiser.speak(SENTENCES[name])])
            written.append(await asyncio.to_thread(_write, folder, name, sound))
    finally:
        await synthesiser.close()
    return written


def _write(folder: Path, name: str, sound: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.wav"
    with wave.open(str(unfinished), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(sound)
    target = folder / f"{name}.wav"
    os.replace(unfinished, target)
    return target
