from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused
from voice_agent.knowledge.parsing import Parsed, Parser
from voice_agent.knowledge.sources import Fetched, Validators


@pytest.fixture(scope="session")
def parser() -> Iterator[Parser]:
    with Parser() as kept:
        yield kept


def fetched(uri: str, content: str | bytes | Path, media_type: str = "") -> Fetched:
    raw = content.encode() if isinstance(content, str) else content
    return Fetched(uri, raw, media_type, Validators(), fetched_at=0.0)


Parse = Callable[..., Parsed]


@pytest.fixture
def parse(parser: Parser) -> Parse:
    def parse(uri: str, content: str | bytes | Path, media_type: str = "") -> Parsed:
        return parser.parse(fetched(uri, content, media_type))

    return parse


@pytest.fixture
def document(parse: Parse) -> Callable[..., Document]:
    def document(uri: str, content: str | bytes | Path, media_type: str = "") -> Document:
        parsed = parse(uri, content, media_type)
        assert len(parsed.documents) == 1
        return parsed.documents[0]

    return document


@pytest.fixture
def refusal(parse: Parse) -> Callable[..., str]:
    """The reason why a file is refused; it names the file and fits a line."""

    def refusal(uri: str, content: str | bytes | Path, media_type: str = "") -> str:
        with pytest.raises(DocumentRefused) as raised:
            parse(uri, content, media_type)
        assert raised.value.document == uri
        assert "\n" not in raised.value.reason
        return raised.value.reason

    return refusal
