from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.voice_agent.knowledge.sources.told import QUICK, Remembered, failures, fetched, kinds
from tests.voice_agent.knowledge.sources.web_server import Asked, Reply, WebServer
from voice_agent.knowledge.parsing import Parser
from voice_agent.knowledge.sources import FetchFailed, Validators
from voice_agent.knowledge.sources.settings import TicketsSourceSettings
from voice_agent.knowledge.sources.tickets import TicketsSource

PATH = "/api/v2/help_center/en-us/articles.json"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETS_TOKEN", "t0ken")
    monkeypatch.setenv("TICKETS_USER", "bot@shop.example")


def article(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "id": number,
        "title": f"Article {number}",
        "body": f"<p>What article {number} says.</p>",
        "locale": "en-us",
        "html_url": f"https://help.shop.example/articles/{number}",
        "updated_at": "2026-10-21T07:28:00Z",
        "draft": False,
        "user_segment_id": None,
        **changed,
    }


def uri(number: int) -> str:
    return f"https://help.shop.example/articles/{number}"


def paged(server: WebServer, articles: list[Any]) -> Callable[[Asked], Reply]:
    """Articles by cursor, as the help centre gives them."""

    def reply(asked: Asked) -> Reply:
        query = parse_qs(urlsplit(asked.path).query)
        size, after = int(query["page[size]"][0]), int(query.get("page[after]", ["0"])[0])
        more = after + size < len(articles)
        next_url = f"{server.url}{PATH}?page%5Bsize%5D={size}&page%5Bafter%5D={after + size}"
        listed = {
            "articles": articles[after : after + size],
            "meta": {"has_more": more},
            "links": {"next": next_url if more else None},
        }
        return Reply(json.dumps(listed).encode(), media_type="application/json")

    return reply


def source(server: WebServer, **changed: Any) -> TicketsSource:
    settings = {
        "kind": "tickets",
        "name": "helpdesk",
        "url": server.url,
        "page_size": 2,
        "token_env": "TICKETS_TOKEN",
        "web": QUICK,
        **changed,
    }
    return TicketsSource(TicketsSourceSettings(**settings))


def test_every_page_of_articles_is_read(server: WebServer) -> None:
    server.replies[PATH] = paged(server, [article(n) for n in range(5)])
    results = fetched(source(server).fetch({}))
    assert [result.uri for result in results] == [uri(n) for n in range(5)]
    assert len(server.asked) == 3
    assert (results[0].title, results[0].language) == ("Article 0", "en-us")
    assert results[0].modified_at == 1_792_567_680.0


def test_an_article_parses_to_its_text(server: WebServer) -> None:
    server.replies[PATH] = paged(server, [article(1, title="Sofas & <beds>")])
    (result,) = fetched(source(server).fetch({}))
    with Parser() as parser:
        (document,) = parser.parse(result).documents
    assert (document.title, document.language) == ("Sofas & <beds>", "en")
    assert document.text.endswith("What article 1 says.")


def test_only_what_was_updated_is_fetched_again(server: WebServer) -> None:
    server.replies[PATH] = paged(server, [article(1), article(2), article(3), article(4)])
    remembered = Remembered(source(server))
    remembered.run()
    later = "2026-10-22T07:28:00Z"
    changed = [article(1), article(2, updated_at=later), article(3, updated_at=later, body="New")]
    server.replies[PATH] = paged(server, changed)
    assert kinds(remembered.run()) == {
        uri(1): "Unchanged",
        uri(2): "Unchanged",
        uri(3): "Fetched",
        uri(4): "Gone",
    }


def test_drafts_and_articles_for_some_users_are_not_for_callers(server: WebServer) -> None:
    articles = [article(1, draft=True), article(2, user_segment_id=77), article(3)]
    server.replies[PATH] = paged(server, articles)
    assert kinds(source(server).fetch({})) == {uri(3): "Fetched"}


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, "Bearer t0ken"),
        (
            {"user_env": "TICKETS_USER"},
            "Basic " + base64.b64encode(b"bot@shop.example/token:t0ken").decode(),
        ),
        ({"token_env": ""}, None),
    ],
)
def test_requests_are_authenticated(
    server: WebServer, settings: dict[str, str], header: str | None
) -> None:
    server.replies[PATH] = paged(server, [article(1), article(2), article(3)])
    list(source(server, **settings).fetch({}))
    assert {asked.headers.get("Authorization") for asked in server.asked} == {header}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_by_the_name_of_its_variable(
    server: WebServer, status: int
) -> None:
    server.replies[PATH] = Reply(status=status)
    (failed,) = failures(source(server).fetch({}))
    assert "TICKETS_TOKEN is not accepted" in failed.reason
    assert "t0ken" not in failed.reason
    assert not failed.retryable


def test_a_missing_token_is_told_by_the_name_of_its_variable(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TICKETS_TOKEN")
    for settings in ({}, {"user_env": "TICKETS_USER"}):
        (failed,) = source(server, **settings).fetch({})
        assert failed == FetchFailed("helpdesk", "the variable TICKETS_TOKEN is not set", False)


@pytest.mark.parametrize(
    ("last", "retryable"),
    [
        (Reply(b"<html>garbage"), True),
        (Reply(b'{"articles": 7}'), True),
        (Reply(b"[]"), True),
        (Reply(status=500), True),
        (Reply(b'{"articles": [], "meta": {"has_more": true}}'), True),
        (Reply(b'{"articles": [], "next_page": "https://other.example/x"}'), True),
        (Reply(status=404), False),
    ],
)
def test_429_500_and_then_garbage_fail_the_source_and_take_nothing_away(
    server: WebServer, last: Reply, retryable: bool
) -> None:
    server.replies[PATH] = [Reply(status=429), Reply(status=500), last]
    (failed,) = source(server).fetch({uri(9): Validators("x")})
    assert isinstance(failed, FetchFailed)
    assert (failed.uri, failed.retryable) == ("helpdesk", retryable)


def test_a_listing_that_breaks_in_the_middle_keeps_what_came_before(server: WebServer) -> None:
    whole = paged(server, [article(n) for n in range(5)])

    def reply(asked: Asked) -> Reply:
        return whole(asked) if "after%5D=4" not in asked.path else Reply(status=500)

    server.replies[PATH] = reply
    results = kinds(source(server).fetch({uri(99): Validators("x")}))
    assert results == {**{uri(n): "Fetched" for n in range(4)}, "helpdesk": "FetchFailed"}


def test_a_broken_article_is_refused_by_name_and_the_others_stay(server: WebServer) -> None:
    articles = [article(1, body=None), {"title": "no id"}, "no article", article(2)]
    server.replies[PATH] = paged(server, articles)
    results = list(source(server).fetch({}))
    assert [result.uri for result in fetched(results)] == [uri(2)]
    assert {failure.reason for failure in failures(results)} == {
        "has no title or body",
        "lists an article without an id",
    }


def test_a_listing_without_end_is_left(server: WebServer) -> None:
    listed = {"articles": [article(1)], "next_page": f"{server.url}{PATH}?page=2"}
    server.replies[PATH] = Reply(json.dumps(listed).encode())
    (failed,) = failures(source(server).fetch({uri(9): Validators("x")}))
    assert failed.reason == "lists without end"
