"""The stock pipeline: its stream, its knowledge step, its server, and one call with real ears."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
import soxr
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer
from openai import OpenAIError
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EndFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMContextFrame,
    OutputAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from evals.latency import stock_pipecat, stock_server
from evals.latency.stock_pipeline import KnowledgeLookup, StockRecord, turns_of
from evals.latency.stock_server import StockServer
from evals.latency.stock_services import StockServices
from evals.latency.stock_stream import MediaStreamSerializer
from evals.wire_line import free_port
from telephony.clock import FramePacer, LoopClock, ticks
from telephony.media_stream import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Clear,
    Start,
    Stop,
    encode,
    parse,
)
from tests.voice_agent.answering.chat_server import DONE, delta, sends, serving
from voice_agent.config import Settings
from voice_agent.knowledge.errors import IndexUnreachable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query
from voice_agent.knowledge.search import Retrieval
from voice_agent.processes import plan
from voice_agent.records import logs

PASSAGE = Passage("p1", "d1", "Delivery", "", "Standard delivery costs $4.95.", "delivery.md")
START = encode(Start("call-1", leg_id="leg-1"))


# --- the stream ------------------------------------------------------------------------------


async def test_what_the_pipeline_says_becomes_the_streams_messages() -> None:
    serializer = MediaStreamSerializer()
    audio = b"\x01\x00" * 320
    assert await serializer.serialize(OutputAudioRawFrame(audio, SAMPLE_RATE_HZ, 1)) == audio
    assert await serializer.serialize(InterruptionFrame()) == encode(Clear())
    assert isinstance(parse(str(await serializer.serialize(EndFrame()))), Stop)
    assert await serializer.serialize(BotStartedSpeakingFrame()) is None


async def test_the_callers_audio_and_keys_become_frames() -> None:
    serializer = MediaStreamSerializer()
    heard = await serializer.deserialize(bytes(FRAME_BYTES))
    assert isinstance(heard, InputAudioRawFrame)
    assert (len(heard.audio), heard.sample_rate, heard.num_channels) == (FRAME_BYTES, 16_000, 1)
    key = await serializer.deserialize('{"event": "dtmf", "digit": "#"}')
    assert isinstance(key, InputDTMFFrame)
    assert key.button.value == "#"


@pytest.mark.parametrize(
    "message",
    [
        b"odd",
        b"",
        "not JSON",
        '{"event": "mark", "name": 7}',
        '{"event": "from a later version"}',
        '{"event": "dtmf", "digit": "A"}',
        '{"event": "playout", "played_ms": 20, "buffered_ms": 0, "at_ms": 40}',
    ],
)
async def test_nothing_else_reaches_the_pipeline(message: str | bytes) -> None:
    assert await MediaStreamSerializer().deserialize(message) is None


# --- the knowledge step ----------------------------------------------------------------------


@dataclass
class FakeLibrary:
    """Finds one passage for everything, or fails."""

    error: Exception | None = None
    queries: list[str] = field(default_factory=list)

    async def search(self, query: Query) -> Retrieval:
        self.queries.append(query.text)
        if self.error is not None:
            raise self.error
        return Retrieval((PASSAGE,), query.text, 1.0, "v1")


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def agent(text: str) -> Any:
    return {"role": "assistant", "content": text}


async def looked_up(library: FakeLibrary, *messages: Any, speculation: bool = False) -> Any:
    context = LLMContext(list(messages))
    frame = LLMContextFrame(context, speculation=speculation)
    down, _ = await run_test(KnowledgeLookup(library), frames_to_send=[frame])
    (passed,) = [frame for frame in down if isinstance(frame, LLMContextFrame)]
    assert context.get_messages() == list(messages)
    return passed


async def test_the_model_reads_the_passages_before_the_question() -> None:
    asked = [agent("Hello."), user("How much does standard delivery cost?")]
    frame = await looked_up(FakeLibrary(), *asked)
    *before, last = frame.context.get_messages()
    assert before == asked[:1]
    assert last["content"].index("$4.95") < last["content"].index("How much does standard")


async def test_a_follow_up_is_searched_with_what_it_refers_to() -> None:
    library = FakeLibrary()
    asked = [user("How much is standard delivery to Hawaii?"), agent("$24.95."), user("And that?")]
    await looked_up(library, *asked)
    assert library.queries == ["How much is standard delivery to Hawaii? And that?"]


async def test_a_speculative_inference_stays_one() -> None:
    assert (await looked_up(FakeLibrary(), user("Hello?"), speculation=True)).speculation


async def test_what_the_caller_did_not_say_is_not_searched() -> None:
    library = FakeLibrary()
    note = {"role": "developer", "content": "Ask the caller to repeat."}
    frame = await looked_up(library, user("Hello?"), note)
    assert frame.context.get_messages()[-1] == note
    assert library.queries == []


async def test_without_the_library_the_question_goes_on_alone() -> None:
    frame = await looked_up(FakeLibrary(error=IndexUnreachable("gone")), user("Hello?"))
    assert frame.context.get_messages() == [user("Hello?")]


def test_messages_are_told_apart_as_turns() -> None:
    parts: list[Any] = [{"type": "text", "text": "x"}]
    messages = [
        agent("Hello."),
        user("a"),
        agent("b"),
        agent("c"),
        user("d"),
        user(cast(str, parts)),
    ]
    assert turns_of(messages) == [("", "Hello."), ("a", "b c"), ("d", "")]


def test_a_record_keeps_what_was_said_in_turns() -> None:
    record = StockRecord("c")
    record.agent_said("Hello.")
    record.caller_began()
    record.caller_said("How much?")
    record.agent_said("One")
    record.agent_said("dollar.")
    record.caller_began()
    record.caller_said("")
    (turn,) = record.as_json()["turns"]
    assert (turn["heard"], turn["answer"]) == ("How much?", "One dollar.")
    assert turn["began_at"] >= record.began_at


# --- the process -----------------------------------------------------------------------------


class FakeServices:
    """Models that are always warm, or wait until they are told."""

    def __init__(self, max_calls: int = 1) -> None:
        self.settings = SimpleNamespace(media=SimpleNamespace(max_calls=max_calls))
        self.may_warm = asyncio.Event()

    async def warm_model(self) -> None:
        if not self.may_warm.is_set():
            self.may_warm.set()
            raise OpenAIError("still loading")


@asynccontextmanager
async def stock_client(services: Any) -> AsyncIterator[tuple[StockServer, TestClient[Any, Any]]]:
    server = StockServer(services)
    async with TestClient(TestServer(server.app)) as client:
        yield server, client


async def test_it_is_ready_once_the_model_has_read_the_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock_server, "RETRY_S", 0)
    async with stock_client(FakeServices()) as (server, client):
        assert (await client.get("/readyz")).status == 503
        await server.warm_up()
        assert (await client.get("/readyz")).status == 200
        assert (await client.get("/healthz")).status == 200


@pytest.mark.loopback
async def test_it_serves_until_told_to_stop_and_ends_when_it_can_never_be_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = FakeServices()
    services.may_warm.set()
    monkeypatch.setattr(stock_server, "_load", lambda _: services)
    settings = Settings.model_validate({"media": {"port": free_port("127.0.0.1")}})
    url = f"http://127.0.0.1:{settings.media.port}/readyz"
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        server = asyncio.create_task(stock_server.serve(settings))
        while not await ready(session, url):  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await server

        async def broken() -> None:
            raise TypeError("a bug")

        monkeypatch.setattr(services, "warm_model", broken)
        with pytest.raises(ExceptionGroup) as ended:
            await stock_server.serve(settings)
    assert ended.group_contains(TypeError, match="a bug")


async def ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorError:
        return False


@pytest.mark.parametrize("first", ["{}", "garbage", encode(Clear()), b"audio first"])
async def test_a_stream_without_a_start_is_closed(first: str | bytes) -> None:
    async with stock_client(FakeServices()) as (_, client), client.ws_connect("/media") as socket:
        await (socket.send_bytes(first) if isinstance(first, bytes) else socket.send_str(first))
        assert (await socket.receive()).type is WSMsgType.CLOSE
        assert socket.close_code == 1002


async def test_calls_are_counted_and_found_by_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(_services: object, socket: web.WebSocketResponse, record: StockRecord) -> None:
        record.caller_said("Hello?")
        await socket.send_str("talking")
        await socket.receive()

    monkeypatch.setattr(stock_server, "serve_call", talk)
    monkeypatch.setattr(stock_server, "RECORDS_KEPT", 2)
    async with stock_client(FakeServices()) as (server, client):
        async with client.ws_connect("/media") as socket:
            await socket.send_str(START)
            assert await socket.receive_str() == "talking"
            assert (await client.get("/media")).status == 503
            await server.hang_up()
            await socket.receive()
            assert socket.close_code == 1012
        for name in ("call-1", "leg-1"):
            answer = await client.get(f"/calls/{name}")
            assert [turn["heard"] for turn in (await answer.json())["turns"]] == ["Hello?"]
        async with client.ws_connect("/media") as socket:
            await socket.send_str(encode(Start("call-2", leg_id="leg-2")))
            assert await socket.receive_str() == "talking"
        assert (await client.get("/calls/call-1")).status == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("media: {host: 0.0.0.0}", "loopback only"),
        ("speech: {transcriber: {language: klingon}}", "klingon"),
        ("nonsense: 1", "nonsense"),
    ],
)
def test_a_configuration_it_cannot_serve_ends_it_with_one_line(
    text: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "configure", lambda _: None)
    config = tmp_path / "settings.yaml"
    config.write_text(text)
    assert stock_pipecat.main(["--config", str(config)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("stock pipecat: ")
    assert said in last


def test_it_takes_the_agents_place_among_the_processes() -> None:
    own = plan(Settings(), Path("c.yaml"), voice=None, language_model=None)
    other = plan(
        Settings(), Path("c.yaml"), voice=None, language_model=None, agent=(stock_pipecat.MODULE,)
    )
    changed = [(a, b) for a, b in zip(own, other, strict=True) if a != b]
    ((before, after),) = changed
    assert before.name == after.name == "agent"
    assert before.ready_url == after.ready_url
    assert after.command[1:] == ("-m", stock_pipecat.MODULE, "--config", "c.yaml")


# --- one call --------------------------------------------------------------------------------


async def heard_until_quiet(socket: ClientWebSocketResponse) -> bytes:
    """Agent audio up to the first half second in which none comes; at least some."""
    heard = b""
    patience_s = 60.0
    while True:
        try:
            message = await socket.receive(timeout=patience_s)
        except TimeoutError:
            return heard
        if message.type is WSMsgType.BINARY:
            heard += message.data
            patience_s = 0.5


@asynccontextmanager
async def microphone(
    socket: ClientWebSocketResponse,
) -> AsyncIterator[Callable[[list[bytes]], None]]:
    """A caller's line: a frame every 20 ms, silence unless there is something to say."""
    waiting: list[bytes] = []

    async def send() -> None:
        clock = LoopClock()
        async for frames in ticks(clock, FramePacer(clock.now_s())):
            for _ in range(frames):
                await socket.send_bytes(waiting.pop(0) if waiting else bytes(FRAME_BYTES))

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send())
        yield waiting.extend
        sending.cancel()


async def until(socket: ClientWebSocketResponse, kind: WSMsgType) -> WSMessage:
    while (message := await socket.receive(timeout=60)).type is not kind:
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT)
    return message


@pytest.mark.models
async def test_a_spoken_question_is_answered_until_the_caller_interrupts() -> None:
    """Real ears, voice and turn-taking; the language model says what it is told."""
    answer = sends(delta("It costs four dollars. "), delta("Anything else?"), DONE)
    tree: dict[str, Any] = {"speech": {"transcriber": {"model": "whisper-tiny.en"}}}
    async with serving(answer) as model:
        tree["answering"] = {"model": {"url": model.url, "serve": False}}
        services = await asyncio.to_thread(loaded, Settings.model_validate(tree))
        async with stock_client(services) as (_, client):
            async with client.ws_connect("/media") as socket:
                await socket.send_str(START)
                async with microphone(socket) as say:
                    assert len(await heard_until_quiet(socket)) > SAMPLE_RATE_HZ  # half a second
                    say(spoken(services, "How much does standard delivery cost?"))
                    await until(socket, WSMsgType.BINARY)  # the answer has begun
                    say(spoken(services, "How much does express delivery cost?"))
                    assert parse((await until(socket, WSMsgType.TEXT)).data) == Clear()
            record = await (await client.get("/calls/call-1")).json()
    assert "deliver" in record["turns"][0]["heard"].lower()
    assert "$4.95" in json.dumps(model.bodies[0]["messages"])
    assert model.bodies[0]["messages"][0]["role"] == "system"


def loaded(settings: Settings) -> StockServices:
    """The real services around a library of one passage."""
    return StockServices.load(settings, FakeLibrary())


def spoken(services: StockServices, text: str) -> list[bytes]:
    """Somebody says ``text``, in frames of the stream."""
    (chunk,) = services.voice.synthesize(text)
    samples = soxr.resample(chunk.audio_int16_array, chunk.sample_rate, SAMPLE_RATE_HZ)
    pcm = np.pad(samples, (0, FRAME_SAMPLES)).astype("<i2").tobytes()
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES)]
