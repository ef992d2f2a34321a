"""What can go wrong with knowledge; each error has a stable code and says whether to try again."""

from __future__ import annotations


class KnowledgeError(Exception):
    """Root of the knowledge stage's errors; messages are one line that says what to do."""

    code = "knowledge_failed"
    retryable = False


class EmbedderUnusable(KnowledgeError):
    """The embedding model's folder is missing, incomplete or not the expected model."""

    code = "embedder_unusable"


class DocumentRefused(KnowledgeError):
    """One document cannot be used; the build goes on without it."""

    code = "document_refused"

    def __init__(self, document: str, reason: str) -> None:
        super().__init__(f"{document}: {reason}")
        self.document = document
        self.reason = reason


class NothingToIndex(KnowledgeError):
    """The documents folder is missing or no document in it can be used."""

    code = "nothing_to_index"


class IndexMissing(KnowledgeError):
    """No index has been built and promoted yet."""

    code = "index_missing"


class IndexUnusable(KnowledgeError):
    """The promoted index is damaged or was made with another embedding model."""

    code = "index_unusable"


class IndexUnreachable(KnowledgeError):
    """The Qdrant server does not answer."""

    code = "index_unreachable"
    retryable = True


class BuildRunning(KnowledgeError):
    """Two builds of one index at the same time."""

    code = "build_running"
    retryable = True


class PromotionRefused(KnowledgeError):
    """The gate keeps a version from answering calls; the message has its reasons."""

    code = "promotion_refused"


class NothingToRollBackTo(KnowledgeError):
    """No earlier promoted version is kept."""

    code = "nothing_to_roll_back_to"


class QuestionsUnusable(KnowledgeError):
    """The file of stored questions is there and cannot be read."""

    code = "questions_unusable"
