from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.voice_agent.knowledge.sources.web_server import WebServer


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer().running() as server:
        yield server
