"""The synthesiser's HTTP side, with a voice that is not Piper."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from voice_agent.speech import piper_server
from voice_agent.speech.piper_server import MAX_TEXT_CHARACTERS, SpeechService
from voice_agent.speech.piper_voice import Piper, VoiceUnusable, parts_of


class FakePiper:
    """Says one piece a word; ``hold`` stops it inside a piece, ``broken_at`` makes it fail."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.began = threading.Event()
        self.broken_at: str | None = None

    def say(self, text: str, rate: float) -> Iterator[bytes]:
        for word in text.split():
            self.began.set()
            self.hold.wait(10)
            if word == self.broken_at:
                raise RuntimeError("no such phoneme")
            self.said.append(word)
            yield b"\x01\x00" * int(100 / rate)


@contextlib.asynccontextmanager
async def _serving(
    voice: FakePiper | None, max_waiting: int = 16
) -> AsyncIterator[tuple[SpeechService, aiohttp.ClientSession]]:
    service = SpeechService(max_waiting=max_waiting)
    if voice is not None:
        service.use(voice)
    runner = web.AppRunner(service.app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(address) as http:
        try:
            yield service, http
        finally:
            if voice is not None:
                voice.hold.set()
            service.close()
            await runner.cleanup()


async def test_speech_is_streamed_piece_by_piece() -> None:
    async with (
        _serving(FakePiper()) as (_, http),
        http.post("/speech", json={"text": "one two", "rate": 2.0}) as response,
    ):
        assert response.status == 200
        assert await response.read() == b"\x01\x00" * 100


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_empty_text_is_empty_audio(text: str) -> None:
    async with (
        _serving(FakePiper()) as (_, http),
        http.post("/speech", json={"text": text}) as response,
    ):
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"text": 5}', 400),
        (b'{"text": "x", "rate": "fast"}', 400),
        (b'{"text": "x", "rate": true}', 400),
        (b'{"text": "x", "rate": 0}', 400),
        (b'{"text": "x", "rate": 99}', 400),
        (b'{"text": "x", "rate": NaN}', 400),
        (b"\xff\xfe", 400),
        (b'{"text": "' + b"x" * (MAX_TEXT_CHARACTERS + 1) + b'"}', 413),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_bad_requests_are_refused_and_the_next_is_served(body: bytes, status: int) -> None:
    async with _serving(FakePiper()) as (_, http):
        async with http.post("/speech", data=body) as response:
            assert response.status == status
        async with http.post("/speech", json={"text": "one"}) as response:
            assert response.status == 200


async def test_nothing_is_ready_before_the_voice_is_loaded() -> None:
    async with _serving(None) as (service, http):
        async with http.get("/readyz") as response:
            assert response.status == 503
        async with http.get("/healthz") as response:
            assert response.status == 200
        async with http.post("/speech", json={"text": "one"}) as response:
            assert response.status == 503
        service.use(FakePiper())
        async with http.get("/readyz") as response:
            assert response.status == 200


async def test_too_many_requests_are_refused_at_once() -> None:
    voice = FakePiper()
    voice.hold.clear()
    async with _serving(voice, max_waiting=2) as (_, http):
        waiting = [asyncio.create_task(http.post("/speech", json={"text": "a"})) for _ in range(2)]
        await asyncio.to_thread(voice.began.wait, 5)
        while True:  # the second request has been counted once the third is refused
            async with http.post("/speech", json={"text": ""}) as response:
                if response.status == 503:
                    break
        voice.hold.set()
        for task in waiting:
            response = await task
            assert response.status == 200
            response.release()


async def test_a_text_that_cannot_be_spoken_is_an_error_and_the_next_is_served() -> None:
    voice = FakePiper()
    voice.broken_at = "bad"
    async with _serving(voice) as (_, http):
        async with http.post("/speech", json={"text": "bad"}) as response:
            assert response.status == 500
        async with http.post("/speech", json={"text": "good"}) as response:
            assert response.status == 200


async def test_a_voice_that_fails_in_the_middle_does_not_look_finished() -> None:
    voice = FakePiper()
    voice.broken_at = "bad"
    async with _serving(voice) as (_, http):
        with pytest.raises(aiohttp.ClientError):
            async with http.post("/speech", json={"text": "good bad"}) as response:
                await response.read()


async def test_what_nobody_waits_for_is_not_said() -> None:
    voice = FakePiper()
    async with _serving(voice) as (_, http):
        voice.hold.clear()
        task = asyncio.create_task(http.post("/speech", json={"text": "one two three four"}))
        await asyncio.to_thread(voice.began.wait, 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for _ in range(200):
            async with http.get("/readyz") as response:
                if (await response.json())["requests"] == 0:
                    break
        voice.hold.set()
        async with http.post("/speech", json={"text": "next"}) as response:
            await response.read()
        assert voice.said[-1] == "next"
        assert "three" not in voice.said


async def test_two_requests_take_turns_by_sentence() -> None:
    voice = FakePiper()
    voice.hold.clear()
    async with _serving(voice) as (_, http):
        long = asyncio.create_task(http.post("/speech", json={"text": "a1 a2 a3 a4 a5 a6"}))
        await asyncio.to_thread(voice.began.wait, 5)
        short = asyncio.create_task(http.post("/speech", json={"text": "b1"}))
        while True:
            async with http.get("/readyz") as response:
                if (await response.json())["requests"] == 2:
                    break
        voice.hold.set()
        for response in (await long, await short):
            await response.read()
        assert voice.said.index("b1") <= 2


@pytest.mark.parametrize("text", ["word " * 300, "x" * 4000, "One. Two! " * 90])
def test_a_long_text_is_said_in_bounded_parts(text: str) -> None:
    said = parts_of(text)
    assert max(len(part) for part in said) <= 240
    assert "".join("".join(said).split()) == "".join(text.split())


def test_a_usual_text_is_said_in_one_part() -> None:
    assert parts_of("Yes, of course. It is.") == ["Yes, of course. It is."]


def test_a_missing_voice_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.onnx"
    with pytest.raises(VoiceUnusable):
        Piper(missing)
    assert piper_server.main(["--voice", str(missing), "--port", str(_free_port())]) == 2
    complaint = [line for line in capsys.readouterr().err.splitlines() if "synthesiser:" in line]
    assert len(complaint) == 1
    assert "none.onnx" in complaint[0]


def test_a_file_that_is_no_voice_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    (tmp_path / "bad.onnx.json").write_text("{}")
    with pytest.raises(VoiceUnusable) as caught:
        Piper(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert piper_server.main(["--voice", str(tmp_path / "x.onnx"), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} is in use" in capsys.readouterr().err


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_voice_is_known_by_its_files(tmp_path: Path) -> None:
    model = tmp_path / "voice.onnx"
    model.write_bytes(b"weights")
    with pytest.raises(VoiceUnusable, match=r"voice\.onnx cannot be read"):
        piper_server.identity_of(model)
    (tmp_path / "voice.onnx.json").write_text("{}")
    before = piper_server.identity_of(model)
    assert piper_server.identity_of(model) == before
    model.write_bytes(b"other weights")
    assert piper_server.identity_of(model) != before
