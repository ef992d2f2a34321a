"""A list of web pages or files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

from voice_agent.config import secret
from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.settings import HttpSourceSettings
from voice_agent.knowledge.sources.web import Answer, Web, WebFailed

_NO_MORE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class TokenMissing(Exception):
    """The variable that settings name holds no token; the message names it."""


class HttpSource:
    """The pages of a list; one that is off the list is gone."""

    def __init__(
        self,
        settings: HttpSourceSettings,
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
        """Each page, asked for only if it has changed."""
        try:
            web = self._web or Web(self._settings.web, bearer(self._settings.token_env))
        except TokenMissing as error:
            yield FetchFailed(self.name, str(error), retryable=False)
            return
        urls = dict.fromkeys(self._settings.urls)
        for url in urls:
            yield fetch_page(web, url, known.get(url), self._now)
        yield from (Gone(uri) for uri in known if uri not in urls)


def bearer(token_env: str) -> dict[str, str]:
    """The header that a bearer token goes in; none where settings name no variable.

    Raises:
        TokenMissing: the variable is not set.
    """
    if not token_env:
        return {}
    token = secret(token_env)
    if not token:
        raise TokenMissing(f"the variable {token_env} is not set")
    return {"Authorization": f"Bearer {token}"}


def fetch_page(
    web: Web, url: str, known: Validators | None, now: Callable[[], float] = time.time
) -> FetchResult:
    """Ask for one page, and tell what became of it.

    Args:
        web: who to ask with.
        url: the page, and its name in every report.
        known: its validators, when it was fetched before.
        now: Unix time in seconds.
    """
    before = known or Validators()
    try:
        answer = web.get(url, before.etag, before.last_modified)
    except WebFailed as failed:
        if failed.status in _NO_MORE and known:
            return Gone(url)
        return FetchFailed(url, failed.reason, failed.retryable)
    if answer.unchanged:
        if known:
            return Unchanged(url)
        return FetchFailed(url, "answered 304 to a first question", retryable=True)
    if not answer.content.strip():
        return FetchFailed(url, "an empty answer", retryable=True)
    validators = _validators(answer, before.mtime_ns)
    if known and validators.digest == known.digest:
        return Unchanged(url, validators if validators != known else None)
    return Fetched(
        uri=url,
        content=answer.content,
        media_type=answer.media_type,
        validators=validators,
        fetched_at=now(),
        modified_at=answer.modified_at,
    )


def _validators(answer: Answer, mtime_ns: int) -> Validators:
    return Validators(
        digest=hashlib.sha256(answer.content).hexdigest(),
        etag=answer.etag,
        last_modified=answer.last_modified,
        size=len(answer.content),
        mtime_ns=mtime_ns,
    )
