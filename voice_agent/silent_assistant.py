"""The agent while a person has the caller: it listens, writes down and looks up, and says nothing.

What the caller and the person say goes to the console as turns; after each of the caller's
utterances, passages that fit. Overflow rule: of utterances that wait to be transcribed the oldest
is dropped, because live calls need the same engines and a late transcript helps nobody.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import numpy as np
import structlog
import webrtcvad

from telephony.media_stream import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, Message, Note, Overheard
from voice_agent.errors import as_logged
from voice_agent.knowledge.query import make_query
from voice_agent.safety.safe_library import Library
from voice_agent.turns.turn_taker import Ears

log = structlog.get_logger(__name__)

Speaker: TypeAlias = Literal["caller", "person"]

SILENCE = bytes(FRAME_BYTES)
VAD_STRICTNESS = 2
BEGINS_FRAMES = 4
ENDS_FRAMES = 700 // FRAME_MS
PRE_ROLL_FRAMES = 10
MAX_FRAMES = 15_000 // FRAME_MS
MAX_WAITING = 4
LEAST_WORDS = 3
"""Fewer words are seldom a question."""
PASSAGES = 3
NO_SPEECH = 0.6


class Utterances:
    """Cuts one speaker's frames into utterances. Pure but for the voice detector."""

    def __init__(self, is_voice: Callable[[bytes], bool]) -> None:
        self._is_voice = is_voice
        self._before: deque[bytes] = deque(maxlen=PRE_ROLL_FRAMES)
        self._frames: list[bytes] = []
        self._voiced = self._silent = 0

    def hear(self, frame: bytes) -> bytes | None:
        """The next 20 ms; an utterance that has just ended."""
        voiced = any(frame) and self._is_voice(frame)
        if not self._frames:
            self._before.append(frame)
            self._voiced = self._voiced + 1 if voiced else 0
            if self._voiced >= BEGINS_FRAMES:
                self._frames = list(self._before)
                self._before.clear()
                self._silent = 0
            return None
        self._frames.append(frame)
        self._silent = 0 if voiced else self._silent + 1
        if self._silent < ENDS_FRAMES and len(self._frames) < MAX_FRAMES:
            return None
        said, self._frames, self._voiced = b"".join(self._frames), [], 0
        return said


class SilentAssistant:
    """Of one call. It is there once the gateway lets it overhear, and gone with the person."""

    def __init__(
        self,
        ears: Ears,
        library: Library,
        mask: Callable[[str], str],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """
        Args:
            ears: speech to text.
            library: where passages are found.
            mask: takes out of words what nobody needs to read.
            send: a message to the gateway.
        """
        self._ears = ears
        self._library = library
        self._mask = mask
        self._send = send
        self._utterances: dict[Speaker, Utterances] = {}
        self._waiting: asyncio.Queue[tuple[Speaker, bytes]] = asyncio.Queue(MAX_WAITING)
        self._work: asyncio.Task[None] | None = None
        self._history: deque[tuple[str, str]] = deque(maxlen=6)
        self._pending = b""

    def overhear(self, message: Overheard) -> None:
        """What the caller hears; the first begins the work. What is no audio is left out."""
        if self._work is None:
            self._utterances = {"caller": _utterances(), "person": _utterances()}
            self._work = asyncio.create_task(self._transcribe())
            log.info("silent_assistant_begun")
        try:
            audio = base64.b64decode(message.audio, validate=True)
        except (binascii.Error, ValueError):
            log.warning("overheard_malformed")
            return
        self._pending += audio
        while len(self._pending) >= FRAME_BYTES:
            self._hear("person", self._pending[:FRAME_BYTES])
            self._pending = self._pending[FRAME_BYTES:]

    def hear_caller(self, audio: bytes) -> bytes:
        """Caller audio, in frames; what the pipeline is to hear instead while a person talks."""
        if self._work is None or len(audio) != FRAME_BYTES:
            return audio
        self._hear("caller", audio)
        return SILENCE

    async def leave(self) -> None:
        """The caller is the agent's again, or gone."""
        work, self._work = self._work, None
        self._pending = b""
        if work is not None:
            work.cancel()
            await asyncio.wait({work})
            log.info("silent_assistant_ended")

    def _hear(self, speaker: Speaker, frame: bytes) -> None:
        said = self._utterances[speaker].hear(frame)
        if said is None:
            return
        if self._waiting.full():
            self._waiting.get_nowait()
            log.warning("overheard_dropped")
        self._waiting.put_nowait((speaker, said))

    async def _transcribe(self) -> None:
        while True:
            speaker, said = await self._waiting.get()
            try:
                heard = await self._ears.transcribe(np.frombuffer(said, np.int16))
            except Exception as error:  # an engine's own: the person goes on without
                log.warning("overheard_not_transcribed", **as_logged(error))
                continue
            if heard.text and heard.no_speech_probability < NO_SPEECH:
                await self._tell(speaker, heard.text)

    async def _tell(self, speaker: Speaker, words: str) -> None:
        shown = self._mask(words)
        data: dict[str, Any] = {
            "turn_id": f"assist-{secrets.token_hex(6)}",
            "caller": shown if speaker == "caller" else "",
            "agent": shown if speaker == "person" else "",
            "heard": shown if speaker == "person" else "",
            "cut_off": False,
            "speaker": speaker,
            "road": "person",
            "state": "over",
        }
        await self._send(Note("turn", data))
        if speaker == "caller":
            await self._suggest(words)
            self._history.append((words, ""))

    async def _suggest(self, words: str) -> None:
        if len(words.split()) < LEAST_WORDS:
            return
        try:
            found = await self._library.search(make_query(tuple(self._history), words), PASSAGES)
        except Exception as error:  # as above
            log.warning("nothing_suggested", **as_logged(error))
            return
        passages = [
            {
                "passage_id": each.passage_id,
                "title": each.heading or each.title,
                "text": each.text,
                "score": round(float(each.score), 3),
            }
            for each in found.passages[:PASSAGES]
        ]
        if passages:
            await self._send(Note("suggestion", {"passages": passages}))


def _utterances() -> Utterances:
    vad = webrtcvad.Vad(VAD_STRICTNESS)
    return Utterances(lambda frame: bool(vad.is_speech(frame, SAMPLE_RATE_HZ)))
