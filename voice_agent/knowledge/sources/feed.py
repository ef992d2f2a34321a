"""The pages that a feed or a sitemap lists."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.listings import Listed, NotAListing, read_listing
from voice_agent.knowledge.sources.pages import TokenMissing, bearer, fetch_page
from voice_agent.knowledge.sources.settings import FeedSourceSettings
from voice_agent.knowledge.sources.web import Web, WebFailed

_MOST_LISTINGS = 100  # sitemaps below one index


class FeedSource:
    """Pages of a feed, its own host's only; what a sitemap no longer lists is gone.

    A feed lists the newest entries only, so a page that has left it is asked for by itself. A page
    whose listed time of change, told to the minute, is the one it was fetched with is not asked
    for.
    """

    def __init__(
        self,
        settings: FeedSourceSettings,
        web: Web | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._web = web
        self._now = now

    @property
    def name(self) -> str:
        """The name that settings give it."""
        return self._settings.name

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """Each page that is listed; none is gone when a listing cannot be read."""
        try:
            web = self._web or Web(self._settings.web, bearer(self._settings.token_env))
        except TokenMissing as error:
            yield FetchFailed(self.name, str(error), retryable=False)
            return
        pages: dict[str, Listed] = {}
        complete = True
        failed = False
        waiting = [self._settings.url]
        asked = 0
        while waiting and asked < _MOST_LISTINGS:
            url = waiting.pop(0)
            asked += 1
            try:
                listing = read_listing(web.get(url).content, url)
            except WebFailed as error:
                yield FetchFailed(url, error.reason, error.retryable)
                failed = True
                continue
            except NotAListing as error:
                yield FetchFailed(url, str(error), retryable=True)
                failed = True
                continue
            complete &= listing.complete
            waiting.extend(listing.listings)
            for page in listing.pages:
                pages.setdefault(page.url, page)
        if waiting:
            yield FetchFailed(self.name, f"more than {_MOST_LISTINGS} sitemaps", retryable=False)
            failed = True
        if not failed and not complete:
            for uri in known:
                pages.setdefault(uri, Listed(uri))
        yield from self._pages(web, pages, known)
        if not failed:
            yield from (Gone(uri) for uri in known if uri not in pages)

    def _pages(
        self, web: Web, pages: Mapping[str, Listed], known: Mapping[str, Validators]
    ) -> Iterator[FetchResult]:
        host = _host(self._settings.url)
        for number, page in enumerate(pages.values()):
            before = known.get(page.url)
            listed_ns = round(page.modified_at * 1e9)
            if number >= self._settings.max_pages:
                yield FetchFailed(page.url, "listed beyond `max_pages`", retryable=False)
            elif _host(page.url) != host:
                yield FetchFailed(page.url, "on another host than its listing", retryable=False)
            elif before and listed_ns and listed_ns == before.mtime_ns:
                yield Unchanged(page.url)
            else:
                yield _with_listed_time(
                    fetch_page(web, page.url, before, self._now), listed_ns, before
                )


def _with_listed_time(
    result: FetchResult, listed_ns: int, before: Validators | None
) -> FetchResult:
    """The result with the listed time of change among its validators."""
    if isinstance(result, Fetched):
        validators = replace(result.validators, mtime_ns=listed_ns)
        modified_at = result.modified_at or listed_ns / 1e9
        return replace(result, validators=validators, modified_at=modified_at)
    if isinstance(result, Unchanged) and before:
        return replace(result, validators=replace(result.validators or before, mtime_ns=listed_ns))
    return result


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{(parts.hostname or '').removeprefix('www.')}:{parts.port or ''}"
