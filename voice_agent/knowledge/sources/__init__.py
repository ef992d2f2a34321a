"""Where documents come from: folders, git, web pages, feeds, ticket systems, connectors."""

from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Source,
    SourceUnusable,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.registry import from_settings

__all__ = [
    "FetchFailed",
    "FetchResult",
    "Fetched",
    "Gone",
    "Source",
    "SourceUnusable",
    "Unchanged",
    "Validators",
    "from_settings",
]
