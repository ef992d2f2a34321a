"""What a source told, in a form that reads well in a test."""

from __future__ import annotations

from collections.abc import Iterable

from voice_agent.knowledge.sources import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Source,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.settings import WebLimits

QUICK = WebLimits(
    backoff_s=0, max_wait_s=0, requests_per_s=100_000, private_addresses=True, timeout_s=20
)
"""Limits for a server on this machine, with no waiting between tries."""


def kinds(results: Iterable[FetchResult]) -> dict[str, str]:
    """What became of each document, by its name."""
    return {result.uri: type(result).__name__ for result in results}


def fetched(results: Iterable[FetchResult]) -> list[Fetched]:
    return [result for result in results if isinstance(result, Fetched)]


def failures(results: Iterable[FetchResult]) -> list[FetchFailed]:
    return [result for result in results if isinstance(result, FetchFailed)]


class Remembered:
    """A source, and the validators that a pipeline keeps of what it gave."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[str, Validators] = {}

    def run(self) -> list[FetchResult]:
        """Fetch, and keep what is worth keeping."""
        results = list(self.source.fetch(dict(self.known)))
        for result in results:
            if isinstance(result, Fetched) or (isinstance(result, Unchanged) and result.validators):
                self.known[result.uri] = result.validators
            elif isinstance(result, Gone):
                del self.known[result.uri]
        return results
