"""What is sent to each engine, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from voice_agent.answering.chat_protocol import Engine, request_body
from voice_agent.config import LanguageModelSettings

MESSAGES = [{"role": "user", "content": "Hello?"}]


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


TOOLS = [tool("find_order"), tool("hang_up")]
NAMED = {"type": "function", "function": {"name": "hang_up"}}


def form(*names: str) -> dict[str, Any]:
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": {"type": "object"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name in names
    ]
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": {"anyOf": calls}}}


CASES: list[tuple[str, Engine, dict[str, Any], dict[str, Any]]] = [
    ("llama.cpp keeps its prompt and notices who leaves", "llama.cpp", {}, {}),
    ("llama.cpp has no priorities", "llama.cpp", {"priority": -1}, {}),
    ("vLLM needs nothing more", "vllm", {}, {}),
    ("vLLM hears of priority", "vllm", {"priority": -1}, {"priority": -1}),
    ("vLLM of priority 0 does not", "vllm", {"priority": 0}, {}),
    ("a limit", "vllm", {"max_tokens": 7}, {"max_tokens": 7}),
    ("a form", "vllm", {"response_format": {"type": "json_object"}},
     {"response_format": {"type": "json_object"}}),
    ("tools as the model likes", "vllm", {"tools": TOOLS}, {"tools": TOOLS}),
    ("a choice without tools", "vllm", {"tool_choice": "required"}, {}),
    ("some tool", "vllm", {"tools": TOOLS, "tool_choice": "required"},
     {"tools": TOOLS, "tool_choice": "required"}),
    ("one tool at vLLM", "vllm", {"tools": TOOLS, "tool_choice": "hang_up"},
     {"tools": TOOLS, "tool_choice": NAMED}),
    ("some tool at llama.cpp", "llama.cpp", {"tools": TOOLS, "tool_choice": "required"},
     {"tools": TOOLS, "tool_choice": "none",
      "response_format": form("find_order", "hang_up")}),
    ("one tool at llama.cpp", "llama.cpp", {"tools": TOOLS, "tool_choice": "hang_up"},
     {"tools": TOOLS, "tool_choice": "none",
      "response_format": form("hang_up")}),
    ("a tool if need be at llama.cpp", "llama.cpp", {"tools": TOOLS, "tool_choice": "auto"},
     {"tools": TOOLS, "tool_choice": "auto"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "request_", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_each_engine_is_asked_in_its_own_dialect(
    engine: Engine, request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    settings = LanguageModelSettings(engine=engine, model="m", max_tokens=50, temperature=0.5)
    common = {
        "model": "m",
        "messages": MESSAGES,
        "max_tokens": 50,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if engine == "llama.cpp":
        common |= {"cache_prompt": True, "return_progress": True}
    assert request_body(settings, MESSAGES, **request_) == {**common, **expected}
