"""A caller's message: written to disk as it is spoken, then transcribed.

Whatever ends it (the hash key, silence, the caller leaving, a crash), what was said until then is
in the file. Beside each ``ID.wav`` stands ``ID.json`` with who, when, why, and the words.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog

from telephony.media_stream import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ
from voice_agent.errors import as_logged
from voice_agent.turns.utterance import Samples, level_db

log = structlog.get_logger(__name__)

MAX_S = 120
SILENCE_AFTER_S = 4.0
SILENCE_BEFORE_S = 8.0
"""Without a word for so long, there is no message."""
VOICE_DB = -42.0
"""Louder than a telephone line's noise, softer than anybody who speaks into it."""
VOICED_LEAST_MS = 400
_WRITTEN_AT_ONCE_BYTES = 50 * FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``words`` are empty until it is transcribed."""

    message_id: str
    call_id: str
    caller: str
    queue: str
    reason: str
    at: float
    seconds: float
    words: str = ""


class Ears(Protocol):
    """Speech to text (see ``speech.transcriber``)."""

    async def transcribe(self, samples: Samples) -> Any:
        """What was said (``.text``) in 16 kHz mono samples."""


class Taping:
    """One message being taken; a thread of its own writes it to the disk, in order."""

    def __init__(self, folder: Path, message: Message) -> None:
        """
        Raises:
            OSError: it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._json = folder / f"{message.message_id}.json"
        self._path = folder / f"{message.message_id}.wav"
        opened = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._raw = os.fdopen(opened, "wb")
        self._out: wave.Wave_write = wave.open(self._raw, "wb")  # noqa: SIM115 - closed in `end`
        self._out.setnchannels(1)
        self._out.setsampwidth(2)
        self._out.setframerate(SAMPLE_RATE_HZ)
        self._message = message
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="voicemail")
        self._fault: OSError | None = None
        self._frames = bytearray()
        self._sound = bytearray()
        self._voiced_ms = self._silent_ms = 0
        self._closed = False

    @property
    def spoken(self) -> bool:
        """Something was said."""
        return self._voiced_ms >= VOICED_LEAST_MS

    def take(self, audio: bytes) -> bool:
        """More of the caller; true when the message is over."""
        if self._closed:
            return True
        self._frames += audio
        while len(self._frames) >= FRAME_BYTES:
            frame = bytes(self._frames[:FRAME_BYTES])
            del self._frames[:FRAME_BYTES]
            self._sound += frame
            if level_db(frame) > VOICE_DB:
                self._voiced_ms += FRAME_MS
                self._silent_ms = 0
            else:
                self._silent_ms += FRAME_MS
            if len(self._sound) % _WRITTEN_AT_ONCE_BYTES == 0:
                self._disk.submit(self._write, bytes(self._sound[-_WRITTEN_AT_ONCE_BYTES:]))
        patience_s = SILENCE_AFTER_S if self.spoken else SILENCE_BEFORE_S
        long = len(self._sound) >= MAX_S * SAMPLE_RATE_HZ * 2
        return long or self._silent_ms >= patience_s * 1000

    async def end(self) -> Message | None:
        """Close the file, once; ``None``, and no file, when nothing was said.

        Raises:
            OSError: some of it could not be written; what could is in the file.
        """
        self._closed = True
        finishing = asyncio.get_running_loop().run_in_executor(self._disk, self._finish)
        self._disk.shutdown(wait=False)
        await finishing
        return self._message if self.spoken else None

    async def transcribe(self, ears: Ears) -> Message:
        """Add the words; a message that cannot be understood is kept without."""
        try:
            heard = await ears.transcribe(np.frombuffer(bytes(self._sound), np.int16))
            words = str(heard.text)
        except Exception as error:
            log.error("message_not_transcribed", **as_logged(error))
            return self._message
        message = Message(**{**asdict(self._message), "words": words})
        await asyncio.to_thread(self._keep, message)
        return message

    # --- in the thread ---------------------------------------------------------------------------

    def _write(self, sound: bytes) -> None:
        try:
            self._out.writeframes(sound)  # brings the header up to date
            self._raw.flush()
        except OSError as error:
            self._fault = error

    def _finish(self) -> None:
        rest = len(self._sound) % _WRITTEN_AT_ONCE_BYTES
        self._write(bytes(self._sound[len(self._sound) - rest :]))
        for file in (self._out, self._raw):
            try:
                file.close()
            except OSError as error:
                self._fault = error
        if self.spoken:
            self._keep(self._message)
        else:
            self._path.unlink(missing_ok=True)
        if self._fault is not None:
            raise self._fault

    def _keep(self, message: Message) -> None:
        seconds = round(len(self._sound) / (SAMPLE_RATE_HZ * 2), 1)
        self._message = Message(**{**asdict(message), "seconds": seconds})
        unfinished = self._json.with_suffix(".part")
        opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            json.dump(asdict(self._message), file, ensure_ascii=False, indent=2)
        os.replace(unfinished, self._json)


def begin(folder: Path, call_id: str, caller: str, queue: str, reason: str) -> Taping:
    """Take a message of a call.

    Raises:
        OSError: it cannot be written.
    """
    now = time.time()
    safe = "".join(each if each.isalnum() else "-" for each in call_id)[:64]
    message_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{safe}"
    number = 1
    while (folder / f"{message_id}.wav").exists():
        number += 1
        message_id = f"{message_id.rpartition('+')[0] or message_id}+{number}"
    return Taping(folder, Message(message_id, call_id, caller, queue, reason, now, 0.0))


def messages(folder: Path) -> list[Message]:
    """Every message, the oldest first. What cannot be read is left out, and said."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Message(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            log.warning("message_unreadable", file=path.name, reason=type(error).__name__)
    return found
