"""The stored questions, and which of them a version finds the right document for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from voice_agent.knowledge.errors import QuestionsUnusable
from voice_agent.knowledge.index import TextEmbedder, find
from voice_agent.knowledge.store import PassageStore
from voice_agent.knowledge.versions import Version
from voice_agent.knowledge.wanted import Wanted

RECALL_AT = 5
_VERSIONS_REMEMBERED = 4


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question as a caller says it, and the id of the document that answers it."""

    question: str
    document: str


def read_questions(path: Path) -> tuple[StoredQuestion, ...]:
    """The questions of a file like ``configs/knowledge_questions.yaml``; none without a file.

    Raises:
        QuestionsUnusable: the file cannot be read.
    """
    if not path.exists():
        return ()
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return tuple(StoredQuestion(str(row["question"]), str(row["document"])) for row in rows)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise QuestionsUnusable(f"{path}: the stored questions cannot be read: {reason}") from error


class QuestionSet:
    """Questions asked of versions; the answers of the last few are remembered."""

    def __init__(
        self,
        questions: tuple[StoredQuestion, ...],
        embedder: TextEmbedder,
        server: PassageStore | None = None,
    ) -> None:
        self._questions = questions
        self._embedder = embedder
        self._server = server
        self._remembered: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def found_in(
        self, version: Version, documents: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Ask a version the questions that its documents answer.

        Returns:
            The questions asked, and those with the right document among the first five passages.

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
                in {
                    passage.document_id
                    for passage in find(
                        store, version.version, self._embedder, Wanted(each.question), RECALL_AT
                    )
                }
            )
        finally:
            if store is not self._server:
                store.close()
