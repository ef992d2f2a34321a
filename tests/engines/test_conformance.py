"""What the agent relies on, case by case, against the real server.

Where the two engines differ, the case says so: the client hides nothing that a caller would feel.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.engines.engine import Engine, Name, running
from voice_agent.answering.language_model import (
    ContextTooLong,
    Finished,
    Interrupted,
    Item,
    LanguageModel,
    LanguageModelError,
    Overloaded,
    Token,
    ToolCall,
    Unauthorised,
    UnknownModel,
)

pytestmark = pytest.mark.models

FACTS = "You answer callers of a shop in one sentence. The shop opens at 9 and closes at 5."
COUNTING = "Write the numbers from 1 to 1000 as digits, separated by commas. Leave none out."
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Look up an order by its code",
            "parameters": {
                "type": "object",
                "properties": {"code": {"type": "string"}},
                "required": ["code"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "hang_up",
            "description": "End the call",
            "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        },
    },
]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def user(text: str, system: str = FACTS) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


async def ask(model: LanguageModel, messages: list[dict[str, str]], **more: Any) -> list[Item]:
    async with aclosing(model.stream(messages, **more)) as items:
        return [item async for item in items]


def text_of(items: list[Item]) -> str:
    return "".join(item.text for item in items if isinstance(item, Token))


def end_of(items: list[Item]) -> Finished:
    end = items[-1]
    assert isinstance(end, Finished)
    return end


def never_seen(words: int) -> str:
    """A text that no cache holds."""
    return f"Note {uuid.uuid4().hex}. " + "The parcel is on its way to you. " * (words // 7)


async def test_it_is_ready_with_the_key_and_not_without(
    engine: Engine, model: LanguageModel
) -> None:
    assert await model.ready()
    stranger = LanguageModel(engine.settings(api_key_env="NO_SUCH_VARIABLE"))
    # llama.cpp lists its models to anyone, so there only an answer shows that the key is wrong.
    if engine.name == "vllm":
        assert not await stranger.ready()
    with pytest.raises(Unauthorised):
        await ask(stranger, user("Hello?"))
    await stranger.close()


async def test_an_answer_comes_as_tokens_and_then_one_end(model: LanguageModel) -> None:
    items = await ask(model, user("When do you open?"))
    assert all(isinstance(item, Token) for item in items[:-1])
    assert len(items) > 3
    assert "9" in text_of(items) or "nine" in text_of(items)
    end = end_of(items)
    assert end.reason == "stop"
    assert end.prompt_tokens is not None
    assert end.prompt_tokens > 30
    assert end.completion_tokens is not None
    assert end.completion_tokens >= len(items) - 2  # its last token may carry no text


async def test_an_answer_stops_at_its_limit(model: LanguageModel) -> None:
    end = end_of(await ask(model, user(COUNTING), max_tokens=5))
    assert (end.reason, end.completion_tokens) == ("length", 5)


async def test_letters_of_several_tokens_stay_whole(model: LanguageModel) -> None:
    words = "你好 😀 naïve café 🇫🇷"
    items = await ask(model, [{"role": "user", "content": f"Repeat exactly: {words}"}])
    assert "�" not in text_of(items)
    assert "😀" in text_of(items)
    assert "é" in text_of(items)


async def test_a_prompt_seen_before_is_not_read_again(model: LanguageModel) -> None:
    prefix = never_seen(words=200)
    cold = end_of(await ask(model, user("When do you open?", prefix), max_tokens=1))
    warm = end_of(await ask(model, user("And when do you close?", prefix), max_tokens=1))
    assert warm.prompt_tokens is not None
    assert cold.cached_tokens is not None
    assert warm.cached_tokens is not None
    assert cold.cached_tokens < warm.prompt_tokens / 4
    assert warm.cached_tokens > warm.prompt_tokens / 2


async def test_a_warmed_prompt_is_not_read_again(model: LanguageModel) -> None:
    prefix = never_seen(words=200)
    await model.warm([{"role": "system", "content": prefix}])
    end = end_of(await ask(model, user("When do you open?", prefix), max_tokens=1))
    assert end.prompt_tokens is not None
    assert end.cached_tokens is not None
    assert end.cached_tokens > end.prompt_tokens / 2


async def test_closing_an_answer_frees_its_slot(engine: Engine, model: LanguageModel) -> None:
    await engine.until_idle()
    before = await engine.written()
    async with aclosing(model.stream(user(COUNTING), max_tokens=3500)) as items:
        async for _ in items:
            break
        assert await engine.busy_with() == 1
    await engine.until_idle()
    assert await engine.written() < before + 500  # the whole answer has nearly four thousand


async def test_cancelling_while_the_prompt_is_read_frees_its_slot(
    engine: Engine, model: LanguageModel
) -> None:
    await engine.until_idle()
    before = await engine.written()
    task = asyncio.create_task(ask(model, user("Hello?", never_seen(words=1200)), max_tokens=2000))
    await engine.until_busy()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await engine.until_idle()
    assert await engine.written() == before


@pytest.mark.parametrize("choice", ["required", "find_order"])
async def test_a_tool_that_must_be_called_is_called(model: LanguageModel, choice: str) -> None:
    question = user("Where is my order FH-1234?", "You help callers with their orders.")
    *calls, end = await ask(model, question, tools=TOOLS, tool_choice=choice)
    assert [type(call) for call in calls] == [ToolCall]
    call = calls[0]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("find_order", {"code": "FH-1234"})
    assert call.id
    assert isinstance(end, Finished)
    assert end.reason in {"tool_calls", "stop"}


async def test_a_named_tool_is_called_even_when_another_fits_better(model: LanguageModel) -> None:
    question = user("Where is my order FH-1234?", "You help callers with their orders.")
    calls = [
        item
        for item in await ask(model, question, tools=TOOLS, tool_choice="hang_up")
        if isinstance(item, ToolCall)
    ]
    # vLLM lets the model add arguments to a tool that has none, whatever its schema says.
    assert [call.name for call in calls] == ["hang_up"]


async def test_tools_offered_and_not_demanded_bring_text_or_calls(model: LanguageModel) -> None:
    # This small model writes its call as JSON text on either engine; what must hold is the stream.
    items = await ask(model, user("Where is my order FH-1234?"), tools=TOOLS, tool_choice="auto")
    assert end_of(items).reason in {"stop", "tool_calls"}
    assert len(items) > 1


async def test_an_answer_takes_the_form_it_is_given(model: LanguageModel) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    items = await ask(model, user("Who is it? Ada, who is 36."), response_format=form)
    person = json.loads(text_of(items))
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


async def test_a_conversation_beyond_the_context_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ContextTooLong) as refusal:
        await ask(model, user("Hello?", "word " * 6000))
    assert not refusal.value.retryable


async def test_a_priority_never_spoils_a_request(model: LanguageModel) -> None:
    assert end_of(await ask(model, user("When do you open?"), priority=-5)).reason == "stop"


async def test_an_unknown_model_is_refused_by_vllm_and_ignored_by_llama_cpp(
    engine: Engine,
) -> None:
    model = LanguageModel(engine.settings(model="no-such-model"))
    if engine.name == "vllm":
        with pytest.raises(UnknownModel):
            await ask(model, user("Hello?"))
    else:
        assert await ask(model, user("Hello?"), max_tokens=2)
    await model.close()


async def test_overload_is_refused_by_vllm_and_queued_by_llama_cpp(
    engine: Engine, model: LanguageModel
) -> None:
    """vLLM begins with 200 and puts the refusal inside the stream; llama.cpp lets everybody wait.

    Either way each request ends, none in silence, and afterwards the server serves again.
    """

    async def outcome() -> Finished | LanguageModelError:
        try:
            return end_of(await ask(model, user("Hello?", never_seen(words=150)), max_tokens=1))
        except LanguageModelError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome()) for _ in range(8)]
    refused = [task.result() for task in tasks if isinstance(task.result(), LanguageModelError)]
    assert {type(error) for error in refused} <= {Overloaded}
    assert len(refused) < len(tasks)
    assert bool(refused) is (engine.name == "vllm")
    assert end_of(await ask(model, user("When do you open?"))).reason == "stop"


async def test_the_death_of_the_engine_in_mid_answer_is_an_interruption(
    engine_name: Name, engine: Engine, tmp_path: Path
) -> None:
    with running(engine_name, tmp_path) as mortal:
        model = LanguageModel(mortal.settings())
        heard: list[Item] = []

        async def listen() -> None:
            async with aclosing(model.stream(user(COUNTING), max_tokens=2000)) as items:
                async for item in items:
                    heard.append(item)
                    if len(heard) == 3:
                        mortal.kill_what_writes()

        with pytest.raises(Interrupted) as failure:
            await listen()
        assert failure.value.retryable
        assert text_of(heard)
        with pytest.raises(LanguageModelError) as afterwards:
            await ask(model, user("Hello?"))
        assert afterwards.value.retryable
        assert not await model.ready()
        await model.close()
