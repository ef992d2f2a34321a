"""One search: what it is asked with, what it finds, and how a version is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from voice_agent.knowledge.embedder import Vectors
from voice_agent.knowledge.errors import EmbedderUnusable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import MAX_QUESTION_CHARACTERS, parts_of
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.wanted import Wanted


class TextEmbedder(Protocol):
    """Texts to vectors of length one (see ``knowledge.embedder.Embedder``)."""

    identity: str

    def embed(self, texts: list[str]) -> Vectors:
        """float32 array (number of texts, 384)."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found, best first, and all that is needed to repeat it.

    `query` is the text as it was embedded, and `context` what was said before it, where subjects
    were looked for. `late` means that the deadline passed before meanings were compared: the
    passages are those that have most of the words, with a score of 0, or none.
    """

    passages: tuple[Passage, ...]
    query: str
    took_ms: float
    version: str
    late: bool = False
    context: tuple[str, ...] = ()
    day: str = ""
    language: str = ""
    limit: int = 0
    minimum_score: float = 0.0


def find(
    store: PassageStore,
    version: str,
    embedder: TextEmbedder,
    wanted: Wanted,
    limit: int,
) -> tuple[Passage, ...]:
    """What a turn finds: every search of a version goes through here, live, measured or repeated.

    Raises:
        EmbedderUnusable: the query cannot be embedded.
        IndexUnreachable: the store cannot be asked.
    """
    try:
        meaning = embedder.embed(parts_of(wanted.question))
    except Exception as error:  # the engine raises bare exceptions
        raise EmbedderUnusable(f"the query could not be embedded: {error}") from error
    return tuple(store.find(version, wanted, meaning, limit))


def clean_query(query: str) -> str:
    """A query without control characters and with single spaces; the latest 6,000 characters."""
    printable = "".join(character if character.isprintable() else " " for character in query)
    return " ".join(printable.split())[-MAX_QUESTION_CHARACTERS:]
