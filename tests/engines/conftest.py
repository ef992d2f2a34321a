"""The engine under test: llama.cpp, or vLLM where ``make test-vllm`` asks for it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator

import pytest

from tests.engines.engine import KEY, KEY_ENV, Engine, Name, running
from voice_agent.answering.language_model import LanguageModel


@pytest.fixture(scope="session")
def engine_name() -> Name:
    return "vllm" if os.environ.get("VOICE_AGENT_TEST_ENGINE") == "vllm" else "llama.cpp"


@pytest.fixture(scope="session")
def engine(engine_name: Name, tmp_path_factory: pytest.TempPathFactory) -> Generator[Engine]:
    """One server for the whole table: each case leaves it idle."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEY_ENV, KEY)
        with running(engine_name, tmp_path_factory.mktemp("engine")) as engine:
            yield engine


@pytest.fixture
async def model(engine: Engine) -> AsyncGenerator[LanguageModel]:
    model = LanguageModel(engine.settings())
    yield model
    await model.close()
