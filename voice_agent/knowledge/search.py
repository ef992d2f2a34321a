"""One search: what it is asked with, what it finds, and how a version is searched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import NamedTuple, Protocol

from voice_agent.knowledge.embedder import Vectors
from voice_agent.knowledge.errors import EmbedderUnusable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import MAX_QUESTION_CHARACTERS, own_terms, parts_of
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.wanted import Wanted

SURE = 0.5
"""Cosine similarity of a passage that answers a short question, whatever was asked before it."""
FAIR = 0.35
"""Of one that does when it has words of the question, and what else was found has none."""


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


class Found(NamedTuple):
    """Passages, best first, and the reading of the question that found them."""

    passages: tuple[Passage, ...]
    question: str


def find(
    store: PassageStore,
    version: str,
    embedder: TextEmbedder,
    wanted: Wanted,
    limit: int,
    meanwhile: Callable[[], None] | None = None,
) -> Found:
    """What a turn finds: every search of a version goes through here, live, measured or repeated.

    The first of the shorter readings that says enough is taken, else the whole one: a question
    that names its own subject finds that, and one that leans on another finds little.
    ``meanwhile`` is done while the question is embedded.

    Raises:
        EmbedderUnusable: the query cannot be embedded.
        IndexUnreachable: the store cannot be asked.
    """
    embedding = _embedding().submit(embedder.embed, parts_of(wanted.question))
    if meanwhile is not None:
        meanwhile()
    whole = tuple(store.find(version, wanted, _embedded(embedding.result), limit))
    for reading in wanted.shorter:
        meaning = _embedded(partial(embedder.embed, parts_of(reading)))
        alone = tuple(store.find(version, replace(wanted, question=reading), meaning, limit))
        if alone and says_enough(reading, alone[0], whole[0] if whole else None):
            return Found(alone, reading)
    return Found(whole, wanted.question)


def says_enough(reading: str, alone: Passage, whole: Passage | None) -> bool:
    """Whether a shorter reading of a question is the one that was meant.

    Args:
        reading: the words.
        alone: the best passage for them.
        whole: the best passage for the question with all that it may refer back to.
    """
    if alone.score >= SURE:
        return True
    own = own_terms(reading)
    told = bool(own & own_terms(alone.embedded_text))
    lost = whole is None or not own & own_terms(whole.embedded_text)
    return alone.score >= FAIR and told and lost


def _embedded(embed: Callable[[], Vectors]) -> Vectors:
    try:
        return embed()
    except Exception as error:  # the engine raises bare exceptions
        raise EmbedderUnusable(f"the query could not be embedded: {error}") from error


@cache
def _embedding() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "embedding")


def clean_query(query: str) -> str:
    """A query without control characters and with single spaces; the latest 6,000 characters."""
    printable = "".join(character if character.isprintable() else " " for character in query)
    return " ".join(printable.split())[-MAX_QUESTION_CHARACTERS:]
