"""The published articles of a ticket system's help centre, in Zendesk's protocol.

`GET /api/v2/help_center/{locale}/articles.json` with cursor pagination, as
https://developer.zendesk.com/api-reference/help_center/help-center-api/articles/ describes it.
The listing holds whole articles, so a run asks for pages of a hundred and never for one article;
what has its old `updated_at` costs no more than its place in the listing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from voice_agent.config import secret
from voice_agent.knowledge.sources.fetched import (
    Fetched,
    FetchFailed,
    FetchResult,
    Gone,
    Unchanged,
    Validators,
)
from voice_agent.knowledge.sources.pages import TokenMissing, bearer
from voice_agent.knowledge.sources.settings import TicketsSourceSettings
from voice_agent.knowledge.sources.web import Web, WebFailed

_REFUSED_TOKEN = (401, 403)


@dataclass(frozen=True, slots=True)
class Article:
    """One article that everybody may read. `updated_at` is as the system writes it."""

    uri: str
    title: str
    body: str
    locale: str
    updated_at: str


class BadListing(Exception):
    """An answer that is no list of articles; the message is the reason."""


def read_articles(content: bytes, base_url: str) -> tuple[list[Article | FetchFailed], str]:
    """The articles in one answer, and the address of the next answer, empty after the last.

    Drafts are left out, and so are articles for a segment of users: the token may read them, a
    caller may not.

    Raises:
        BadListing: the answer is not a list of articles.
    """
    try:
        answer = json.loads(content)
        listed = answer["articles"]
        next_url = _next_url(answer)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadListing("answered with something that is no list of articles") from error
    if not isinstance(listed, list):
        raise BadListing("answered with something that is no list of articles")
    if next_url and _origin(next_url) != _origin(base_url):
        raise BadListing("names a next page on another host")
    articles: list[Article | FetchFailed] = []
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            articles.append(FetchFailed(base_url, "lists an article without an id", False))
        elif not entry.get("draft") and entry.get("user_segment_id") is None:
            articles.append(_article(entry, base_url))
    return articles, next_url


def _next_url(answer: dict[str, Any]) -> str:
    """The next page by cursor, or by number on older systems."""
    meta = answer.get("meta")
    if isinstance(meta, dict) and "has_more" in meta:
        return str(answer["links"]["next"] or "") if meta["has_more"] else ""
    return str(answer.get("next_page") or "")


def _article(entry: dict[str, Any], base_url: str) -> Article | FetchFailed:
    uri = entry.get("html_url") or f"{base_url}/articles/{entry['id']}"
    title, body = entry.get("title"), entry.get("body")
    if not isinstance(uri, str) or not isinstance(title, str) or not isinstance(body, str):
        return FetchFailed(f"{base_url}/articles/{entry['id']}", "has no title or body", False)
    locale, updated_at = str(entry.get("locale") or ""), str(entry.get("updated_at") or "")
    return Article(uri, title, body, locale, updated_at)


class TicketsSource:
    """The articles of a help centre; one that is not listed any more is gone."""

    def __init__(
        self,
        settings: TicketsSourceSettings,
        web: Web | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._web = web
        self._now = now
        self._base_url = settings.url.rstrip("/")

    @property
    def name(self) -> str:
        """The name that settings give it."""
        return self._settings.name

    def fetch(self, known: Mapping[str, Validators]) -> Iterator[FetchResult]:
        """Each article; none is gone unless the whole listing was read."""
        try:
            web = self._web or Web(self._settings.web, self._headers())
        except TokenMissing as error:
            yield FetchFailed(self.name, str(error), retryable=False)
            return
        listed: set[str] = set()
        asked: set[str] = set()
        url = self._first_url()
        while url:
            if url in asked or len(listed) > self._settings.max_articles:
                reason = "lists without end" if url in asked else "more than `max_articles`"
                yield FetchFailed(self.name, reason, retryable=False)
                return
            asked.add(url)
            try:
                articles, url = read_articles(web.get(url).content, self._base_url)
            except WebFailed as error:
                yield FetchFailed(self.name, self._reason(error), error.retryable)
                return
            except BadListing as error:
                yield FetchFailed(self.name, str(error), retryable=True)
                return
            for article in articles:
                if article.uri not in listed:
                    listed.add(article.uri)
                    yield self._result(article, known.get(article.uri))
        yield from (Gone(uri) for uri in known if uri not in listed)

    def _first_url(self) -> str:
        asked = {
            "page[size]": self._settings.page_size,
            "sort_by": "updated_at",
            "sort_order": "desc",
        }
        path = f"/api/v2/help_center/{self._settings.locale}/articles.json"
        return f"{self._base_url}{path}?{urlencode(asked)}"

    def _headers(self) -> dict[str, str]:
        """Basic authentication with `user/token`, or a bearer token; none for a public centre."""
        if not self._settings.user_env:
            return bearer(self._settings.token_env)
        user, token = secret(self._settings.user_env), secret(self._settings.token_env)
        for variable, value in ((self._settings.user_env, user), (self._settings.token_env, token)):
            if not value:
                raise TokenMissing(f"the variable {variable} is not set")
        credentials = base64.b64encode(f"{user}/token:{token}".encode()).decode()
        return {"Authorization": f"Basic {credentials}"}

    def _reason(self, error: WebFailed) -> str:
        if error.status in _REFUSED_TOKEN:
            return f"{error.reason}: the token in {self._settings.token_env} is not accepted"
        return error.reason

    def _result(self, article: Article | FetchFailed, known: Validators | None) -> FetchResult:
        if isinstance(article, FetchFailed):
            return article
        if known and article.updated_at and article.updated_at == known.last_modified:
            return Unchanged(article.uri)
        content = f"<main><h1>{html.escape(article.title)}</h1>\n{article.body}</main>".encode()
        validators = Validators(
            digest=hashlib.sha256(content).hexdigest(),
            last_modified=article.updated_at,
            size=len(content),
        )
        if known and known.digest == validators.digest:
            return Unchanged(article.uri, validators)
        return Fetched(
            uri=article.uri,
            content=content,
            media_type="text/html; charset=utf-8",
            validators=validators,
            fetched_at=self._now(),
            modified_at=_time(article.updated_at),
            title=article.title,
            language=article.locale,
        )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
