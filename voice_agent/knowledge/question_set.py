"""The stored questions, and which of them a version finds the right document for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voice_agent.knowledge.errors import QuestionsUnusable
from voice_agent.knowledge.passages import Passage
from voice_agent.knowledge.query import Query, make_query
from voice_agent.knowledge.search import TextEmbedder, find
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.version_reader import Version
from voice_agent.knowledge.wanted import ANY_NEARNESS, Wanted

RECALL_AT = 5
"""Documents among which the right one counts as found."""
_VERSIONS_REMEMBERED = 4
_PASSAGES_A_PLACE = 6  # searched for each document wanted, because several may be of one


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question as a caller says it, searched with `query`, and the id of what answers it.

    A follow-up is named with the question before it, which its query continues.
    """

    question: str
    query: Query
    document: str


def read_questions(path: Path) -> tuple[StoredQuestion, ...]:
    """The questions of a file like ``configs/knowledge_questions.yaml``, and their follow-ups.

    Returns:
        None without a file.

    Raises:
        QuestionsUnusable: the file cannot be read.
    """
    if not path.exists():
        return ()
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return tuple(stored for row in rows for stored in _questions_of(row))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise QuestionsUnusable(f"{path}: the stored questions cannot be read: {reason}") from error


def _questions_of(row: dict[str, Any]) -> Iterator[StoredQuestion]:
    first = str(row["question"])
    yield StoredQuestion(first, make_query([], first), str(row["document"]))
    if next_one := row.get("follow_up"):
        asked = str(next_one["question"])
        query = make_query([(first, "")], asked)
        yield StoredQuestion(f"{first} / {asked}", query, str(next_one["document"]))


def first_ids(
    store: PassageStore,
    version: str,
    embedder: TextEmbedder,
    query: Query,
    most: int,
    least: float = ANY_NEARNESS,
    id_of: Callable[[Passage], str] = lambda passage: passage.document_id,
) -> list[str]:
    """What one search finds, each id once, best first: what recall is counted over, everywhere.

    Raises:
        EmbedderUnusable, IndexUnreachable: it cannot be searched.
    """
    wanted = Wanted(query.text, query.context, least=least, shorter=query.shorter)
    found = find(store, version, embedder, wanted, most * _PASSAGES_A_PLACE)
    return list(dict.fromkeys(id_of(each) for each in found.passages))[:most]


class QuestionSet:
    """Questions asked of versions; the answers of the last few are remembered."""

    def __init__(
        self,
        questions: tuple[StoredQuestion, ...],
        embedder: TextEmbedder,
        server: PassageStore | None = None,
        least: float = ANY_NEARNESS,
    ) -> None:
        """Ask these questions; passages below `least` (a cosine similarity) do not count."""
        self._questions = questions
        self._embedder = embedder
        self._server = server
        self._least = least
        self._remembered: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def found_in(
        self, version: Version, documents: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Ask a version the questions that its documents answer.

        Returns:
            The questions asked, and those with the right document among the first five.

        Raises:
            IndexUnreachable: the server does not answer.
        """
        known = self._remembered.get(version.version)
        if known is None:
            fitting = [each for each in self._questions if each.document in documents]
            asked = frozenset(each.question for each in fitting)
            known = asked, self._ask(version, fitting) if fitting else frozenset()
            while len(self._remembered) >= _VERSIONS_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[version.version] = known
        return known

    def _ask(self, version: Version, questions: list[StoredQuestion]) -> frozenset[str]:
        store = self._server or PassageStore.embedded()
        try:
            store.fill(version)
            return frozenset(
                each.question
                for each in questions
                if each.document
                in first_ids(
                    store, version.version, self._embedder, each.query, RECALL_AT, self._least
                )
            )
        finally:
            if store is not self._server:
                store.close()
