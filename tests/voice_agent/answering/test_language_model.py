"""The client against a server that misbehaves in every way one was seen, or may be, to do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from tests.voice_agent.answering.chat_server import (
    DONE,
    Answer,
    ChatServer,
    delta,
    dies,
    event,
    says,
    sends,
    serving,
    usage,
    waits_forever,
)
from voice_agent.answering.language_model import (
    ContextTooLong,
    EngineFailed,
    Finished,
    Garbled,
    Interrupted,
    Item,
    LanguageModel,
    LanguageModelError,
    Overloaded,
    Refused,
    TimedOut,
    Token,
    ToolCall,
    Unauthorised,
    UnknownModel,
    Unreachable,
)
from voice_agent.config import LanguageModelSettings

QUESTION = [{"role": "user", "content": "When do you open?"}]


def client(url: str, **changes: Any) -> LanguageModel:
    patience = {"first_token_timeout_s": 5.0, "token_timeout_s": 5.0}
    return LanguageModel(LanguageModelSettings(url=url, **{**patience, **changes}))


async def ask(model: LanguageModel, **request: Any) -> list[Item]:
    try:
        async with aclosing(model.stream(QUESTION, **request)) as items:
            return [item async for item in items]
    finally:
        await model.close()


async def ask_until_failure(
    model: LanguageModel,
) -> tuple[list[Item], LanguageModelError]:
    items: list[Item] = []
    try:
        async for item in model.stream(QUESTION):
            items.append(item)
    except LanguageModelError as failure:
        return items, failure
    finally:
        await model.close()
    pytest.fail(f"no failure, but {items}")


async def test_tokens_come_in_order_and_the_answer_ends_with_its_counts() -> None:
    parts = [delta("", role="assistant"), delta("At "), delta("nine"), delta(".", "stop")]
    async with serving(sends(*parts, usage(12, 3, cached=8), DONE)) as server:
        items = await ask(client(server.url))
    assert items == [Token("At "), Token("nine"), Token("."), Finished("stop", 12, 8, 3)]


async def test_a_token_is_yielded_before_the_next_one_is_written() -> None:
    heard = asyncio.Event()

    async def until_heard(request: web.Request) -> None:
        await heard.wait()

    async with serving(sends(delta("At"), then=until_heard)) as server:
        model = client(server.url)
        async with aclosing(model.stream(QUESTION)) as items:
            assert await anext(items) == Token("At")
            heard.set()
        await model.close()


async def test_letters_split_between_packets_stay_whole() -> None:
    whole = b'data: {"choices": [{"delta": {"content": "caf\xc3\xa9"}}]}\n\n'
    cut = whole.index(b"\xa9")
    end = delta("", "stop")
    async with serving(sends(whole[:cut], whole[cut:], end, DONE)) as server:
        items = await ask(client(server.url))
    assert items == [Token("café"), Finished("stop")]


async def test_thoughts_pings_and_other_fields_are_not_spoken() -> None:
    noise = [b": ping\n\n", b"event: message\nid: 7\nretry: 10\n", b"\r\n"]
    parts = [*noise, delta(reasoning_content="hm"), delta("Nine.", "stop"), DONE]
    async with serving(sends(*parts)) as server:
        items = await ask(client(server.url))
    assert items == [Token("Nine."), Finished("stop")]


async def test_tool_calls_are_assembled_and_come_before_the_end() -> None:
    def part(index: int, **call: Any) -> bytes:
        return delta(tool_calls=[{"index": index, **call}])

    parts = [
        part(0, id="a", function={"name": "find_order", "arguments": ""}),
        part(0, function={"arguments": '{"code": '}),
        part(1, id="b", function={"name": "hang_up", "arguments": None}),
        part(0, function={"arguments": '"FH-1"}'}),
        delta(None, "tool_calls"),
        DONE,
    ]
    async with serving(sends(*parts)) as server:
        items = await ask(client(server.url))
    assert items == [
        ToolCall("a", "find_order", {"code": "FH-1"}),
        ToolCall("b", "hang_up", {}),
        Finished("tool_calls"),
    ]


TOOLS = [{"type": "function", "function": {"name": "find_order"}}]


async def test_a_call_that_llama_cpp_had_to_write_as_text_is_a_call_all_the_same() -> None:
    parts = [delta('{"name": "find_order", '), delta('"arguments": {"code": "F"}}', "stop"), DONE]
    async with serving(sends(*parts)) as server:
        items = await ask(client(server.url), tools=TOOLS, tool_choice="required")
    assert items == [ToolCall("call-0", "find_order", {"code": "F"}), Finished("tool_calls")]


@pytest.mark.parametrize("text", ["{", "[]", '{"name": 7, "arguments": {}}', '{"name": "f"}'])
async def test_text_that_should_be_a_call_and_is_not_is_garbled(text: str) -> None:
    async with serving(sends(delta(text, "length"), DONE)) as server:
        with pytest.raises(Garbled):
            await ask(client(server.url), tools=TOOLS, tool_choice="find_order")


async def test_an_answer_whose_last_words_are_missing_is_still_whole() -> None:
    async with serving(sends(delta("Nine.", "stop"), then=dies)) as server:
        assert await ask(client(server.url)) == [Token("Nine."), Finished("stop")]


REFUSALS: list[tuple[str, Answer, type[LanguageModelError], bool]] = [
    ("wrong key", says(401, '{"error": {"message": "no"}}'), Unauthorised, False),
    ("forbidden", says(403, ""), Unauthorised, False),
    ("no such model", says(404, '{"error": {"type": "NotFoundError"}}'), UnknownModel, False),
    (
        "context too long at vLLM",
        says(400, '{"error": {"message": "This model\'s maximum context length is 4096 tokens"}}'),
        ContextTooLong,
        False,
    ),
    (
        "context too long at llama.cpp",
        says(400, '{"error": {"code": 400, "type": "exceed_context_size_error"}}'),
        ContextTooLong,
        False,
    ),
    ("another bad request", says(400, '{"error": "bad"}'), Refused, False),
    ("overloaded", says(503, '{"error": {"type": "ServiceUnavailableError"}}'), Overloaded, True),
    ("too many requests", says(429, "slow down", "text/plain"), Overloaded, True),
    (
        "loading its model",
        says(503, '{"error": {"message": "Loading model", "type": "unavailable_error"}}'),
        Unreachable,
        True,
    ),
    ("a proxy without its server", says(502, "<html>", "text/html"), Unreachable, True),
    ("a proxy that gave up", says(504, "<html>", "text/html"), TimedOut, True),
    ("broken engine", says(500, "[1]"), EngineFailed, True),
    ("moved elsewhere", says(302, ""), Garbled, False),
    ("a web page", says(200, "<html>It works!</html>", "text/html"), Garbled, False),
    ("JSON instead of a stream", says(200, "{}"), Garbled, False),
    ("not JSON", sends(b"data: {nine\n\n"), Garbled, False),
    ("random bytes", sends(b"\x00\xff\xfe\x9b" * 40 + b"\n"), Garbled, False),
    ("bytes that are not UTF-8", sends(b'data: {"choices": "\xff"}\n\n'), Garbled, False),
    ("a list", sends(event([1, 2])), Garbled, False),
    ("an object of another kind", sends(event({"hello": 1})), Garbled, False),
    ("choices that are text", sends(event({"choices": "nine"})), Garbled, False),
    (
        "content that is a number",
        sends(event({"choices": [{"delta": {"content": 9}}]})),
        Garbled,
        False,
    ),
    ("a line without end", sends(b"data: " + b"9" * 400_000), Garbled, False),
    ("an empty stream", sends(), Interrupted, True),
    ("only the end", sends(DONE), Interrupted, True),
    (
        "overload inside a stream, as vLLM reports it",
        sends(event({"error": {"message": "busy", "type": "x", "param": None, "code": 503}}), DONE),
        Overloaded,
        True,
    ),
    ("an error event without a code", sends(event({"error": "broken"})), EngineFailed, True),
    ("an error field", sends(b'error: {"code": 500, "message": "no"}\n\n'), EngineFailed, True),
    ("a tool call that is text", sends(delta(tool_calls="find_order")), Garbled, False),
    ("a tool call of another shape", sends(delta(tool_calls=[{"index": "x"}])), Garbled, False),
    (
        "tool arguments that are not JSON",
        sends(
            delta(tool_calls=[{"function": {"name": "f", "arguments": "{"}}]),
            delta("", "stop"),
            DONE,
        ),
        Garbled,
        False,
    ),
    (
        "tool arguments that are a list",
        sends(
            delta(tool_calls=[{"function": {"name": "f", "arguments": "[]"}}]),
            delta("", "stop"),
            DONE,
        ),
        Garbled,
        False,
    ),
]


@pytest.mark.parametrize(
    ("answer", "expected", "retryable"),
    [case[1:] for case in REFUSALS],
    ids=[case[0] for case in REFUSALS],
)
async def test_a_failure_before_the_first_token_says_what_it_is(
    answer: Answer, expected: type[LanguageModelError], retryable: bool
) -> None:
    async with serving(answer) as server:
        items, failure = await ask_until_failure(client(server.url))
    assert items == []
    assert type(failure) is expected
    assert failure.retryable is retryable


INTERRUPTIONS: list[tuple[str, Answer]] = [
    ("connection cut", sends(delta("At "), then=dies)),
    ("stream closed", sends(delta("At "))),
    ("half an event", sends(delta("At "), b'data: {"choi')),
    ("end without a reason", sends(delta("At "), DONE)),
    ("given up by the engine", sends(delta("At "), delta("", "abort"), DONE)),
    ("error event", sends(delta("At "), event({"error": {"code": 500, "message": "died"}}), DONE)),
]


@pytest.mark.parametrize(
    "answer", [case[1] for case in INTERRUPTIONS], ids=[case[0] for case in INTERRUPTIONS]
)
async def test_a_death_in_mid_answer_keeps_what_was_said(answer: Answer) -> None:
    async with serving(answer) as server:
        items, failure = await ask_until_failure(client(server.url))
    assert items == [Token("At ")]
    assert type(failure) is Interrupted
    assert failure.retryable


async def test_garbage_in_mid_answer_keeps_what_was_said() -> None:
    async with serving(sends(delta("At "), b"<html>\n")) as server:
        items, failure = await ask_until_failure(client(server.url))
    assert (items, type(failure)) == ([Token("At ")], Garbled)


async def test_nobody_listening_is_unreachable(unused_tcp_port: int) -> None:
    _, failure = await ask_until_failure(client(f"http://127.0.0.1:{unused_tcp_port}/v1"))
    assert type(failure) is Unreachable


async def test_a_server_that_accepts_and_never_answers_times_out() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await waits_forever(request)
        raise AssertionError

    async with serving(answer) as server:
        _, failure = await ask_until_failure(client(server.url, first_token_timeout_s=0.05))
        await server.client_left.wait()
    assert type(failure) is TimedOut


async def test_pings_do_not_stand_in_for_a_first_token() -> None:
    async def pings(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b": ping\n\n" + delta("", role="assistant"))
            await asyncio.sleep(0)

    async with serving(pings) as server:
        _, failure = await ask_until_failure(client(server.url, first_token_timeout_s=0.1))
    assert type(failure) is TimedOut


async def test_a_stall_in_mid_answer_times_out_and_leaves_the_server() -> None:
    async with serving(sends(delta("At "), then=waits_forever)) as server:
        items, failure = await ask_until_failure(client(server.url, token_timeout_s=0.05))
        await server.client_left.wait()
    assert (items, type(failure)) == ([Token("At ")], TimedOut)


async def test_a_server_that_does_not_speak_http_is_garbled_or_unreachable() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        _, failure = await ask_until_failure(client(f"http://127.0.0.1:{port}/v1"))
    assert type(failure) is Garbled


async def test_closing_the_generator_leaves_the_server_at_once() -> None:
    async with serving(sends(delta("At "), then=waits_forever)) as server:
        model = client(server.url)
        items = model.stream(QUESTION)
        assert await anext(items) == Token("At ")
        await items.aclose()
        await server.client_left.wait()
        await model.close()


@pytest.mark.parametrize("parts", [(), (delta("At "),)], ids=["before a token", "after one"])
async def test_cancelling_the_task_leaves_the_server_at_once(parts: tuple[bytes, ...]) -> None:
    asked = asyncio.Event()

    async def then(request: web.Request) -> None:
        asked.set()
        await waits_forever(request)

    async with serving(sends(*parts, then=then)) as server:
        model = client(server.url)
        task = asyncio.create_task(ask(model))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.client_left.wait()


async def test_cancelling_before_the_headers_leaves_the_server_at_once() -> None:
    asked = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.set()
        await waits_forever(request)
        raise AssertionError

    async with serving(answer) as server:
        task = asyncio.create_task(ask(client(server.url)))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.client_left.wait()


async def test_warming_reads_the_prompt_and_writes_next_to_nothing() -> None:
    async with serving(sends(delta("x", "length"), DONE)) as server:
        model = client(server.url)
        await model.warm(QUESTION)
        await model.close()
    assert server.bodies[0]["max_tokens"] == 1
    assert server.bodies[0]["messages"] == QUESTION


async def test_reading_ahead_gives_way_to_an_answer_and_is_not_begun_during_one() -> None:
    async with serving(sends(delta(""), then=waits_forever)) as server:
        model = client(server.url)
        reading = asyncio.create_task(model.warm(QUESTION))
        async with asyncio.timeout(5):
            while not server.bodies:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0)
            server.answer = sends(delta("Yes."), then=waits_forever)
            async with aclosing(model.stream(QUESTION)) as items:
                assert isinstance(await anext(items), Token)
                await reading
                await server.client_left.wait()
                await model.warm(QUESTION)
        await model.close()
    assert len(server.bodies) == 2


async def test_the_key_comes_from_the_environment_and_no_connection_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", "open sesame")
    async with serving(sends(delta("x", "stop"), DONE)) as server:
        await ask(client(server.url, api_key_env="TEST_LLM_KEY"))
    assert server.headers[0]["Authorization"] == "Bearer open sesame"
    assert server.headers[0]["Connection"] == "close"


@pytest.mark.parametrize(
    ("health", "models", "ready"), [(200, 200, True), (503, 200, False), (200, 401, False)]
)
async def test_ready_means_loaded_and_willing(health: int, models: int, ready: bool) -> None:
    async with serving(sends()) as server:
        server.health, server.models = health, models
        model = client(server.url)
        assert await model.ready() is ready
        await model.close()


async def test_a_server_that_is_not_there_is_not_ready(unused_tcp_port: int) -> None:
    model = client(f"http://127.0.0.1:{unused_tcp_port}/v1")
    assert not await model.ready()
    await model.close()


async def test_a_closed_client_can_be_used_again() -> None:
    async with serving(sends(delta("x", "stop"), DONE)) as server:
        model = client(server.url)
        await ask(model)
        assert await ask(model) == [Token("x"), Finished("stop")]


async def test_the_servers_words_are_kept_out_of_the_message() -> None:
    said = '{"error": {"message": "invalid: my name is Ada", "type": "BadRequestError"}}'
    async with serving(says(400, said)) as server:
        _, failure = await ask_until_failure(client(server.url))
    assert "Ada" not in str(failure)
    assert "Ada" in failure.detail


async def test_errors_of_one_server_do_not_reach_the_next_request() -> None:
    async def first_busy(request: web.Request) -> web.StreamResponse:
        answer = says(503, "") if len(server.bodies) == 1 else sends(delta("x", "stop"), DONE)
        return await answer(request)

    server: ChatServer
    async with serving(first_busy) as server:
        model = client(server.url)
        _, failure = await ask_until_failure(model)
        assert type(failure) is Overloaded
        assert await ask(model) == [Token("x"), Finished("stop")]
