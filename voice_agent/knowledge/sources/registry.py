"""From settings to sources; the code of a kind is loaded when a source of it is configured."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from voice_agent.knowledge.sources.fetched import Source, SourceUnusable
from voice_agent.knowledge.sources.settings import CustomSourceSettings

if TYPE_CHECKING:
    from voice_agent.config import KnowledgeSettings


def from_settings(settings: KnowledgeSettings) -> list[Source]:
    """The folder of documents first, then the sources as they are listed.

    Raises:
        SourceUnusable: a connector cannot be loaded.
    """
    from voice_agent.knowledge.sources.folder import FolderSource

    sources: list[Source] = [FolderSource.of_documents(settings.documents)]
    cache = settings.index / "sources"
    for source in settings.sources:
        match source.kind:
            case "folder":
                sources.append(FolderSource(source.name, source.path))
            case "git":
                from voice_agent.knowledge.sources.git import GitSource

                sources.append(GitSource(source, cache / source.name))
            case "http":
                from voice_agent.knowledge.sources.pages import HttpSource

                sources.append(HttpSource(source))
            case "feed":
                from voice_agent.knowledge.sources.feed import FeedSource

                sources.append(FeedSource(source))
            case "tickets":
                from voice_agent.knowledge.sources.tickets import TicketsSource

                sources.append(TicketsSource(source))
            case "custom":
                sources.append(_connector(source))
    return sources


def _connector(settings: CustomSourceSettings) -> Source:
    module, _, name = settings.connector.partition(":")
    try:
        made = getattr(import_module(module), name)(settings.name, settings.options)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceUnusable(
            f"{settings.name}: `{settings.connector}` cannot be used: {reason}"
        ) from error
    if not callable(getattr(made, "fetch", None)):
        raise SourceUnusable(f"{settings.name}: `{settings.connector}` has no method `fetch`")
    source: Source = made
    return source
