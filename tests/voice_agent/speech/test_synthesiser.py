"""The agent's side of the synthesiser, against real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from voice_agent.config import SynthesiserSettings
from voice_agent.speech.synthesiser import (
    Synthesiser,
    SynthesiserError,
    SynthesiserFailed,
    SynthesiserOverloaded,
    SynthesiserTimedOut,
    SynthesiserUnreachable,
)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeVoice:
    """Stands where Piper's process stands; ``answer`` decides what it does with a request."""

    answer: Answer
    requests: list[dict[str, object]] = field(default_factory=list)
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 200
    voice: str = ""

    async def speech(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.abandoned.set()
            raise

    async def readyz(self, _: web.Request) -> web.Response:
        return web.json_response({"voice": self.voice}, status=self.status)


@contextlib.asynccontextmanager
async def _served(
    answer: Answer,
    timeout_s: float = 5.0,
    cache_bytes: int = 1 << 20,
    kept: Path = Path("unused"),
) -> AsyncIterator[tuple[FakeVoice, Synthesiser]]:
    fake = FakeVoice(answer)
    app = web.Application()
    app.router.add_post("/speech", fake.speech)
    app.router.add_get("/readyz", fake.readyz)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    client = Synthesiser(
        SynthesiserSettings(port=port, timeout_s=timeout_s, kept=kept), cache_bytes=cache_bytes
    )
    try:
        yield fake, client
    finally:
        await client.close()
        await runner.cleanup()


async def _say_tone(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(3):
        await response.write(b"\x01\x02" * 800)
    await response.write_eof()
    return response


async def _spoken(client: Synthesiser, text: str) -> bytes:
    return b"".join([piece async for piece in client.speak(text)])


async def test_audio_arrives_whole_and_rate_is_passed_on() -> None:
    async with _served(_say_tone) as (fake, client):
        assert await _spoken(client, "A sentence that is too long to be worth keeping.") == (
            b"\x01\x02" * 2400
        )
        assert fake.requests[0]["rate"] == 1.0


async def test_pieces_are_whole_samples_wherever_the_network_cuts() -> None:
    async def odd(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in range(10):
            await response.write(bytes([byte]))
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    async with _served(odd) as (_, client):
        pieces = [piece async for piece in client.speak("x")]
        assert all(len(piece) % 2 == 0 for piece in pieces)
        assert b"".join(pieces) == bytes(range(10))


@pytest.mark.parametrize("text", ["", "  ", "\n"])
async def test_blank_text_is_no_audio_and_no_request(text: str) -> None:
    async with _served(_say_tone) as (fake, client):
        assert await _spoken(client, text) == b""
        assert fake.requests == []


async def test_short_phrases_are_made_once() -> None:
    async with _served(_say_tone) as (fake, client):
        first = await _spoken(client, "Sure,")
        assert await _spoken(client, " Sure, ") == first
        assert len(fake.requests) == 1


async def test_remembered_phrases_need_no_synthesiser_any_more() -> None:
    greeting = "Hello, this is a long greeting that every caller hears first of all."
    async with _served(_say_tone) as (fake, client):
        assert await client.remember([greeting, "", greeting]) == 2
        fake.answer = _refuse(500)
        assert len(await _spoken(client, greeting)) == 4800
        assert len(fake.requests) == 1


async def test_remembered_phrases_are_kept_for_the_next_start(tmp_path: Path) -> None:
    async with _served(_say_tone, kept=tmp_path) as (fake, client):
        fake.voice = "joe"
        assert await client.remember(["Hello."]) == 1
        first = await _spoken(client, "Hello.")
    async with _served(_refuse(500), kept=tmp_path) as (fake, client):
        fake.voice = "joe"
        assert await client.remember(["Hello."]) == 1
        assert await _spoken(client, "Hello.") == first
        assert fake.requests == []


async def test_what_another_voice_said_is_not_used(tmp_path: Path) -> None:
    async with _served(_say_tone, kept=tmp_path) as (fake, client):
        fake.voice = "joe"
        await client.remember(["Hello."])
    async with _served(_say_tone, kept=tmp_path) as (fake, client):
        fake.voice = "amy"
        await client.remember(["Hello."])
        assert len(fake.requests) == 1


async def test_a_folder_that_cannot_be_written_costs_only_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with _served(_say_tone, kept=tmp_path / "file") as (fake, client):
        fake.voice = "joe"
        assert await client.remember(["Hello."]) == 1
        assert await _spoken(client, "Hello.") != b""


async def test_phrases_that_cannot_be_prepared_do_not_stop_the_start() -> None:
    async with _served(_refuse(503)) as (_, client):
        assert await client.remember(["Hello.", "Goodbye."]) == 0


async def test_the_phrase_cache_is_bounded_and_forgets_the_oldest() -> None:
    async with _served(_say_tone, cache_bytes=10_000) as (fake, client):
        for text in ("one", "two", "one", "three", "one", "two"):
            await _spoken(client, text)
        said = [request["text"] for request in fake.requests]
        assert said == ["one", "two", "three", "two"]


def _refuse(status: int) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"code": "x"}, status=status)

    return answer


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, SynthesiserOverloaded), (500, SynthesiserFailed), (413, SynthesiserFailed)],
)
async def test_a_refusal_is_the_error_it_means(status: int, error: type[SynthesiserError]) -> None:
    async with _served(_refuse(status)) as (_, client):
        with pytest.raises(error):
            await _spoken(client, "Hello.")


async def test_a_synthesiser_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        client = Synthesiser(SynthesiserSettings(port=held.getsockname()[1]))
        with pytest.raises(SynthesiserUnreachable):
            await _spoken(client, "Hello.")
        assert not await client.ready()
        await client.close()


async def test_silence_from_the_synthesiser_times_out() -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with _served(hang, timeout_s=0.05) as (_, client):
        with pytest.raises(SynthesiserTimedOut):
            await _spoken(client, "Hello.")


async def test_a_stall_in_the_middle_times_out_after_what_was_said() -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\x00\x01" * 100)
        await asyncio.Event().wait()
        return response

    async with _served(stall, timeout_s=0.05) as (_, client):
        pieces = client.speak("Hello.")
        assert await anext(pieces) == b"\x00\x01" * 100
        with pytest.raises(SynthesiserTimedOut):
            await anext(pieces)


async def test_a_synthesiser_that_dies_in_mid_sentence_is_a_failure_not_an_end() -> None:
    async def die(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\x00\x01" * 100)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with _served(die) as (fake, client):
        with pytest.raises(SynthesiserFailed):
            await _spoken(client, "Hello.")
        fake.answer = _say_tone
        assert len(await _spoken(client, "Hello.")) == 4800, "a broken phrase must not be kept"


async def test_half_a_sample_is_a_failure() -> None:
    async def half(request: web.Request) -> web.Response:
        return web.Response(body=b"\x00\x01\x02")

    async with _served(half) as (_, client):
        with pytest.raises(SynthesiserFailed):
            await _spoken(client, "Hello.")


async def test_closing_the_generator_ends_the_request() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\x00\x01" * 100)
        await asyncio.Event().wait()
        return response

    async with _served(endless) as (fake, client):
        pieces = client.speak("Hello.")
        await anext(pieces)
        await pieces.aclose()
        async with asyncio.timeout(5):
            await fake.abandoned.wait()


async def test_readiness_follows_the_synthesiser() -> None:
    async with _served(_say_tone) as (fake, client):
        assert await client.ready()
        fake.status = 503
        assert not await client.ready()


async def test_closing_twice_is_harmless() -> None:
    async with _served(_say_tone) as (_, client):
        await client.close()
        await client.close()


@pytest.mark.parametrize(
    "error",
    [SynthesiserUnreachable, SynthesiserTimedOut, SynthesiserOverloaded, SynthesiserFailed],
)
def test_every_error_has_a_code_of_its_own(error: type[SynthesiserError]) -> None:
    assert error.code.startswith("synthesiser_")
    assert isinstance(error.retryable, bool)


def _held(held: asyncio.Event) -> Answer:
    """A voice that says nothing before ``held`` is set."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return await _say_tone(request)

    return answer


def _asked(fake: FakeVoice) -> list[object]:
    return [request["text"] for request in fake.requests]


async def _until_asked(fake: FakeVoice, count: int) -> None:
    async with asyncio.timeout(5):
        while len(fake.requests) < count:  # noqa: ASYNC110 (no event to wait for)
            await asyncio.sleep(0.005)


async def test_a_foreseen_sentence_is_made_once_and_heard_at_once() -> None:
    held = asyncio.Event()
    async with _served(_held(held)) as (fake, client):
        foreseen = asyncio.create_task(client.foresee("Delivery is free."))
        await _until_asked(fake, 1)
        spoken = asyncio.create_task(_spoken(client, "Delivery is free."))
        held.set()
        assert await spoken
        await foreseen
        assert _asked(fake) == ["Delivery is free."]


async def test_what_may_be_needed_waits_for_what_is_needed() -> None:
    held = asyncio.Event()
    async with _served(_held(held)) as (fake, client):
        spoken = asyncio.create_task(_spoken(client, "Your order is late."))
        await _until_asked(fake, 1)
        foreseen = asyncio.create_task(client.foresee("Delivery is free."))
        await client.ready()
        assert _asked(fake) == ["Your order is late."]
        held.set()
        await spoken
        await foreseen
        assert _asked(fake) == ["Your order is late.", "Delivery is free."]


async def test_one_sentence_is_foreseen_at_a_time() -> None:
    held = asyncio.Event()
    async with _served(_held(held)) as (fake, client):
        foreseen = [asyncio.create_task(client.foresee(text)) for text in ("One.", "Two.", "One.")]
        await _until_asked(fake, 1)
        await client.ready()
        assert _asked(fake) == ["One."]
        held.set()
        await asyncio.gather(*foreseen)
        assert _asked(fake) == ["One.", "Two."]


async def test_a_foreseen_sentence_nobody_needs_any_more_is_given_up() -> None:
    async with _served(_held(asyncio.Event())) as (fake, client):
        foreseen = asyncio.create_task(client.foresee("One."))
        await _until_asked(fake, 1)
        foreseen.cancel()
        async with asyncio.timeout(5):
            await fake.abandoned.wait()


async def test_a_sentence_that_is_being_said_is_not_given_up_by_who_foresaw_it() -> None:
    first, rest = asyncio.Event(), asyncio.Event()

    async def in_two(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\x01\x02" * 800)
        first.set()
        await rest.wait()
        await response.write(b"\x03\x04" * 800)
        await response.write_eof()
        return response

    async with _served(in_two) as (fake, client):
        foreseen = asyncio.create_task(client.foresee("One."))
        await first.wait()
        said = client.speak("One.")
        heard = await anext(said)
        assert heard, "its beginning is heard while its end is still being made"
        foreseen.cancel()
        rest.set()
        heard += b"".join([piece async for piece in said])
        assert heard == b"\x01\x02" * 800 + b"\x03\x04" * 800
        assert len(fake.requests) == 1


async def test_a_voice_that_fails_is_reported_by_who_speaks_and_not_by_who_foresees() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with _served(refuse) as (_, client):
        await client.foresee("One.")
        with pytest.raises(SynthesiserFailed):
            await _spoken(client, "One.")
