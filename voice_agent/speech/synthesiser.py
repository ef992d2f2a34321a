"""Text to speech as the agent sees it: a client of the synthesiser's process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Iterator

import aiohttp
import structlog

from voice_agent.config import SynthesiserSettings
from voice_agent.speech.kept_sounds import KeptSounds
from voice_agent.speech.sound_in_the_making import SoundInTheMaking

__all__ = [
    "Synthesiser",
    "SynthesiserError",
    "SynthesiserFailed",
    "SynthesiserOverloaded",
    "SynthesiserTimedOut",
    "SynthesiserUnreachable",
]

log = structlog.get_logger(__name__)

SAMPLE_RATE_HZ = 16_000
CHUNK_BYTES = 3_200
"""What comes from the cache is cut into 100 ms, as small as what comes from the network."""
CACHE_BYTES = 24 * 1024 * 1024
"""About twelve minutes of speech."""
SHORT_CHARACTERS = 40
"""First clauses ("Sure," "Let me check,") come back again and again; longer texts rarely do."""


class SynthesiserError(Exception):
    """A text could not be spoken."""

    code = "synthesiser_failed"
    retryable = False


class SynthesiserUnreachable(SynthesiserError):
    """Nothing answers at the synthesiser's address."""

    code = "synthesiser_unreachable"
    retryable = True


class SynthesiserTimedOut(SynthesiserError):
    """No audio within the patience set."""

    code = "synthesiser_timed_out"
    retryable = True


class SynthesiserOverloaded(SynthesiserError):
    """The synthesiser has too much waiting, or is still loading its voice."""

    code = "synthesiser_overloaded"
    retryable = True


class SynthesiserFailed(SynthesiserError):
    """The synthesiser refused this text or broke off in the middle of it."""

    code = "synthesiser_failed"
    retryable = False


class _PhraseCache:
    """Audio by text, voice and rate; the least recently spoken goes first. Bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._audio: OrderedDict[tuple[str, str, float], bytes] = OrderedDict()
        self._kept: dict[tuple[str, str, float], bytes] = {}

    def keep(self, key: tuple[str, str, float], audio: bytes) -> None:
        """Hold for good, outside the bound: what must be sayable when the synthesiser is gone."""
        self._kept[key] = audio

    def get(self, key: tuple[str, str, float]) -> bytes | None:
        if key in self._kept:
            return self._kept[key]
        audio = self._audio.get(key)
        if audio is not None:
            self._audio.move_to_end(key)
        return audio

    def put(self, key: tuple[str, str, float], audio: bytes) -> None:
        if not audio or len(audio) > self._limit_bytes:
            return
        self._held_bytes += len(audio) - len(self._audio.pop(key, b""))
        self._audio[key] = audio
        while self._held_bytes > self._limit_bytes:
            _, dropped = self._audio.popitem(last=False)
            self._held_bytes -= len(dropped)


class Synthesiser:
    """Speaks texts. One a process is enough; calls share it and its phrases."""

    def __init__(self, settings: SynthesiserSettings, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._settings = settings
        self._url = f"http://{settings.host}:{settings.port}"
        self._phrases = _PhraseCache(cache_bytes)
        self._live = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self._foreseeing = asyncio.Lock()
        self._foreseen: SoundInTheMaking | None = None
        self._http: aiohttp.ClientSession | None = None

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """16 kHz PCM16 mono of ``text`` (already as it is spoken), as soon as there is any.

        Pieces are whole samples. Closing the generator ends the synthesis. Blank text gives
        nothing.

        Raises:
            SynthesiserUnreachable, SynthesiserTimedOut, SynthesiserOverloaded, SynthesiserFailed.
        """
        text = text.strip()
        if not text:
            return
        key = (text, self._settings.voice, self._settings.rate)
        known = self._phrases.get(key)
        if known is not None:
            for begin in range(0, len(known), CHUNK_BYTES):
                yield known[begin : begin + CHUNK_BYTES]
            return
        kept: list[bytes] | None = [] if len(text) <= SHORT_CHARACTERS else None
        foreseen = self._foreseen
        on_its_way = foreseen is not None and foreseen.text == text and not foreseen.over
        pieces = foreseen.listen() if foreseen and on_its_way else self._request(text)
        waiting = contextlib.ExitStack()
        waiting.enter_context(self._waited_for())
        try:
            async for piece in pieces:
                waiting.close()
                if kept is not None:
                    kept.append(piece)
                yield piece
        finally:
            waiting.close()
            await pieces.aclose()
        if kept is not None:
            self._phrases.put(key, b"".join(kept))

    @contextlib.contextmanager
    def _waited_for(self) -> Iterator[None]:
        self._live += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._live -= 1
            if not self._live:
                self._calm.set()

    async def foresee(self, text: str) -> None:
        """Make the sound of words that a caller may hear; cancel it when they will not.

        One text at a time for all calls, and none while a caller waits for the first sound of an
        answer: with several callers, what may be needed would keep what is needed waiting.
        """
        text = text.strip()
        key = (text, self._settings.voice, self._settings.rate)
        async with self._foreseeing:
            await self._calm.wait()
            if not text or self._phrases.get(key) is not None:
                return
            self._foreseen = SoundInTheMaking(text, self._request(text))
            try:
                self._phrases.put(key, await self._foreseen.whole())
            except SynthesiserError as error:  # said in earnest it will be reported
                log.warning("phrase_not_foreseen", code=error.code)

    async def remember(self, texts: Iterable[str]) -> int:
        """Hold for good phrases that will be needed at once (greeting, fillers). Returns how many.

        They are kept on disk as well, for the next start. A phrase that cannot be prepared is
        logged and left out; it will be made when needed.
        """
        voice = await self._voice()
        kept = KeptSounds(self._settings.kept, voice) if voice else None
        remembered = 0
        for text in filter(None, map(str.strip, texts)):
            key = (text, self._settings.voice, self._settings.rate)
            if self._phrases.get(key) is None:
                sound = await asyncio.to_thread(kept.get, text, key[2]) if kept else None
                try:
                    sound = sound or await self._made_to_keep(text, kept)
                except SynthesiserError as error:
                    log.warning("phrase_not_remembered", code=error.code)
                    continue
                self._phrases.keep(key, sound)
            remembered += 1
        return remembered

    async def _made_to_keep(self, text: str, kept: KeptSounds | None) -> bytes:
        sound = b"".join([piece async for piece in self._request(text)])
        if kept is not None and sound:
            try:
                await asyncio.to_thread(kept.put, text, self._settings.rate, sound)
            except OSError as error:  # made again at the next start
                log.warning("phrase_not_kept", reason=error.strerror)
        return sound

    async def ready(self) -> bool:
        """Whether the voice is loaded and can speak now."""
        return await self._voice() is not None

    async def _voice(self) -> str | None:
        """What identifies the sound of the voice, empty if it does not say; ``None``: not ready."""
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),
                self._session().get(f"{self._url}/readyz") as response,
            ):
                if response.status != 200:
                    return None
                told = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        except ValueError:
            return ""
        return str(told.get("voice", "")) if isinstance(told, dict) else ""

    async def close(self) -> None:
        """Give the connections back. Safe to call twice."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None or self._http.closed:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(1.0, self._settings.timeout_s)
                ),
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                trust_env=False,
            )
        return self._http

    async def _request(self, text: str) -> AsyncGenerator[bytes, None]:
        """The bare request: pieces of whole samples, every wait bounded."""
        body = json.dumps({"text": text, "rate": self._settings.rate}).encode()
        patience_s = self._settings.timeout_s
        rest = b""
        try:
            async with asyncio.timeout(patience_s):
                response = await self._session().post(f"{self._url}/speech", data=body)
        except TimeoutError as error:
            raise SynthesiserTimedOut(f"no audio within {patience_s} s") from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise SynthesiserUnreachable(f"{self._url} does not answer") from error
        except aiohttp.ClientError as error:
            raise SynthesiserFailed("the synthesiser's answer is not HTTP") from error
        async with response:
            if response.status == 503:
                raise SynthesiserOverloaded("the synthesiser has too much to say")
            if response.status != 200:
                raise SynthesiserFailed(f"the synthesiser answered {response.status}")
            while True:
                try:
                    async with asyncio.timeout(patience_s):
                        data = await response.content.readany()
                except TimeoutError as error:
                    raise SynthesiserTimedOut(f"no audio within {patience_s} s") from error
                except (aiohttp.ClientError, OSError) as error:
                    raise SynthesiserFailed("the synthesiser broke off") from error
                if not data:
                    break
                data = rest + data
                whole = len(data) & ~1
                rest = data[whole:]
                if whole:
                    yield data[:whole]
        if rest:
            raise SynthesiserFailed("the synthesiser sent half a sample")
