"""A folder of documents read at once, for those who need no pipeline: checks and measurements."""

from __future__ import annotations

from pathlib import Path

from voice_agent.knowledge.documents import Document
from voice_agent.knowledge.errors import DocumentRefused, NothingToIndex
from voice_agent.knowledge.parsing import Parser
from voice_agent.knowledge.sources.fetched import Fetched, FetchFailed
from voice_agent.knowledge.sources.folder import FolderSource


def read_documents(folder: Path) -> tuple[list[Document], list[DocumentRefused]]:
    """The documents of a folder in the order of their paths, and what in it was refused.

    Raises:
        NothingToIndex: the folder does not exist.
    """
    if not folder.is_dir():
        raise NothingToIndex(f"{folder}: no such folder of documents")
    documents: list[Document] = []
    refused: list[DocumentRefused] = []
    with Parser() as parser:
        for result in FolderSource.of_documents(folder).fetch({}):
            if isinstance(result, FetchFailed):
                refused.append(DocumentRefused(result.uri, result.reason))
            elif isinstance(result, Fetched):
                try:
                    parsed = parser.parse(result)
                except DocumentRefused as refusal:
                    refused.append(refusal)
                else:
                    documents.extend(parsed.documents)
                    refused.extend(parsed.refused)
    return documents, refused
