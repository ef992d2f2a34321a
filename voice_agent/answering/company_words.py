"""Which words a company and its callers use: a request full of others is hardly meant for it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from voice_agent.knowledge.errors import KnowledgeError
from voice_agent.knowledge.terms import terms_of
from voice_agent.knowledge.versions import VersionStore

log = structlog.get_logger(__name__)

MOST_STRANGE = 2
"""More strange words say no more: one may be a name, two are another subject."""


class CompanyWords:
    """The words of the documents that answer now, and of the examples of what is in scope."""

    def __init__(self, examples: Iterable[str], index: Path | None) -> None:
        """``index`` is the folder of the built index; absent, or not built: no word is strange."""
        self._examples = frozenset(term for text in examples for term in terms_of(text))
        self._versions = VersionStore(index) if index else None
        self._version = ""
        self._known: frozenset[str] = frozenset()

    def refresh(self) -> bool:
        """Read the words of the version that answers now, if it is another; whether it is.

        Blocking, about 0.1 ms a passage. Never raises: the words read before stay.
        """
        if self._versions is None:
            return False
        try:
            version = self._versions.current_or_none()
            if version is None or version == self._version:
                return False
            passages = self._versions.read(version).passages
            known = {term for passage in passages for term in terms_of(passage.embedded_text)}
        except (KnowledgeError, OSError) as error:
            log.warning("company_words_not_read", reason=str(error))
            return False
        self._known, self._version = self._examples | known, version
        return True

    def strange(self, text: str) -> int:
        """How many different words of a text are strange, at most ``MOST_STRANGE``."""
        if not self._known:
            return 0
        return min(MOST_STRANGE, len(set(terms_of(text)) - self._known))
